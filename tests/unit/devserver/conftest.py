"""A development server in this process, without a socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from loglane.devserver import create_app
from loglane.devserver.store import NewEntry, Store

_MINUTE = 60 * 10**9


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


@pytest.fixture
def now_ns() -> int:
    """A moment a minute ago, so that what is pushed then lies in the default range of a query."""
    return time.time_ns() - _MINUTE


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app()) as client:
        yield client


@pytest.fixture
def push(client: TestClient, now_ns: int) -> Any:
    """Push lines to `{app="a"}`, a second apart; a tuple is a line with structured metadata."""

    def push(*lines: Any, stream: dict[str, str] | None = None) -> None:
        values = []
        for number, line in enumerate(lines):
            rest = list(line) if isinstance(line, tuple) else [line]
            values.append([str(now_ns + number * 10**9), *rest])
        body = {"streams": [{"stream": stream or {"app": "a"}, "values": values}]}
        response = client.post("/loki/api/v1/push", json=body)
        assert response.status_code == 204, response.text

    return push


@pytest.fixture
def lines(client: TestClient) -> Any:
    """Ask a log query; return its lines, oldest first."""

    def lines(query: str, **params: Any) -> list[str]:
        response = client.get(
            "/loki/api/v1/query_range",
            params={"query": query, "direction": "forward", **params},
        )
        assert response.status_code == 200, response.text
        found = [v for s in response.json()["data"]["result"] for v in s["values"]]
        return [value[1] for value in sorted(found, key=lambda value: int(value[0]))]

    return lines


def entries(*times: int, line: str = "x") -> list[NewEntry]:
    """Build entries without metadata at these nanoseconds."""
    return [NewEntry(ts, line.encode(), None) for ts in times]
