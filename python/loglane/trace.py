"""Trace ids: made, checked, carried in the context, read from and written to headers.

Formats: W3C Trace Context (https://www.w3.org/TR/trace-context/) and the plain `X-Trace-ID`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from loglane.context import bind_context, bound, get_context, unbind_context

TRACE_HEADER = "X-Trace-ID"
REQUEST_HEADER = "X-Request-ID"
TRACEPARENT_HEADER = "traceparent"

# What a foreign id may look like. Longer or other text is no id but an attempt at something.
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_HEX_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
# A version above 00 may carry more after the flags (section 3.2.4 of the recommendation).
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-[0-9a-f]{2}(-[!-~]*)?"
)
_MAX_HEADER = 512


class TraceToken(NamedTuple):
    """What `set_trace_id` replaced; `clear_trace_id` takes it, in any task or thread."""

    previous: str | None


def new_trace_id() -> str:
    """Return a random id of 32 hex digits."""
    return os.urandom(16).hex()


def new_span_id() -> str:
    """Return a random id of 16 hex digits."""
    return os.urandom(8).hex()


def valid_id(text: object) -> str | None:
    """Return the id when it is 1 to 128 letters, digits, dots, colons, dashes, underscores."""
    return text if isinstance(text, str) and _ID.fullmatch(text) else None


def set_trace_id(trace_id: str | None = None) -> TraceToken:
    """Give following lines of this task or thread a trace id.

    Args:
        trace_id: The id. A text that is no id (see `valid_id`), as a hostile header is, or None
            becomes a new one.

    Returns:
        A token for `clear_trace_id`.
    """
    token = TraceToken(get_context().get("trace_id"))
    bind_context(trace_id=valid_id(trace_id) or new_trace_id())
    return token


def get_trace_id() -> str | None:
    """Return the trace id of following lines: OpenTelemetry's when a span is active."""
    span = active_span()
    if span is not None:
        return span[0]
    found = get_context().get("trace_id")
    return found if isinstance(found, str) else None


def clear_trace_id(token: TraceToken | None = None) -> None:
    """Give back the trace id that `set_trace_id` replaced; without a token, have none."""
    if token is None or token.previous is None:
        unbind_context("trace_id")
    else:
        bind_context(trace_id=token.previous)


def with_trace_id(trace_id: str | None = None) -> bound:
    """Give the lines of a block, or of each call of a function, one trace id.

    Args:
        trace_id: As for `set_trace_id`; None gives each block and each call a new one.

    Returns:
        A context manager and decorator, for functions of every kind.
    """
    if trace_id is None:
        return _NewTrace()
    return bound(trace_id=valid_id(trace_id) or new_trace_id())


class _NewTrace(bound):
    def _given(self) -> dict[str, Any]:
        return {"trace_id": new_trace_id()}


def active_span() -> tuple[str, str] | None:
    """Return OpenTelemetry's current trace and span id in hex; None when it is not in use."""
    span = _span_context()
    return None if span is None else (f"{span.trace_id:032x}", f"{span.span_id:016x}")


def _span_context() -> Any:
    api = sys.modules.get("opentelemetry.trace")
    try:
        span = api.get_current_span().get_span_context()  # type: ignore[union-attr]
        return span if span.is_valid else None
    except AttributeError:
        # Not imported, or only half so far.
        return None


def parse_traceparent(text: str) -> tuple[str, str] | None:
    """Return trace id and parent span id of a `traceparent` header; None when it is not valid."""
    match = _TRACEPARENT.fullmatch(text) if len(text) <= _MAX_HEADER else None
    if match is None or (match[1] == "00" and match[4] is not None):
        return None
    return match[2], match[3]


def incoming_trace_id(traceparent: str | None, trace_id: str | None) -> str:
    """Choose the trace id of a request.

    Args:
        traceparent: Its `traceparent` header; when valid it wins.
        trace_id: Its `X-Trace-ID` header.

    Returns:
        The id that the caller sent, or a new one when it sent none that is valid.
    """
    parent = parse_traceparent(traceparent) if traceparent else None
    return parent[0] if parent else valid_id(trace_id) or new_trace_id()


def outgoing_headers(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the headers that carry the trace on to another service.

    Args:
        given: Headers that the request has already, with names in lower case; they stay as they
            are.

    Returns:
        `X-Trace-ID`, and `traceparent` when the id has its form; empty without a trace id.
    """
    trace_id = get_trace_id()
    if trace_id is None or valid_id(trace_id) is None:
        return {}
    headers = {TRACE_HEADER: trace_id}
    if _HEX_ID.fullmatch(trace_id):
        span = _span_context()
        # Without a span: sampled, or a service behind us that asks its parent loses the trace.
        parent, flags = (f"{span.span_id:016x}", span.trace_flags) if span else (new_span_id(), 1)
        headers[TRACEPARENT_HEADER] = f"00-{trace_id}-{parent}-{flags:02x}"
    present = given or {}
    return {name: value for name, value in headers.items() if name.lower() not in present}
