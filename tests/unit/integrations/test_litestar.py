"""Litestar: ids and one access line, around the app or by its own list of middleware."""

from __future__ import annotations

import pytest
from litestar import Litestar, Router, get
from litestar.testing import TestClient

import loglane
from loglane.integrations.asgi import RequestLogMiddleware

log = loglane.get_logger("app")


@get("/items/{number:int}")
async def item() -> int:
    log.info("inside")
    return 1


@get("/threaded/{number:int}", sync_to_thread=True)
def threaded() -> int:
    log.info("inside")
    return 1


@get("/crash")
async def crash() -> int:
    return 1 // 0


HANDLERS = [Router("/api", route_handlers=[item, threaded, crash])]


def wrapped():
    return RequestLogMiddleware(Litestar(HANDLERS, logging_config=None))


def listed():
    return Litestar(HANDLERS, logging_config=None, middleware=[RequestLogMiddleware])


@pytest.mark.parametrize("make", [wrapped, listed], ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/api/items/3", "/api/items/{number}", 200),
        ("/api/threaded/3", "/api/threaded/{number}", 200),
        ("/api/crash", "/api/crash", 500),
    ],
)
def test_every_answer_carries_the_ids_of_its_lines_once(lines, make, path, route, status):
    """One access line with the route's template; the app's lines have the ids."""
    with TestClient(make(), raise_server_exceptions=False) as client:
        answer = client.get(path, headers={"x-request-id": "r-1"})
    found = [line for line in lines() if line["logger"] in ("app", "loglane.access")]
    access = [line for line in found if line["message"] == "request"]
    assert status == answer.status_code
    assert [(path, route, status)] == [
        (line["path"], line["route"], line["status"]) for line in access
    ]
    assert ["r-1"] == answer.headers.get_list("x-request-id")
    assert 1 == len(answer.headers.get_list("x-trace-id"))
    assert {(answer.headers["x-trace-id"], "r-1")} == {
        (line["trace_id"], line["request_id"]) for line in found
    }


def test_around_the_app_unknown_paths_are_logged(lines):
    """Litestar asks its list of middleware only for routes; around the app nothing is missed."""
    with TestClient(wrapped()) as client:
        answer = client.get("/none")
    assert 1 == len(answer.headers.get_list("x-trace-id"))
    assert [("/none", None, 404)] == [
        (line["path"], line["route"], line["status"])
        for line in lines()
        if line["message"] == "request"
    ]
