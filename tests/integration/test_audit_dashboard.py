"""The bundled database of the audit trail, and the dashboard that reads it, on real servers."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx2
import pytest
import yaml
from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from loglane.audit.table import audit_records, metadata
from loglane.event_id import new_event_id
from loglane.query import LokiClient, Stream
from loglane.stack import engine, probe
from loglane.stack.layout import ADMIN_PASSWORD_FILE
from loglane.stack.project import Project, open_project
from tests.integration.conftest import eventually, free_ports, write_project

pytestmark = pytest.mark.integration

TRACE = "0af7651916cd43dd8448eb211c80319c"
NONE = {"actor": "", "resource": "", "trace_id": ""}
# What there is to find within the last hour, newest first; one more is two hours old.
RECORDS = [
    {"action": "order_created", "actor": "o'brien", "resource": "order:1", "trace_id": TRACE},
    {"action": "order_created", "actor": "alice", "resource": "order:2"},
    {"action": "role_changed", "actor": "alice", "resource": "user:1", "status": "failure"},
]


@dataclass(frozen=True)
class Trail:
    """A running stack with the database."""

    spec_file: Path
    project: Project
    grafana: httpx2.Client
    loki: LokiClient
    newest: datetime

    def secret(self, name: str) -> str:
        return (self.project.secrets / name).read_text().strip()

    def connect(self, who: str) -> Engine:
        port = self.project.spec.ports.mariadb
        password = self.secret(f"audit_{who}_password")
        url = URL.create("mysql+pymysql", f"audit_{who}", password, "127.0.0.1", port, "audit")
        return create_engine(url)

    def panels(self) -> dict[str, dict]:
        answer = self.grafana.get("/api/dashboards/uid/loglane-audit")
        return {panel["title"]: panel for panel in answer.json()["dashboard"]["panels"]}

    def query(self, source: dict, query: dict) -> httpx2.Response:
        now_ms = time.time_ns() // 10**6
        sent = {"refId": "A", "intervalMs": 60_000, "maxDataPoints": 100, "datasource": source}
        return self.grafana.post(
            "/api/ds/query",
            json={
                "from": str(now_ms - 3_600_000),
                "to": str(now_ms + 1000),
                "queries": [{**query, **sent}],
            },
        )

    def rows(self, title: str, target: int = 0, **chosen: str) -> list[tuple]:
        """Send a panel's query as the panel does and return what it shows."""
        panel = self.panels()[title]
        query = panel["targets"][target]
        filled = {key: fill(query[key], chosen) for key in ("rawSql", "expr") if key in query}
        answer = self.query(panel["datasource"], {**query, **filled})
        found = answer.json().get("results", {}).get("A", {})
        if answer.status_code != 200 or "error" in found:
            pytest.fail(f"{title}: {answer.text[:300]}\n{filled}")
        return [
            row
            for frame in found["frames"]
            if frame["data"]["values"]
            for row in zip(*frame["data"]["values"], strict=True)
        ]


def fill(query: str, chosen: dict[str, str]) -> str:
    """Fill in the dashboard's variables, as Grafana's page does."""
    query = query.replace("$__interval", "1m")
    for name, value in {**NONE, **chosen}.items():
        quoted = value.replace("'", "''")
        query = query.replace(f"${{{name}:sqlstring}}", f"'{quoted}'")
        query = query.replace(f"${{{name}:regex}}", value).replace(f"${name}", value)
    # `All` is the name of the column.
    return query.replace("${action:sqlstring}", "action").replace("${status:sqlstring}", "status")


def loglane(spec_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loglane", *arguments],
        cwd=spec_file.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def trail(docker_engine, tmp_path_factory) -> Iterator[Trail]:
    """Start a stack with a bundled database whose clock is in India, and write records."""
    name = f"loglane-audit-{uuid.uuid4().hex[:8]}"
    folder = tmp_path_factory.mktemp("audit")
    spec_file = write_project(folder, name, f"collect={name}")
    overlay = spec_file.parent / "environments" / "dev.yaml"
    keys = yaml.safe_load(overlay.read_text())
    keys["ports"]["mariadb"] = free_ports(1)[0]
    overlay.write_text(yaml.safe_dump({**keys, "audit": {"database": {"bundled": True}}}))
    project = open_project("dev", spec_file)
    missing = [
        image for image in project.spec.pinned_images if not engine.has_image(docker_engine, image)
    ]
    if missing:
        commands = " && ".join(f"docker pull {image}" for image in missing)
        pytest.skip(f"needs images that are not on this machine: {commands}")
    project.write()
    # Rendered nowhere: a server that thinks in another zone than UTC.
    extra = folder / "zone.yml"
    extra.write_text("services: {mariadb: {environment: {TZ: Asia/Kolkata}}}\n")
    compose = ["docker", "compose", "-f", str(project.compose_file)]
    up = [*compose, "-f", str(extra), "up", "--detach", "--wait", "loki", "grafana", "mariadb"]
    try:
        made = loglane(spec_file, "secrets", "init")
        assert 0 == made.returncode, made.stderr
        started = subprocess.run(up, capture_output=True, text=True, check=False)
        assert 0 == started.returncode, started.stderr
        login = (
            project.spec.grafana.admin_user,
            (project.out / ADMIN_PASSWORD_FILE).read_text().strip(),
        )
        url = probe.grafana_url(project.spec)
        with (
            LokiClient(probe.loki_url(project.spec)) as loki,
            httpx2.Client(base_url=url, auth=login, timeout=30) as grafana,
        ):
            running = Trail(spec_file, project, grafana, loki, datetime.now(timezone.utc))
            write_records(running)
            write_lines(running)
            yield running
    finally:
        subprocess.run([*compose, "down", "--volumes"], capture_output=True, check=True)


def write_records(trail: Trail) -> None:
    """Make the table and write records as an app does."""
    writer = trail.connect("writer")
    metadata.create_all(writer)
    ages = [*range(len(RECORDS)), 120]
    records = [
        {
            "event_id": new_event_id(),
            "occurred_at": trail.newest - timedelta(minutes=age),
            "recorded_at": trail.newest,
            "status": "success",
            "trace_id": None,
            "service": "shop",
            "extra": {},
            **record,
        }
        for age, record in zip(ages, [*RECORDS, RECORDS[1]], strict=True)
    ]
    with writer.begin() as connection:
        connection.execute(audit_records.insert(), records)
    writer.dispose()


def write_lines(trail: Trail) -> None:
    """Push lines of the trace, of the audit trail, and an error."""
    labels = {"service": "shop", "env": "dev", "level": "info"}
    now_ns = time.time_ns()
    trail.loki.push(
        [
            Stream(labels, [(now_ns, '{"message": "of the trace"}', {"trace_id": TRACE})]),
            Stream(labels, [(now_ns + 1, '{"message": "of another"}', {"trace_id": "1" * 32})]),
            Stream({**labels, "log_category": "audit"}, [(now_ns, '{"message": "audited"}', {})]),
            Stream({**labels, "level": "error"}, [(now_ns, '{"message": "it failed"}', {})]),
        ]
    )


def texts(rows: list[tuple]) -> list[str]:
    """Return the lines of log rows."""
    return [value for row in rows for value in row if isinstance(value, str) and "shop" in value]


def test_server_is_not_in_utc(trail):
    """What follows is only worth something on a server in another zone."""
    with trail.connect("reader").connect() as connection:
        assert "IST" == connection.execute(text("SELECT @@system_time_zone")).scalar_one()


def test_datasource_is_healthy(trail):
    """Grafana reaches the database with its password."""
    answer = trail.grafana.get("/api/datasources/uid/loglane-audit/health").json()
    assert "OK" == answer["status"], answer


def test_every_panel_finds_the_last_hour(trail):
    """The records of the chosen hour are there, and the older one is not."""
    assert [(3,)] == trail.rows("Records")
    assert [(1,)] == trail.rows("Failures")
    drawn = [value for row in trail.rows("Actions over time") for value in row[1:] if value]
    assert 3 == sum(drawn)
    assert trail.rows("Failures over time")
    found = trail.rows("Newest records")
    assert [item["action"] for item in RECORDS] == [row[2] for row in found]


def test_records_are_drawn_when_they_occurred(trail):
    """The time in the table is the moment in UTC, which the page shows in the viewer's zone."""
    shown_ms = trail.rows("Newest records")[0][0]
    assert trail.newest.timestamp() == pytest.approx(shown_ms / 1000, abs=0.01)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({"actor": "o'brien"}, 1), ({"actor": "' OR '1'='1"}, 0), ({"trace_id": TRACE}, 1)],
    ids=["quote", "injection", "trace"],
)
def test_fields_at_the_top_choose_records(trail, chosen, expected):
    """Each panel of the database follows the fields, quotes included."""
    assert [(expected,)] == trail.rows("Records", **chosen)


def test_lines_are_those_of_the_trace(trail):
    """With a trace id the panel shows its lines, without one those of the audit trail."""
    title = "Lines of the trace, or of the audit trail"
    both = [texts(trail.rows(title, target)) for target in (0, 1)]
    assert [[], ["shop: audited"]] == both
    both = [texts(trail.rows(title, target, trace_id=TRACE)) for target in (0, 1)]
    assert [["shop info: of the trace"], []] == both


def test_errors_are_beside_the_records(trail):
    """The error stream shows lines of level error."""
    assert ["shop: it failed"] == texts(trail.rows("Errors"))


def test_reader_may_only_read(trail):
    """Whoever sends SQL of their own through the dashboard's datasource changes nothing."""
    source = trail.panels()["Records"]["datasource"]
    for statement in ("DELETE FROM audit_records", "DROP TABLE audit_records"):
        sent = {"format": "table", "rawQuery": True, "rawSql": statement}
        assert 400 == trail.query(source, sent).status_code
        with pytest.raises(OperationalError, match="denied"):
            trail.connect("reader").connect().execute(text(statement))
    with trail.connect("reader").connect() as connection:
        assert 4 == connection.execute(text("SELECT count(*) FROM audit_records")).scalar_one()
        shown = connection.execute(text("SHOW DATABASES")).scalars()
        assert ["audit", "information_schema"] == sorted(shown)


def test_nobody_logs_in_as_root(trail):
    """Neither with an empty password nor from outside."""
    port = trail.project.spec.ports.mariadb
    url = URL.create("mysql+pymysql", "root", "", "127.0.0.1", port)
    with pytest.raises(OperationalError, match="Access denied"):
        create_engine(url).connect()
    command = ["docker", "compose", "-f", str(trail.project.compose_file), "exec", "-T", "mariadb"]
    done = subprocess.run([*command, "mariadb", "-uroot"], capture_output=True, check=False)
    assert b"Access denied" in done.stderr


def test_rotated_password_is_the_databases_too(trail):
    """The database and Grafana both go on with the new one; the records are still there."""
    before = trail.secret("audit_reader_password")
    done = loglane(trail.spec_file, "secrets", "rotate", "audit_reader_password")
    assert 0 == done.returncode, done.stderr
    assert before != trail.secret("audit_reader_password")

    def records() -> object:
        try:
            return trail.rows("Records")
        except httpx2.HTTPError:
            return None
        except (KeyError, ValueError, pytest.fail.Exception) as error:
            return str(error)

    assert [(3,)] == eventually(records, [(3,)])
