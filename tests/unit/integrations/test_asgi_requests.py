"""Ids come from valid headers only, and no request sees another one's context."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

import loglane
from loglane.integrations.asgi import RequestLogMiddleware
from tests.unit.integrations.asgi_apps import call, log, respond

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"traceparent", PARENT.encode())], TRACE),
        ([(b"TraceParent", PARENT.encode())], TRACE),
        ([(b"x-trace-id", b"order:17.a_b-c")], "order:17.a_b-c"),
        ([(b"x-trace-id", b"abc"), (b"traceparent", PARENT.encode())], TRACE),
        ([(b"x-trace-id", b"abc"), (b"traceparent", b"nonsense")], "abc"),
    ],
    ids=["traceparent", "upper-case", "x-trace-id", "both", "invalid-parent"],
)
def test_a_valid_trace_id_is_taken_over(lines, headers, expected):
    """`traceparent` wins over `X-Trace-ID`; the answer and the line have the same id."""
    start, _ = asyncio.run(call(RequestLogMiddleware(respond), headers))
    assert expected == lines()[0]["trace_id"] == dict(start["headers"])[b"x-trace-id"].decode()


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b"a b", b'x"}', b"a\r\nSet-Cookie: x=1", b"a\n{}", "ü".encode(), b"\xff\x00",
     b"a" * 129, b"a" * 100_000, b"a,b"],
    ids=lambda value: ascii(value)[2:20],
)  # fmt: skip
@pytest.mark.parametrize("name", [b"traceparent", b"x-trace-id", b"x-request-id"])
def test_a_hostile_header_gives_a_new_id(lines, name, value):
    """What is no id reaches neither a line nor the answer."""
    start, _ = asyncio.run(call(RequestLogMiddleware(respond), [(name, value)]))
    (line,) = lines()
    headers = dict(start["headers"])
    assert (32, 16) == (len(line["trace_id"]), len(line["request_id"]))
    assert (line["trace_id"] + line["request_id"]).isalnum()
    assert headers[b"x-trace-id"].decode() == line["trace_id"]
    assert headers[b"x-request-id"].decode() == line["request_id"]


@pytest.mark.parametrize(
    "value",
    ["x", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01",
     f"00-{TRACE.upper()}-00f067aa0ba902b7-01", f"ff-{TRACE}-00f067aa0ba902b7-01", f"{PARENT}\n"],
    ids=["text", "no-trace", "no-span", "upper", "version", "newline"],
)  # fmt: skip
def test_an_invalid_traceparent_gives_a_new_trace_id(lines, value):
    """What breaks a rule of W3C Trace Context is as good as absent."""
    asyncio.run(call(RequestLogMiddleware(respond), [(b"traceparent", value.encode())]))
    (line,) = lines()
    assert 32 == len(line["trace_id"])
    assert TRACE != line["trace_id"]


def test_a_header_given_twice_counts_as_none(lines):
    """Which of two ids is meant nobody knows."""
    headers = [(b"x-trace-id", b"one"), (b"x-trace-id", b"two"), (b"x-request-id", b"r")]
    asyncio.run(call(RequestLogMiddleware(respond), headers))
    (line,) = lines()
    assert line["trace_id"] not in ("one", "two")
    assert "r" == line["request_id"]


def test_a_trace_id_that_the_app_sets_is_the_answers(lines):
    """When the app goes over to another trace, lines and answer say so alike."""

    async def app(scope, receive, send):
        loglane.set_trace_id("chosen")
        await respond(scope, receive, send)

    start, _ = asyncio.run(call(RequestLogMiddleware(app)))
    assert "chosen" == lines()[0]["trace_id"]
    assert b"chosen" == dict(start["headers"])[b"x-trace-id"]


def test_an_app_that_clears_the_context_still_has_ids_on_its_access_line(lines):
    """The access line does not depend on what the app leaves in the context."""

    async def app(scope, receive, send):
        loglane.clear_context()
        await respond(scope, receive, send)

    asyncio.run(call(RequestLogMiddleware(app), [(b"x-request-id", b"r")]))
    (line,) = lines()
    assert ("r", "GET", "/") == (line["request_id"], line["method"], line["path"])


def test_a_request_that_is_cancelled_has_no_status(lines):
    """A server that stops is no crash."""

    async def app(_scope, _receive, _send):
        await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(call(RequestLogMiddleware(app)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [("info", None)] == [(line["level"], line["status"]) for line in lines()]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt], ids=lambda e: e.__name__)
def test_the_end_of_the_process_is_no_crash(lines, error):
    """An exception that is none of the app's goes through, and the request has its line."""

    async def app(_scope, _receive, _send):
        raise error

    async def main():
        with contextlib.suppress(error):
            await call(RequestLogMiddleware(app))

    asyncio.run(main())
    assert [("info", None)] == [(line["level"], line["status"]) for line in lines()]


class ClientDisconnect(Exception):
    """As Starlette names it."""


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "raises"])
def test_a_client_that_goes_away_before_the_answer_is_no_crash(lines, answers):
    """Whatever is sent afterwards reaches nobody, so the line has no status."""

    async def app(scope, receive, send):
        await receive()
        if not answers:
            raise ClientDisconnect
        await respond(scope, receive, send)

    async def receive():
        return {"type": "http.disconnect"}

    asyncio.run(call(RequestLogMiddleware(app), receive=receive))
    assert [("info", None, True)] == [
        (line["level"], line["status"], line["disconnected"]) for line in lines()
    ]


@pytest.mark.parametrize("wrapped", [True, False], ids=["wrapped", "as-it-is"])
def test_a_server_that_cannot_send_is_no_crash(lines, wrapped):
    """Since ASGI 2.4 a server raises OSError when the client left; frameworks may rename it."""

    async def app(scope, receive, send):
        try:
            await respond(scope, receive, send)
        except OSError as error:
            if wrapped:
                raise ClientDisconnect from error
            raise

    async def send(message):
        if message["type"] == "http.response.body":
            raise OSError("gone")

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(RequestLogMiddleware(app)(scope, None, send))
    assert [("info", 204, True)] == [
        (line["level"], line["status"], line["disconnected"]) for line in lines()
    ]


def test_an_oserror_of_the_apps_own_is_a_crash(lines):
    """Only what the server raised while it sent says that the client left."""

    async def app(_scope, _receive, _send):
        raise OSError("disk full")

    asyncio.run(call(RequestLogMiddleware(app)))
    assert {"error", "info"} == {line["level"] for line in lines()}


def test_a_disconnect_after_the_answer_is_the_usual_end(lines):
    """Servers say so to whoever goes on listening."""

    async def app(scope, receive, send):
        await respond(scope, receive, send)
        await receive()

    async def receive():
        return {"type": "http.disconnect"}

    asyncio.run(call(RequestLogMiddleware(app), receive=receive))
    assert [(204, False)] == [(line["status"], "disconnected" in line) for line in lines()]


def test_an_answer_with_trailers_is_complete_with_them(lines):
    """The access line comes after the last message of whatever kind."""
    order = []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await send({"type": "http.response.body", "body": b"a"})
        order.append(len(lines()))
        await send({"type": "http.response.trailers", "headers": []})
        order.append(len(lines()))

    asyncio.run(call(RequestLogMiddleware(app)))
    assert [0, 1] == order


def test_a_request_begun_inside_of_another_ones_context_has_nothing_of_it(lines):
    """Servers start the next request of a connection while they answer the one before."""
    app = RequestLogMiddleware(respond)
    loglane.bind_context(process="worker-1")

    async def first(scope, receive, send):
        loglane.bind_context(user_id=7)
        await asyncio.create_task(call(app, path="/second"))
        await respond(scope, receive, send)

    asyncio.run(call(RequestLogMiddleware(first), path="/first"))
    second, access = lines()
    assert (["/second", "/first"], [False, True]) == (
        [second["path"], access["path"]],
        ["user_id" in second, "user_id" in access],
    )
    assert ["worker-1"] * 2 == [second["process"], access["process"]]


def test_a_request_to_another_app_in_the_same_process_gives_the_context_back(lines):
    """After a call into an app by its ASGI interface, the caller's context is as before."""
    inner = RequestLogMiddleware(respond)

    async def gateway(scope, receive, send):
        loglane.bind_context(user_id=7)
        before = dict(loglane.get_context())
        await call(inner, path="/inner")
        assert before == loglane.get_context()
        await respond(scope, receive, send)

    asyncio.run(call(RequestLogMiddleware(gateway), path="/outer"))
    assert ["/inner", "/outer"] == [line["path"] for line in lines()]


def test_many_requests_at_once_do_not_mix(lines):
    """A thousand requests in one loop: each line has the ids of its own request."""

    async def app(scope, receive, send):
        loglane.bind_context(number=int(scope["path"][1:]))
        await asyncio.sleep(0)
        log.info("inside")
        await respond(scope, receive, send)

    async def main():
        middleware = RequestLogMiddleware(app)
        await asyncio.gather(
            *(call(middleware, [(b"x-request-id", f"r{n}".encode())], f"/{n}") for n in range(1000))
        )

    asyncio.run(main())
    found = lines()
    assert 2000 == len(found)
    assert {(f"r{n}", n, f"/{n}") for n in range(1000)} == {
        (line["request_id"], line["number"], line["path"]) for line in found
    }


def test_a_long_path_is_cut(lines):
    """The path is on every line of the request, so it has a limit."""
    asyncio.run(call(RequestLogMiddleware(respond), path="/" + "a" * 100_000))
    assert [1024] == [len(line["path"]) for line in lines()]


def test_lifespan_events_pass_through(lines):
    """Starting and stopping is no request."""
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope["type"])

    asyncio.run(RequestLogMiddleware(app)({"type": "lifespan"}, None, None))
    assert (["lifespan"], []) == (seen, lines())
