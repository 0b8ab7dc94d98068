"""Grafana has the datasource and the dashboard, and every panel's query answers."""

from __future__ import annotations

import time

import httpx2
import pytest

from loglane.query import Stream

pytestmark = pytest.mark.integration

SERVICE = "dashboard-test"
# What Grafana puts in for its variables when everything is chosen.
VARIABLES = {
    "$env": ".*",
    "$service": ".+",
    "$level": ".*",
    "${search:regex}": "",
    "$__range": "1h",
    "$__interval": "1m",
}


@pytest.fixture(scope="module")
def dashboard(stack):
    """Return the provisioned dashboard, with lines of every level in Loki for it to show."""
    now = time.time_ns()
    stack.loki.push(
        Stream(
            {"service": SERVICE, "env": "dev", "level": level},
            [(now + n, f'{{"message": "{level} {n}"}}', {}) for n in range(10)],
        )
        for level in ("debug", "info", "warning", "error", "critical")
    )
    return stack.grafana.get("/api/dashboards/uid/loglane-logs-overview").json()


def test_grafana_has_the_datasource_and_it_is_healthy(stack):
    """Grafana itself reaches Loki through the provisioned datasource."""
    uid = stack.project.spec.grafana.datasources.loki.uid
    assert "loki" == stack.grafana.get(f"/api/datasources/uid/{uid}").json()["type"]
    assert "OK" == stack.grafana.get(f"/api/datasources/uid/{uid}/health").json()["status"]


def test_grafana_has_the_dashboard_provisioned(stack, dashboard):
    """The dashboard is in the spec's folder and cannot be changed in the browser."""
    meta = dashboard["meta"]
    assert (True, stack.project.spec.grafana.folder) == (meta["provisioned"], meta["folderTitle"])


def test_grafana_refuses_everybody_but_the_generated_user(stack):
    """There is no anonymous access, no sign-up, and no password `admin`."""
    base = str(stack.grafana.base_url).rstrip("/")
    answers = [
        httpx2.get(f"{base}/api/search", auth=auth).status_code
        for auth in (None, ("admin", "admin"), (stack.project.spec.grafana.admin_user, "admin"))
    ]
    assert [401, 401, 401] == answers


def expressions(dashboard):
    for panel in dashboard["dashboard"]["panels"]:
        for target in panel["targets"]:
            text = target["expr"]
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            yield panel["title"], target["queryType"], text


def test_every_dashboard_expression_returns_data(stack, dashboard):
    """Loki accepts each panel's query, and each answers with something."""
    end = time.time_ns() + 10**9
    empty = []
    for title, kind, query in expressions(dashboard):
        if kind == "instant":
            found = stack.loki.query(query, at_ns=end)
        else:
            found = range_result(stack, query, end)
        if not found:
            empty.append((title, query))
    assert [] == empty


def test_every_dashboard_expression_answers_through_grafana(stack, dashboard):
    """The same queries sent as a panel sends them, through Grafana's query API."""
    uid = stack.project.spec.grafana.datasources.loki.uid
    failed = []
    for title, kind, query in expressions(dashboard):
        body = {
            "from": str(int(time.time() * 1000) - 3_600_000),
            "to": str(int(time.time() * 1000) + 1000),
            "queries": [
                {
                    "refId": "A",
                    "datasource": {"type": "loki", "uid": uid},
                    "expr": query,
                    "queryType": kind,
                    "maxLines": 10,
                    "intervalMs": 60_000,
                    "maxDataPoints": 100,
                }
            ],
        }
        answer = stack.grafana.post("/api/ds/query", json=body)
        frames = answer.json().get("results", {}).get("A", {}).get("frames", [])
        rows = sum(len(frame["data"]["values"][0]) for frame in frames if frame["data"]["values"])
        if answer.status_code != 200 or rows == 0:
            failed.append((title, answer.status_code, answer.text[:200]))
    assert [] == failed


def range_result(stack, query, end):
    answer = httpx2.get(
        f"{stack.loki_url}/loki/api/v1/query_range",
        params={"query": query, "start": end - 3600 * 10**9, "end": end, "step": "60s"},
        timeout=30,
    )
    assert 200 == answer.status_code, answer.text
    return answer.json()["data"]["result"]
