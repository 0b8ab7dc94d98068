"""Alerts on a real stack: they fire, they reach people, and they go when the spec drops them."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
import yaml

from loglane.query import LokiClient, Stream
from loglane.stack import engine, probe
from loglane.stack.alertrules import UIDS, alert_rules
from loglane.stack.layout import ADMIN_PASSWORD_FILE, SECRETS
from loglane.stack.metrics import COUNTERS
from loglane.stack.project import open_project
from loglane.stack.validate import validate
from tests.integration.conftest import eventually, free_ports, write_project

pytestmark = pytest.mark.integration

SILENT = "nobody-writes-this"
ALERTS = {
    "evaluation_interval": "10s",
    "rules": {
        "error_ratio": {"window": "2m", "pending_period": "10s", "above": 0.5, "min_lines": 10},
        "no_logs": {"services": [SILENT], "window": "1m", "pending_period": "10s"},
        "rejected_lines": {"window": "5m", "pending_period": "10s"},
    },
    "contact_points": {
        "team": {"type": "webhook", "url_secret": "alert_webhook_url"},
        "chat": {"type": "slack", "url_secret": "alert_slack_url"},
        "ops": {"type": "email", "addresses": ["ops@example.org", "night@example.org"]},
    },
    # What is critical goes to the contact point that nobody named: log.
    "policy": {
        "group_wait": "1s",
        "group_interval": "10s",
        "routes": [
            {"contact_point": "team", "severity": "warning"},
            {"contact_point": "ops", "service": "orders", "mute_times": ["weekends"]},
        ],
    },
    "mute_times": {
        "weekends": {"weekdays": ["saturday", "sunday"], "time_zone": "Europe/Berlin"},
        "lunch": {"start": "12:00", "end": "13:00"},
    },
}


class Webhook(ThreadingHTTPServer):
    """Keeps the bodies of what is posted to it."""

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), _Post)
        self.bodies: list[str] = []

    @property
    def url(self) -> str:
        """Return the address that Grafana posts to."""
        return f"http://{self.server_address[0]}:{self.server_address[1]}/token-of-the-test"

    def alerts(self, rule: str) -> list[dict[str, object]]:
        """Return the firing alerts of one rule that arrived so far."""
        found = [alert for body in self.bodies for alert in json.loads(body)["alerts"]]
        return [a for a in found if a["labels"].get("rule") == rule and a["status"] == "firing"]


class _Post(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def webhook(docker_engine) -> Iterator[Webhook]:
    """Listen where containers reach this machine: on the gateway of Docker's own bridge."""
    gateway = docker_engine.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway")
    try:
        server = Webhook(gateway)
    except OSError as error:
        pytest.skip(f"needs Docker's bridge on this machine, {gateway}: {error}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class AlertStack:
    """A stack of its own, whose spec a test may change."""

    def __init__(self, folder) -> None:
        self.name = f"loglane-test-{uuid.uuid4().hex[:8]}"
        self.spec_file = write_project(folder, self.name, f"collect={self.name}")
        self.overlay = self.spec_file.parent / "environments" / "dev.yaml"
        ports = yaml.safe_load(self.overlay.read_text())["ports"]
        prometheus, gateway, alloy = free_ports(3)
        self.change(
            alerts=ALERTS,
            metrics=True,
            ports={**ports, "prometheus": prometheus, "gateway": gateway, "alloy": alloy},
            grafana={"smtp": {"address": "mail.invalid:25", "sender": "logs@example.org"}},
        )

    @property
    def project(self):
        """Return the project as its spec says now."""
        return open_project("dev", self.spec_file)

    def change(self, **keys) -> None:
        """Replace keys of the overlay."""
        overlay = yaml.safe_load(self.overlay.read_text())
        self.overlay.write_text(yaml.safe_dump(overlay | keys))

    def write_secret(self, name: str, value: str) -> None:
        """Write a secret as an operator does."""
        file = self.project.out / SECRETS / name
        file.write_text(value + "\n")
        file.chmod(0o600)

    def up(self) -> None:
        """Render, start what changed and wait for Grafana."""
        project = self.project
        project.write()
        up = ["up", "--detach", "--remove-orphans", "--quiet-pull"]
        engine.compose(project.compose_file, up)
        url = f"{probe.grafana_url(project.spec)}/api/health"
        probe.wait_until(lambda: probe.answers(url), 120.0, "Grafana")

    def down(self) -> None:
        """Remove everything."""
        engine.compose(self.project.compose_file, ["down", "--volumes", "--remove-orphans"])

    def grafana(self, path: str):
        """Ask Grafana's API."""
        password = (self.project.out / ADMIN_PASSWORD_FILE).read_text().strip()
        login = (self.project.spec.grafana.admin_user, password)
        answer = httpx2.get(f"{probe.grafana_url(self.project.spec)}{path}", auth=login)
        assert 200 == answer.status_code, answer.text
        return answer.json()

    def provisioned(self, kind: str):
        """Ask for one kind of alerting resource."""
        return self.grafana(f"/api/v1/provisioning/{kind}")

    def names(self, kind: str, key: str) -> list[str]:
        """Name what Grafana has of one kind."""
        return sorted(item[key] for item in self.provisioned(kind))


@pytest.fixture(scope="module")
def alert_stack(docker_engine, webhook, tmp_path_factory) -> Iterator[AlertStack]:
    """Start a stack with metrics, short windows and a contact point of every type."""
    stack = AlertStack(tmp_path_factory.mktemp("alerts"))
    images = stack.project.spec.pinned_images
    missing = [image for image in images if not engine.has_image(docker_engine, image)]
    if missing:
        commands = " && ".join(f"docker pull {image}" for image in missing)
        pytest.skip(f"needs images that are not on this machine: {commands}")
    stack.project.write()
    stack.write_secret("alert_webhook_url", webhook.url)
    stack.write_secret("alert_slack_url", "https://hooks.slack.example.org/services/T0/B0/x")
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def loki(alert_stack) -> Iterator[LokiClient]:
    """Return a client of the stack's Loki."""
    with LokiClient(probe.loki_url(alert_stack.project.spec)) as client:
        yield client


def push_a_line_that_is_too_old(alert_stack) -> None:
    old = str(time.time_ns() - 30 * 86_400 * 10**9)
    stream = {"stream": {"service": "late", "env": "dev"}, "values": [[old, "x"]]}
    url = f"{probe.loki_url(alert_stack.project.spec)}/loki/api/v1/push"
    assert 400 == httpx2.post(url, json={"streams": [stream]}).status_code


def samples(alert_stack, query: str) -> list[dict[str, Any]]:
    host, port = alert_stack.project.spec.published["prometheus"]
    url = f"http://{host}:{port}/api/v1/query"
    return httpx2.get(url, params={"query": query}).json()["data"]["result"]


def values(alert_stack, query: str) -> list[float]:
    return [float(sample["value"][1]) for sample in samples(alert_stack, query)]


def expression(alert_stack, uid: str) -> str:
    return {rule.uid: rule.expr for rule in alert_rules(alert_stack.project.spec)}[uid]


def test_grafana_has_the_rules_of_the_spec(alert_stack):
    """Every rule that the spec asks for has its fixed uid and cannot be edited."""
    assert sorted(UIDS) == alert_stack.names("alert-rules", "uid")
    assert {"file"} == {alert_stack.provisioned(f"alert-rules/{uid}")["provenance"] for uid in UIDS}


def test_grafana_has_the_contact_points_with_their_secrets(alert_stack, webhook):
    """Webhook, Slack and mail are there; the address of the webhook came from its file."""
    points = {point["name"]: point for point in alert_stack.provisioned("contact-points")}
    ours = {name: point["type"] for name, point in points.items() if point["uid"].startswith("log")}
    assert {"chat": "slack", "log": "webhook", "ops": "email", "team": "webhook"} == ours
    assert webhook.url == points["team"]["settings"]["url"]
    assert "ops@example.org;night@example.org" == points["ops"]["settings"]["addresses"]


def test_grafana_has_the_policy_and_the_mute_times(alert_stack):
    """The policy sends to `log` by default, and elsewhere what a route matches."""
    policy = alert_stack.provisioned("policies")
    routes = [(r["receiver"], r["object_matchers"]) for r in policy["routes"]]
    assert "log" == policy["receiver"]
    assert [
        ("team", [["severity", "=", "warning"]]),
        ("ops", [["service", "=", "orders"]]),
    ] == routes
    assert ["lunch", "weekends"] == alert_stack.names("mute-timings", "name")


def test_errors_of_a_service_set_off_an_alert_whose_webhook_arrives(alert_stack, loki, webhook):
    """A burst of errors is told in words, with the service, its environment and the ratio."""
    now = time.time_ns()
    for level, count in (("error", 15), ("info", 5)):
        lines = [(now + n, f'{{"message": "{level} {n}"}}', {}) for n in range(count)]
        loki.push([Stream({"service": "shop", "env": "dev", "level": level}, lines)])
    assert eventually(lambda: bool(webhook.alerts("error_ratio")), True, timeout_s=120)
    alert = webhook.alerts("error_ratio")[0]
    assert "shop (dev): 75% of its lines are errors" == alert["annotations"]["summary"]
    assert "/d/loglane-service?var-service=shop&var-env=dev" == alert["annotations"]["dashboard"]
    assert ("shop", "warning") == (alert["labels"]["service"], alert["labels"]["severity"])


def test_refused_lines_set_off_an_alert_that_says_why(alert_stack, webhook):
    """A line that is too old is refused by Loki, which Prometheus sees."""
    push_a_line_that_is_too_old(alert_stack)
    assert eventually(lambda: bool(webhook.alerts("rejected_lines")), True, timeout_s=120)
    summary = webhook.alerts("rejected_lines")[0]["annotations"]["summary"]
    assert "loki: 1 lines refused, reason greater_than_max_sample_age" == summary


def test_a_silent_service_becomes_one_log_line(alert_stack, loki):
    """The dead man fires for a service that never wrote, and `log` makes one line of it."""

    def lines():
        end = time.time_ns()
        found = loki.iter_range('{service="alerts"}', end - 600 * 10**9, end + 10**9)
        return [json.loads(entry.line) for entry in found]

    assert eventually(lambda: bool(lines()), True, timeout_s=120)
    message = lines()[0]
    alert = message["alerts"][0]
    assert ("firing", SILENT) == (message["status"], alert["labels"]["service"])
    assert f"{SILENT}: no line for 1m" == alert["annotations"]["summary"]


def test_prometheus_reaches_every_job(alert_stack):
    """Loki, the collector, Grafana and Prometheus itself answer the scrapes."""

    def up():
        return {s["metric"]["job"]: s["value"][1] for s in samples(alert_stack, "up")}

    wanted = dict.fromkeys(("loki", "collector", "grafana", "prometheus"), "1")
    assert wanted == eventually(up, wanted)


def test_a_healthy_collector_sets_off_nothing(alert_stack):
    """Prometheus has the counters that the collector's rules read; they say that all is well."""
    rules = {rule.uid: rule for rule in alert_rules(alert_stack.project.spec)}
    assert [] == values(alert_stack, rules["loglane-collector-stuck"].expr)
    assert [1.0] == values(alert_stack, rules["loglane-collector-down"].expr)
    waiting = rules["loglane-collector-lag"]
    assert values(alert_stack, waiting.expr)[0] < waiting.than
    counters = COUNTERS[alert_stack.project.spec.collector]
    assert values(alert_stack, f"sum({counters.sent})")[0] > 0
    assert values(alert_stack, f"sum({counters.read[0]})")[0] > 0


def test_promtool_accepts_the_config_of_prometheus(alert_stack):
    """The real checker reads what was rendered."""
    found = {v.check: v for v in validate(alert_stack.project).programs}["promtool check config"]
    if found.outcome == "not there":
        pytest.skip(f"needs promtool: {found.how}")
    assert ("passed", "") == (found.outcome, found.output)


def test_grafana_loses_what_the_spec_removed(alert_stack):
    """Rules go by themselves; contact points and mute times when the spec names them."""
    kept = {"team": ALERTS["contact_points"]["team"]}
    alert_stack.change(
        metrics=False,
        alerts={
            "rules": {"error_ratio": {"enabled": False}},
            "contact_points": kept,
            "removed": {"contact_points": ["chat", "ops"], "mute_times": ["lunch", "weekends"]},
        },
    )
    alert_stack.up()
    wanted = ["loglane-collector-lag", "loglane-disk-budget", "loglane-rejected-lines"]
    assert wanted == eventually(lambda: alert_stack.names("alert-rules", "uid"), wanted)
    points = [n for n in alert_stack.names("contact-points", "uid") if n.startswith("loglane")]
    assert ["loglane-log", "loglane-team"] == points
    assert [] == alert_stack.names("mute-timings", "name")


def test_without_metrics_the_stack_s_own_lines_say_what_was_refused(alert_stack, loki):
    """Loki logs a refused push, the collector reads that, and the rule's query finds it."""
    push_a_line_that_is_too_old(alert_stack)
    query = expression(alert_stack, "loglane-rejected-lines")
    assert ["loki"] == eventually(
        lambda: [sample.labels["service"] for sample in loki.query(query)], ["loki"]
    )


def test_without_metrics_the_stack_s_own_containers_are_heard(alert_stack, loki):
    """Some line of theirs arrives well within `silence`, also when no app writes."""
    query = expression(alert_stack, "loglane-collector-lag")
    last_minute = query.replace("[10m]", "[1m]")
    assert query != last_minute
    assert eventually(lambda: loki.query(last_minute)[0].value > 0, True), last_minute


def test_grafana_loses_everything_without_alerts(alert_stack):
    """`enabled: false` takes the rules away, `removed.policy` the rest."""
    points = {"team": ALERTS["contact_points"]["team"]}
    off = {"enabled": False, "contact_points": points, "removed": {"policy": True}}
    alert_stack.change(alerts=off)
    alert_stack.up()
    assert [] == eventually(lambda: alert_stack.names("alert-rules", "uid"), [])
    points = alert_stack.names("contact-points", "uid")
    assert [] == [uid for uid in points if uid.startswith("loglane")]
    assert "log" != alert_stack.provisioned("policies")["receiver"]
