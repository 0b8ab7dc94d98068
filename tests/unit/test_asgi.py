"""Each request has ids, one access line, and an answer that carries the ids."""

from __future__ import annotations

import asyncio
import json

import pytest
import structlog
from fastapi import FastAPI
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.testclient import TestClient

import loglane
from loglane.integrations.asgi import RequestLogMiddleware

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def client(capfd):
    loglane.configure(service="shop")
    app = FastAPI()
    log = loglane.get_logger("app")

    @app.get("/items/{number}")
    async def item(number: int):
        log.info("inside")
        return number

    @app.get("/crash")
    async def crash():
        return 1 / 0

    @app.get("/stream")
    async def stream():
        def parts():
            yield "a"
            raise RuntimeError("late")

        return StreamingResponse(parts())

    @app.get("/custom")
    async def custom():
        raise LookupError("no")

    @app.exception_handler(LookupError)
    async def answer(_request, _error):
        return JSONResponse({"custom": True}, 418)

    yield TestClient(RequestLogMiddleware(app))
    structlog.reset_defaults()


def read(capfd) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_request_lines_share_the_ids_that_the_answer_carries(client, capfd):
    """The app's lines and the access line have the same ids, and the answer names them once."""
    answer = client.get("/items/3", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    lines = read(capfd)
    assert ["inside", "request"] == [line["message"] for line in lines]
    assert {TRACE} == {line["trace_id"] for line in lines}
    assert {answer.headers["x-request-id"]} == {line["request_id"] for line in lines}
    assert [TRACE] == answer.headers.get_list("x-trace-id")


def test_access_line_says_what_was_asked_and_answered(client, capfd):
    """Method, path, route template, status and duration are fields of the access line."""
    client.get("/items/3")
    access = read(capfd)[-1]
    assert ("access", "GET", "/items/3", "/items/{number}", 200) == tuple(
        access[name] for name in ("log_category", "method", "path", "route", "status")
    )
    assert access["duration_ms"] >= 0


def test_refused_request_is_one_access_line(client, capfd):
    """A validation error is an access line with 422 and nothing else."""
    client.get("/items/x")
    assert [422] == [line["status"] for line in read(capfd)]


def test_crash_is_logged_and_answered(client, capfd):
    """An exception is one error line with its traceback; the caller gets 500 and the ids."""
    answer = client.get("/crash")
    error, access = read(capfd)
    assert 500 == answer.status_code
    assert ("error", 500) == (error["level"], access["status"])
    assert error["exception"].endswith("ZeroDivisionError: division by zero")
    assert answer.headers["x-trace-id"] == error["trace_id"] == access["trace_id"]


def test_the_apps_own_handler_answers_and_nothing_is_logged_as_a_crash(client, capfd):
    """An exception that the app handles is its own business; the answer carries the ids."""
    answer = client.get("/custom")
    (access,) = read(capfd)
    assert (418, {"custom": True}) == (answer.status_code, answer.json())
    assert answer.headers["x-trace-id"] == access["trace_id"]


def test_inside_of_a_framework_an_exception_goes_on_to_its_handler(capfd):
    """By add_middleware, the app's handler for every exception still answers."""
    loglane.configure(service="shop")
    app = FastAPI()
    app.add_middleware(RequestLogMiddleware)

    @app.get("/crash")
    async def crash():
        return 1 / 0

    @app.exception_handler(Exception)
    async def answer(_request, _error):
        return JSONResponse({"custom": True}, 500)

    found = TestClient(app, raise_server_exceptions=False).get("/crash")
    structlog.reset_defaults()
    assert {"custom": True} == found.json()
    assert [("error", None), ("info", 500)] == [
        (line["level"], line.get("status")) for line in read(capfd)
    ]


def test_crash_after_the_answer_began_goes_on_to_the_server(client, capfd):
    """A broken stream is logged, and raised so that the server closes the connection."""
    with pytest.raises(RuntimeError, match="late"):
        client.get("/stream")
    assert ["unhandled exception", "request"] == [line["message"] for line in read(capfd)]


def test_a_request_that_is_cancelled_has_no_status(capfd):
    """A client that went away, or a server that stops, is no crash."""
    loglane.configure()

    async def app(_scope, _receive, _send):
        await asyncio.Event().wait()

    async def main():
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.create_task(RequestLogMiddleware(app)(scope, None, None))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    structlog.reset_defaults()
    assert [("info", None)] == [(line["level"], line["status"]) for line in read(capfd)]


@pytest.mark.parametrize(
    "header",
    ["", "x", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-00f067aa0ba902b7-01\n{{}}",
     f"00-{TRACE.upper()}-00f067aa0ba902b7-01", "00-" + "a" * 5000],
    ids=["empty", "text", "zeros", "newline", "upper", "long"],
)  # fmt: skip
def test_invalid_traceparent_gives_a_new_trace_id(capfd, header):
    """A header that is not a valid traceparent never reaches a line."""
    loglane.configure()
    sent = []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/"}
    scope["headers"] = [(b"traceparent", header.encode())]
    asyncio.run(RequestLogMiddleware(app)(scope, None, send))
    structlog.reset_defaults()
    (line,) = read(capfd)
    assert 32 == len(line["trace_id"])
    assert TRACE != line["trace_id"]
    assert line["trace_id"].isalnum()
