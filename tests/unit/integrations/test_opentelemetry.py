"""Where OpenTelemetry is active, its ids are the lines' ids."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

import loglane
from loglane.integrations.asgi import RequestLogMiddleware
from loglane.integrations.wsgi import RequestLogWsgiMiddleware
from loglane.trace import outgoing_headers
from tests.unit.integrations.asgi_apps import call, respond

log = loglane.get_logger("app")


@pytest.fixture
def span():
    """Return a function that starts a span and makes it the current one."""
    return TracerProvider().get_tracer("test").start_as_current_span


def ids(span):
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def test_lines_in_a_span_carry_its_ids(lines, span):
    """Trace and span id are OpenTelemetry's inside of a span, also over what is bound."""
    loglane.bind_context(trace_id="bound")
    with span("outer") as outer:
        log.info("m")
        with span("inner") as inner:
            log.info("m")
    log.info("m")
    found = [(line["trace_id"], line.get("span_id")) for line in lines()]
    assert [ids(outer), ids(inner), ("bound", None)] == found


def test_a_span_that_is_not_recorded_counts_too(lines):
    """A trace that is not sampled, or comes from elsewhere, still has ids."""
    context = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(0))
    with trace.use_span(NonRecordingSpan(context)):
        log.info("m")
    (line,) = lines()
    assert (f"{0xABC:032x}", f"{0xDEF:016x}") == (line["trace_id"], line["span_id"])


def test_lines_of_stdlib_logging_in_a_span_carry_its_ids(lines, span):
    """What comes through the bridge is no different."""
    import logging

    with span("outer") as outer:
        logging.getLogger("other").warning("m")
    (line,) = lines()
    assert ids(outer) == (line["trace_id"], line["span_id"])


def test_a_request_inside_of_a_span_has_its_trace_id(lines, span):
    """When OpenTelemetry's middleware stands outside, its trace is the request's."""
    with span("server") as outer:
        start, _ = asyncio.run(call(RequestLogMiddleware(respond), [(b"x-trace-id", b"other")]))
    (line,) = lines()
    assert ids(outer)[0] == line["trace_id"] == dict(start["headers"])[b"x-trace-id"].decode()


def test_a_span_inside_of_a_request_gives_the_answer_its_trace_id(lines, span):
    """When OpenTelemetry's middleware stands inside, the answer names the trace of the lines."""
    found = []

    async def app(scope, receive, send):
        with span("server") as inner:
            found.append(ids(inner)[0])
            log.info("inside")
            await respond(scope, receive, send)
        raise ValueError("after the span")

    start, _ = asyncio.run(call(RequestLogMiddleware(app)))
    assert found * 3 == [line["trace_id"] for line in lines()]
    assert found == [dict(start["headers"])[b"x-trace-id"].decode()]


def test_a_span_inside_of_a_wsgi_request_gives_the_answer_its_trace_id(lines, span):
    """The same for WSGI."""
    found, started = [], []

    def app(_environ, start_response):
        with span("server") as inner:
            found.append(ids(inner)[0])
            start_response("200 OK", [])
        return [b"later"]

    list(RequestLogWsgiMiddleware(app)({}, lambda _status, headers: started.append(dict(headers))))
    assert found == [line["trace_id"] for line in lines()] == [started[0]["X-Trace-ID"]]


def test_outgoing_headers_name_the_span(span):
    """What the app calls becomes a child of the current span."""
    with span("outer") as outer:
        trace_id, span_id = ids(outer)
        assert {
            "X-Trace-ID": trace_id,
            "traceparent": f"00-{trace_id}-{span_id}-{outer.get_span_context().trace_flags:02x}",
        } == outgoing_headers()


def test_an_unsampled_span_goes_out_unsampled():
    """The flag says what the span says, so a service behind does not record what nobody keeps."""
    context = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(0))
    with trace.use_span(NonRecordingSpan(context)):
        assert f"00-{0xABC:032x}-{0xDEF:016x}-00" == outgoing_headers()["traceparent"]
