"""Every query that the product's own dashboards and alerts ask is known to the embedded server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from loglane.devserver import create_app

_ROOT = Path(__file__).resolve().parent.parent.parent
# What Grafana puts in place of its variables; the longer name first.
_VARIABLES = {
    "${search:regex}": "boom",
    "$__interval": "1m",
    "$__range": "1h",
    "${trace_id:regex}": "",
    "$trace_id": "",
    "$service": ".+",
    "$level": "info|error",
    "$label": "level",
    "$env": ".+",
    "$id": "4bf92f35",
}
# Grafana's Explore asks it beside a log query, for the bars above the lines.
_EXPLORE = (
    'sum by (level) (count_over_time({service="api"} | drop __error__[1m]))',
    'sum by (level) (count_over_time({service="api"} |= `x` | json | drop __error__[1m]))',
    'sum by (level, detected_level) (count_over_time({service="api"} | drop __error__[1m]))',
)


def _queries() -> Iterator[str]:
    for folder in ("stack/rendered", "tests/golden/trees"):
        for file in sorted((_ROOT / folder).rglob("*.json")):
            yield from _loki_queries(json.loads(file.read_text()), None)
        for file in sorted((_ROOT / folder).rglob("alerting/rules.yaml")):
            yield from _loki_queries(yaml.safe_load(file.read_text()), None)
    yield from _EXPLORE


def _loki_queries(node: Any, source: str | None) -> Iterator[str]:
    """Find the expressions whose own or nearest datasource is a Loki."""
    if isinstance(node, dict):
        given = node.get("datasource")
        source = given.get("type", source) if isinstance(given, dict) else source
        if isinstance(node.get("expr"), str) and source == "loki":
            yield node["expr"]
        for item in node.values():
            yield from _loki_queries(item, source)
    elif isinstance(node, list):
        for item in node:
            yield from _loki_queries(item, source)


_QUERIES = sorted(set(_queries()))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app()) as client:
        yield client


def test_queries_are_found() -> None:
    """The dashboards, the alert rules and Explore all have some."""
    assert len(_QUERIES) > 60
    assert any("[5m]))" in query and "$" not in query for query in _QUERIES)


@pytest.mark.parametrize("query", _QUERIES)
def test_query_of_a_dashboard_is_accepted(client: TestClient, query: str) -> None:
    """The server answers it, or says which stage it does not know yet."""
    for name, value in _VARIABLES.items():
        query = query.replace(name, value)
    response = client.get("/loki/api/v1/query_range", params={"query": query})
    assert response.status_code == 200, response.text
