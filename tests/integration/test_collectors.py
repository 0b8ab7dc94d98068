"""The same lines through Promtail and through Alloy are the same entries in Loki."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from loglane.query import Entry, LokiClient
from loglane.stack import engine, probe
from loglane.stack.collecting import alert_log_url
from loglane.stack.layout import RENDERED
from loglane.stack.project import Project, open_project
from tests.integration.conftest import ROOT, START_TIMEOUT_S, eventually, free_ports

pytestmark = pytest.mark.integration

COLLECTORS = ("promtail", "alloy")
# systemd's own tool makes a journal from text (https://systemd.io/JOURNAL_EXPORT_FORMATS/).
JOURNAL_WRITER = Path("/usr/lib/systemd/systemd-journal-remote")
TRACEBACK = (
    'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    1/0\n'
    "ZeroDivisionError: division by zero"
)


@dataclass(frozen=True)
class Case:
    """What one service writes, how the spec reads it, and what is to be stored.

    An expected entry is `(level, other labels, structured metadata, line)`.
    """

    service: str
    lines: tuple[str, ...]
    stored: tuple[tuple[str | None, dict[str, str], dict[str, str], str], ...]
    read: dict[str, Any] = field(default_factory=dict)


def as_is(level: str | None, line: str, **metadata: str) -> tuple[Any, ...]:
    return level, {}, metadata, line


def levels_of(numbers: dict[Any, str]) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    lines = {json.dumps({"level": value}): level for value, level in numbers.items()}
    return tuple(lines), tuple(as_is(level, line) for line, level in lines.items())


ACCESS = '10.0.0.1 - - [22/Nov/2026:00:00:00 +0000] "{} HTTP/1.1" {} 12 "-" "curl/8"'
NAMES = {
    "warn": "warning", "WARNING": "warning", "Warn": "warning", "err": "error", "fatal": "critical",
    "notice": "info", "trace": "debug", 0: "critical", 3: "error", 4: "warning", 5: "info",
    7: "debug", 10: "debug",
}  # fmt: skip
PYTHON = levels_of({**NAMES, 20: "info", 30: "warning", 40: "error", 50: "critical"})
PINO = levels_of({**NAMES, 20: "debug", 30: "info", 40: "warning", 50: "error", 60: "critical"})
TRACE = "0af7651916cd43dd8448eb211c80319c"
CASES = (
    Case(
        "shop",
        (
            json.dumps({"level": "info", "service": "shop-api", "message": "a", "trace_id": TRACE}),
            json.dumps({"level": "WARN", "log_category": "orders", "message": "b"}),
            json.dumps({"message": "no level", "user_id": 7}),
            json.dumps({"level": "unheard-of"}),
            broken := '{"level":"info","service":"sh\ufffdp","log_category":"\ufffd"}',
            numbered := '{"level":"info","service":5,"log_category":null,"message":"\ufffd"}',
            "plain text",
        ),
        (
            (
                "info",
                {"service": "shop-api"},
                {"trace_id": TRACE},
                json.dumps(
                    {"level": "info", "service": "shop-api", "message": "a", "trace_id": TRACE}
                ),
            ),
            (
                "warning",
                {"log_category": "orders"},
                {},
                json.dumps({"level": "WARN", "log_category": "orders", "message": "b"}),
            ),
            as_is(None, json.dumps({"message": "no level", "user_id": 7}), user_id="7"),
            as_is(None, json.dumps({"level": "unheard-of"})),
            as_is("info", broken),
            ("info", {"service": "5"}, {}, numbered),
            as_is(None, "plain text"),
        ),
    ),
    Case(
        "shapes",
        lines := (
            json.dumps({"trace_id": TRACE, "z": {"level": "error"}, "level": "info"}),
            '{ "message" : "said \\",\\"level\\":\\"error\\"" ,\t"level" : "info" }',
            json.dumps({"a": {"trace_id": "not this"}, "b": [{"user_id": 1}], "level": "info"}),
            json.dumps({"level": "info", "message": "x" * 40_000, "request_id": "at the end"}),
            '{"level":"error","trace_id":"cut off',
        ),
        (
            as_is("info", lines[0], trace_id=TRACE),
            as_is("info", lines[1]),
            as_is("info", lines[2]),
            as_is("info", lines[3], request_id="at the end"),
            as_is(None, lines[4]),
        ),
    ),
    Case("numbers", *PYTHON),
    Case("python-json", *PYTHON, read={"format": "json"}),
    Case("pino-json", *PINO, read={"format": "json", "level_numbers": "pino"}),
    Case(
        "foreign-json",
        lines := (
            json.dumps({"severity": "ERR", "msg": "a", "traceId": TRACE, "service": "not this"}),
            json.dumps({"lvl": "dbg", "service": {"name": "x"}, "trace": {"id": TRACE}}),
            json.dumps({"log": {"level": "fatal"}, "span.id": "00f067aa0ba902b7"}),
            "not JSON",
        ),
        (
            as_is("error", lines[0], trace_id=TRACE),
            as_is("debug", lines[1], trace_id=TRACE),
            as_is("critical", lines[2], span_id="00f067aa0ba902b7"),
            as_is(None, lines[3]),
        ),
        {"format": "json"},
    ),
    Case(
        "logfmt",
        lines := (
            f'ts=2026-11-22T00:00:00Z level=warn msg="a b" traceID={TRACE}',
            "lvl=crit request_id=r1",
            "no pairs at all",
        ),
        (
            as_is("warning", lines[0], trace_id=TRACE),
            as_is("critical", lines[1], request_id="r1"),
            as_is(None, lines[2]),
        ),
        {"format": "logfmt"},
    ),
    Case(
        "nginx",
        (
            ACCESS.format("GET /a?b=c", 200),
            ACCESS.format("POST /b", 404),
            ACCESS.format("GET /c", 503) + " rt=0.250",
            ACCESS.format("GET /health", 200),
            "2026/11/22 00:00:00 [crit] 1#1: out of files",
        ),
        (
            (
                "info",
                {"log_category": "access", "team": "web"},
                {"method": "GET", "path": "/a", "status": "200"},
                ACCESS.format("GET /a?b=c", 200),
            ),
            (
                "warning",
                {"log_category": "access", "team": "web"},
                {"method": "POST", "path": "/b", "status": "404"},
                ACCESS.format("POST /b", 404),
            ),
            (
                "error",
                {"log_category": "access", "team": "web"},
                {"method": "GET", "path": "/c", "status": "503", "duration_ms": "250"},
                ACCESS.format("GET /c", 503) + " rt=0.250",
            ),
            ("critical", {"team": "web"}, {}, "2026/11/22 00:00:00 [crit] 1#1: out of files"),
        ),
        {"format": "nginx", "drop": ["GET /health"], "labels": {"team": "web"}},
    ),
    Case(
        "apache",
        (
            "site:80 " + ACCESS.format("GET /a", 301),
            "[Sun Nov 22 00:00:00.1 2026] [core:error] [pid 1:tid 2] [client 10.0.0.1:1] no file",
        ),
        (
            (
                "info",
                {"log_category": "access"},
                {"method": "GET", "path": "/a", "status": "301"},
                "site:80 " + ACCESS.format("GET /a", 301),
            ),
            as_is(
                "error",
                "[Sun Nov 22 00:00:00.1 2026] [core:error] [pid 1:tid 2] "
                "[client 10.0.0.1:1] no file",
            ),
        ),
        {"format": "apache"},
    ),
    Case(
        "postgres",
        (
            "2026-11-22 00:00:00.000 UTC [1] LOG:  ready",
            "2026-11-22 00:00:01.000 UTC [2] ERROR:  no such table at character 15",
            "2026-11-22 00:00:01.000 UTC [2] STATEMENT:  select *",
            "\tfrom nowhere",
            "2026-11-22 00:00:02.000 UTC [3] app@db FATAL:  no password",
        ),
        (
            as_is("info", "2026-11-22 00:00:00.000 UTC [1] LOG:  ready"),
            as_is(
                "error",
                "2026-11-22 00:00:01.000 UTC [2] ERROR:  no such table at character 15\n"
                "2026-11-22 00:00:01.000 UTC [2] STATEMENT:  select *\n\tfrom nowhere",
            ),
            as_is("critical", "2026-11-22 00:00:02.000 UTC [3] app@db FATAL:  no password"),
        ),
        {"format": "postgresql"},
    ),
    Case(
        "python",
        (
            "INFO:root:started",
            "2026-11-22 00:00:00,123 - shop - ERROR - failed",
            *TRACEBACK.split("\n"),
            "[2026-11-22 00:00:01 +0000] [7] [WARNING] slow",
        ),
        (
            as_is("info", "INFO:root:started"),
            as_is("error", f"2026-11-22 00:00:00,123 - shop - ERROR - failed\n{TRACEBACK}"),
            as_is("warning", "[2026-11-22 00:00:01 +0000] [7] [WARNING] slow"),
        ),
        {"format": "python"},
    ),
    Case("plain", ("ERROR is no level here",), (as_is(None, "ERROR is no level here"),),
         {"format": "plain"}),
    Case(
        "noisy",
        tuple(f"line {number}" for number in range(500)),
        tuple(as_is(None, f"line {number}") for number in range(20)),
        {"rate_limit": {"lines_per_second": 1, "burst": 20}},
    ),
)  # fmt: skip
TOTAL = sum(len(case.stored) for case in CASES)


@dataclass(frozen=True)
class Running:
    """One collector with a Loki of its own."""

    project: Project
    url: str

    @property
    def collector(self) -> str:
        return self.project.spec.collector

    def entries(self, query: str, tenant: str | None = None) -> list[Entry]:
        now = time.time_ns()
        with LokiClient(self.url, tenant) as loki:
            return list(loki.iter_range(query, now - 3600 * 10**9, now + 10**10))

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "-f", str(self.project.compose_file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def asked(self, host: str, port: int, request: str, body: str = "") -> str:
        """Send a request from inside the collector's container; return the answer's first line."""
        text = f"{request} HTTP/1.0\\r\\nHost: x\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}"
        # printf has a meaning of its own for a percent sign.
        text = text.replace("%", "%%")
        script = f"exec 3<>/dev/tcp/{host}/{port}; printf '{text}' >&3; head -n1 <&3"
        return self.compose("exec", "-T", self.collector, "bash", "-c", script).stdout.strip()


def missing_images(client: Any, project: Project, services: list[str]) -> list[str]:
    known = {service: item["image"] for service, item in services_of(project).items()}
    wanted = {known[service] for service in services}
    return sorted(image for image in wanted if not engine.has_image(client, image))


def services_of(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(project.render()["docker-compose.yml"])["services"]
    return found


@contextmanager
def running(
    client: Any, folder: Path, collector: str, overlay: dict[str, Any]
) -> Iterator[Running]:
    """Start Loki and a collector from a rendered project, and remove them."""
    name = f"loglane-{collector}-{uuid.uuid4().hex[:8]}"
    port, grafana, own = free_ports(3)
    overlay = {
        "env": "dev",
        "project": name,
        "collector": collector,
        "ports": {"loki": port, "grafana": grafana, collector: own},
        **overlay,
    }
    (folder / "stack" / "environments").mkdir(parents=True)
    (folder / "stack" / "stack.yaml").write_text((ROOT / "stack" / "stack.yaml").read_text())
    (folder / "stack" / "environments" / "dev.yaml").write_text(yaml.safe_dump(overlay))
    (folder / "templates").symlink_to(ROOT / "templates")
    project = open_project("dev", folder / "stack" / "stack.yaml")
    services = ["loki", collector, *(["docker-proxy"] if project.spec.docker.proxy else [])]
    missing = missing_images(client, project, services)
    if missing:
        commands = " && ".join(f"docker pull {image}" for image in missing)
        pytest.skip(f"needs images that are not on this machine: {commands}")
    project.write()
    if project.spec.tenants:
        config = project.out / RENDERED / "loki" / "loki.yaml"
        config.write_text(config.read_text().replace("auth_enabled: false", "auth_enabled: true"))
    run = Running(project, f"http://127.0.0.1:{port}")
    try:
        started = run.compose("up", "-d", "--wait", "--wait-timeout", "120", *services)
        assert started.returncode == 0, started.stderr + run.compose("logs", collector).stdout
        probe.wait_until(lambda: probe.answers(f"{run.url}/ready"), START_TIMEOUT_S, "Loki")
        yield run
    finally:
        run.compose("down", "-v", "--timeout", "5")


@pytest.fixture(scope="module")
def label() -> str:
    """Return the Docker label of the containers of this test run."""
    return f"collect=collectors-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def play(docker_engine: Any, label: str) -> Iterator[Callable[..., None]]:
    """Return a function that runs a container which writes lines to its stdout."""
    started = []

    def run(folder: Path, service: str, lines: tuple[str, ...], **labels: str) -> None:
        file = folder / f"{service}-{uuid.uuid4().hex[:6]}.txt"
        file.write_text("".join(line + "\n" for line in lines))
        key, _, value = label.partition("=")
        container = docker_engine.containers.run(
            "grafana/promtail:3.6.11",
            entrypoint=["bash", "-c", "cat /lines; exec sleep 600"],
            labels={key: value, "com.docker.compose.service": service, **labels},
            volumes={str(file): {"bind": "/lines", "mode": "ro"}},
            name=f"{value}-{file.stem}",
            network_mode="none",
            detach=True,
        )
        started.append(container)

    yield run
    for container in started:
        container.remove(force=True)


@pytest.fixture(scope="module")
def pair(
    docker_engine: Any, tmp_path_factory: pytest.TempPathFactory, label: str, play: Any
) -> Iterator[dict[str, Running]]:
    """Run both collectors, each with a Loki of its own, on the same containers and files."""
    folder = tmp_path_factory.mktemp("pair")
    logs = folder / "logs"
    logs.mkdir()
    journal = folder / "journal"
    journal.mkdir()
    write_journal(journal)
    overlay = {
        "apps": {"label": label},
        "services": {case.service: case.read for case in CASES if case.read}
        | {"hostweb": {"format": "nginx", "labels": {"team": "web"}}},
        "sources": {
            "files": [{"path": f"{logs}/*.log", "service": "hostweb"}],
            "journal": {"path": str(journal), "units": ["ssh.service", "cron.service"]},
        },
        "alerts": {"enabled": True},
    }
    with ExitStack() as stack:
        both = {
            name: stack.enter_context(running(docker_engine, folder / name, name, overlay))
            for name in COLLECTORS
        }
        for case in CASES:
            play(folder, case.service, case.lines)
        (logs / "access.log").write_text(
            "".join(ACCESS.format(f"GET /{number}", 500) + "\n" for number in range(5))
        )
        yield both


def write_journal(folder: Path) -> None:
    if not JOURNAL_WRITER.exists():
        return
    now = time.time_ns() // 1000
    written = (("ssh.service", 4, "refused"), ("cron.service", 6, "ran"), ("x.service", 3, "other"))
    text = "".join(
        f"__REALTIME_TIMESTAMP={now + number}\n__MONOTONIC_TIMESTAMP={number + 1}\n"
        f"_BOOT_ID={1:032x}\n_MACHINE_ID={2:032x}\nMESSAGE={message}\nPRIORITY={priority}\n"
        f"_SYSTEMD_UNIT={unit}\n\n"
        for number, (unit, priority, message) in enumerate(written)
    )
    export = folder.parent / "export"
    export.write_text(text)
    subprocess.run(
        [str(JOURNAL_WRITER), "-o", str(folder / "system.journal"), str(export)],
        check=True,
        capture_output=True,
    )


def stored(run: Running, query: str) -> list[tuple[Any, ...]]:
    """List what is stored, each entry with all that Loki knows of it."""
    entries = run.entries(query)
    return sorted(
        (e.timestamp_ns, e.line, sorted(e.labels.items()), sorted(e.metadata.items()))
        for e in entries
    )


def test_collectors_store_the_same_entries(pair):
    """Timestamp, labels, structured metadata and line of every entry agree, in every format."""
    query = '{compose_project="",container_name=~".+",service=~".+"}'
    for run in pair.values():
        assert TOTAL == eventually(lambda run=run: len(stored(run, query)), TOTAL), run.collector
    promtail, alloy = (stored(pair[name], query) for name in COLLECTORS)
    assert promtail == alloy


@pytest.mark.parametrize("collector", COLLECTORS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.service)
def test_collectors_read_every_format(pair, label, case, collector):
    """Level, labels and structured metadata of a format's lines are the documented ones."""
    container = f"{label.partition('=')[2]}-{case.service}-[0-9a-f]{{6}}"
    query = f'{{container_name=~"{container}"}}'
    wanted = len(case.stored)
    eventually(lambda: len(pair[collector].entries(query)), wanted)
    found = pair[collector].entries(query)
    known = {"container_name", "stream", "env", "service_name"}
    seen = [
        (
            entry.labels.get("level"),
            {k: v for k, v in entry.labels.items() if k not in {*known, "level"}},
            dict(entry.metadata),
            entry.line,
        )
        for entry in sorted(found, key=lambda entry: entry.timestamp_ns)
    ]
    expected = [
        (level, {"service": case.service, **labels}, metadata, line)
        for level, labels, metadata, line in case.stored
    ]
    assert expected == seen


def test_collectors_follow_files_of_the_host(pair):
    """Lines of a file carry the labels of its service, and not the file's name."""
    labels = {
        "service": "hostweb", "service_name": "hostweb", "env": "dev", "level": "error",
        "log_category": "access", "team": "web",
    }  # fmt: skip
    query = '{service="hostweb"}'
    for run in pair.values():
        assert 5 == eventually(lambda run=run: len(run.entries(query)), 5), run.collector
        found = run.entries(query)
        assert [labels] * 5 == [dict(entry.labels) for entry in found]
        assert {f"/{number}" for number in range(5)} == {e.metadata["path"] for e in found}


def test_collectors_read_the_journal(pair):
    """The named units' lines come with the unit as service and the priority as level."""
    if not JOURNAL_WRITER.exists():
        pytest.skip(f"needs {JOURNAL_WRITER}: apt-get install systemd-journal-remote")
    query = '{service=~"ssh|cron|x"}'
    for run in pair.values():
        assert 2 == eventually(lambda run=run: len(run.entries(query)), 2), run.collector
        found = {(e.labels["service"], e.labels["level"], e.line) for e in run.entries(query)}
        assert {("ssh", "warning", "refused"), ("cron", "info", "ran")} == found
        assert {"service", "service_name", "env", "level"} == {
            name for entry in run.entries(query) for name in entry.labels
        }
    assert stored(pair["promtail"], query) == stored(pair["alloy"], query)


@pytest.mark.parametrize("collector", COLLECTORS)
def test_collectors_take_alerts_as_lines(pair, collector):
    """Text that is posted inside the stack's network becomes a line of the service `alerts`."""
    run = pair[collector]
    host, _, rest = alert_log_url(run.project.spec).removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    assert "204" in run.asked(host, int(port), f"POST /{path}", '{"alert":"x"}')
    query = '{service="alerts"}'
    assert 1 == eventually(lambda: len(run.entries(query)), 1)
    (entry,) = run.entries(query)
    assert '{"alert":"x"}' == entry.line
    assert ("warning", "system", "dev") == tuple(
        entry.labels[name] for name in ("level", "log_category", "env")
    )


@pytest.mark.parametrize("collector", COLLECTORS)
def test_collectors_read_the_stacks_own_lines(pair, collector):
    """The stack's containers are collected as the category system, with levels."""
    run = pair[collector]
    query = f'{{compose_project="{run.project.spec.project}",service="loki"}}'
    eventually(lambda: len(run.entries(query)) > 0, True)
    found = run.entries(query)
    assert {"system"} == {entry.labels["log_category"] for entry in found}
    assert {entry.labels["level"] for entry in found} <= {"info", "warning", "error"}
    assert not [entry.line for entry in found if "caller=metrics.go" in entry.line]


@pytest.fixture(scope="module", params=COLLECTORS)
def guarded(
    request: Any, docker_engine: Any, tmp_path_factory: Any, label: str, play: Any
) -> Iterator[Running]:
    """Run a collector for two tenants, behind the proxy of Docker's socket."""
    folder = tmp_path_factory.mktemp("guarded")
    overlay = {
        "apps": {"label": label},
        "docker": {"proxy": True},
        "tenants": {"team-a": {"services": ["orders"]}, "team-b": {}},
        "services": {"orders": {"format": "plain"}},
    }
    with running(docker_engine, folder / request.param, request.param, overlay) as run:
        play(folder, "orders", ("of a",))
        play(folder, "orders", ("claimed by b",), **{"loglane.tenant": "team-b"})
        play(folder, "labelled", ("of b",), **{"loglane.tenant": "team-b"})
        play(folder, "stranger", ("of nobody",), **{"loglane.tenant": "team-x"})
        yield run


def test_collectors_send_each_line_to_its_tenant(guarded):
    """The spec's services come first, then a known name in the Docker label, then the default."""
    query = '{service=~"orders|labelled|stranger"}'
    expected = {
        "team-a": {"of a", "claimed by b"}, "team-b": {"of b"}, "main": {"of nobody"},
    }  # fmt: skip

    def found() -> dict[str, set[str]]:
        return {t: {e.line for e in guarded.entries(query, t)} for t in expected}

    assert expected == eventually(found, expected)
    labels = {
        name for tenant in expected for e in guarded.entries(query, tenant) for name in e.labels
    }
    assert not [name for name in labels if name.startswith("loglane")]


REFUSED = (
    "POST /containers/create", "POST /v1.41/containers/abc/exec", "POST /containers/abc/start",
    "DELETE /containers/abc", "GET /containers/abc/archive?path=/", "GET /containers/abc/export",
    "GET /images/json", "GET /secrets", "GET /v1.41/../containers/abc/archive",
    "GET //containers/abc/archive", "GET /containers/abc%2Farchive/json", "PUT /_ping",
    "POST /containers/json", "GET /containers/json/../abc/archive", "POST /build",
)  # fmt: skip
PASSED = ("GET /_ping", "GET /v1.41/version", "GET /info", "GET /containers/json?all=1",
          "GET /v1.41/networks")  # fmt: skip


def test_docker_proxy_passes_reading_only(guarded):
    """What the collector needs is answered; all else is refused before it reaches Docker."""
    answers = {ask: guarded.asked("docker-proxy", 2375, ask) for ask in (*PASSED, *REFUSED)}
    assert dict.fromkeys(PASSED, True) == {ask: " 200 " in answers[ask] for ask in PASSED}
    refused = {ask: " 403 " in answers[ask] for ask in REFUSED}
    assert dict.fromkeys(REFUSED, True) == refused


def test_docker_proxy_takes_the_collectors_rights(guarded):
    """Behind the proxy the collector is not root and does not see the socket."""
    command = ("exec", "-T", guarded.collector, "bash", "-c", "id -u; ls /var/run/docker.sock")
    done = guarded.compose(*command)
    assert ("10001", 2) == (done.stdout.strip(), done.returncode)


def test_switch_to_alloy_stores_each_line_once(docker_engine, tmp_path, play, label):
    """One word in the spec: lines of before, meanwhile and after are in Loki exactly once."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_text("file before\n")
    service = f"switch-{uuid.uuid4().hex[:6]}"
    query = f'{{service=~"{service}|hostfile"}}'
    overlay = {
        "apps": {"label": label},
        "sources": {"files": [{"path": f"{logs}/*.log", "service": "hostfile"}]},
    }
    with running(docker_engine, tmp_path / "switch", "promtail", overlay) as run:
        play(tmp_path, service, tuple(f"before {number}" for number in range(100)))
        assert 101 == eventually(lambda: len(run.entries(query)), 101)
        run.compose("stop", "promtail")
        play(tmp_path, service, tuple(f"meanwhile {number}" for number in range(100)))
        with (logs / "a.log").open("a") as file:
            file.write("file meanwhile\n")
        after = switched(run, "alloy")
        play(tmp_path, service, tuple(f"after {number}" for number in range(100)))
        assert 302 == eventually(lambda: len(after.entries(query)), 302)
        # What is read again has arrived by the time that the newest line has.
        lines = [entry.line for entry in after.entries(query)]
        assert sorted(set(lines)) == sorted(lines)


def switched(run: Running, collector: str) -> Running:
    """Change the one word in the spec, render and start, as an operator does."""
    spec_file = run.project.out / "stack" / "environments" / "dev.yaml"
    overlay = yaml.safe_load(spec_file.read_text()) | {"collector": collector}
    spec_file.write_text(yaml.safe_dump(overlay))
    project = open_project("dev", run.project.out / "stack" / "stack.yaml")
    project.write()
    found = Running(project, run.url)
    done = found.compose("up", "-d", "--wait", "--remove-orphans", "loki", collector)
    assert done.returncode == 0, done.stderr
    return found
