"""What the ASGI and the WSGI middleware share: a request's ids, context and one access line."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from loglane.context import Frame, bind_context, current_frame, use_frame
from loglane.pipeline import get_logger
from loglane.trace import (
    REQUEST_HEADER,
    TRACE_HEADER,
    TRACEPARENT_HEADER,
    active_span,
    get_trace_id,
    incoming_trace_id,
    valid_id,
)

# In an ASGI scope or a WSGI environ: a middleware further out looks after this request.
MARKER = "loglane.request"

# A field name of HTTP (https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2).
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_MAX_PATH = 1024

# The context from before the request, to be found by whoever inherits the request's context.
_before_request: ContextVar[Frame | None] = ContextVar("loglane_before_request", default=None)


def _is_no_double(_record: logging.LogRecord) -> bool:
    return _before_request.get() is None


@dataclass(frozen=True, slots=True)
class Rules:
    """How a middleware treats requests.

    Attributes:
        exclude: Paths and route templates without an access line.
        header: The header that carries the trace id, in and out.
    """

    exclude: frozenset[str]
    header: str


def make_rules(exclude: Collection[str] = (), header: str = TRACE_HEADER) -> Rules:
    """Return the rules of a middleware.

    Args:
        exclude: Exact paths, or route templates, such as `/health`.
        header: Name of the header that carries the trace id.

    Raises:
        ValueError: The header's name is none that HTTP allows.
    """
    if not _HEADER.fullmatch(header):
        raise ValueError(f"header={header!r} is not the name of an HTTP header")
    # uvicorn writes its own access line while the answer starts, so inside of a request of ours.
    logging.getLogger("uvicorn.access").addFilter(_is_no_double)
    return Rules(frozenset([exclude] if isinstance(exclude, str) else exclude), header)


class Access:
    """One request: its ids, and its access line, which is written once.

    Attributes:
        trace_id: The caller's, or OpenTelemetry's when a span is active, or a new one.
        request_id: The caller's when it is a valid id, or a new one.
    """

    def __init__(
        self,
        rules: Rules,
        header: Callable[[str], str | None],
        *,
        method: str,
        path: str,
        client: str | None,
    ) -> None:
        span = active_span()
        given = header(TRACEPARENT_HEADER), header(rules.header)
        self.trace_id = span[0] if span else incoming_trace_id(*given)
        self.request_id = valid_id(header(REQUEST_HEADER)) or os.urandom(8).hex()
        self._rules = rules
        self._request = {"method": method, "path": path[:_MAX_PATH]}
        self._client = client
        self._log = get_logger("loglane.access")
        self._began = time.perf_counter()
        self._written = False

    def bind(self) -> Callable[[], None]:
        """Bind ids, method and path; return what gives back the context from before.

        A server may start a request in a copy of an earlier one's context (the next request of a
        connection is often read while the last one is still being answered), so what that one bound
        is left out.
        """
        found = current_frame()
        before = _before_request.get() or found
        token = _before_request.set(before)
        use_frame(before)
        bind_context(trace_id=self.trace_id, request_id=self.request_id, **self._request)

        def undo() -> None:
            try:
                _before_request.reset(token)
            except ValueError:
                # The request was given up, and is closed in a context that is not its own.
                return
            use_frame(found)

        return undo

    def answer_headers(self) -> list[tuple[str, str]]:
        """Return the headers of the answer; the trace id is that of the lines written now."""
        self.trace_id = valid_id(get_trace_id()) or self.trace_id
        return [(self._rules.header, self.trace_id), (REQUEST_HEADER, self.request_id)]

    def crash(self, route: str | None) -> None:
        """Write the exception that is being handled, with its traceback."""
        self._log.exception("unhandled exception", **self._fields(route))

    def write(self, message: str, status: int | None, route: str | None, **more: Any) -> None:
        """Write the access line, unless it is written or excluded.

        Args:
            message: `request` or `websocket`.
            status: Of the answer; None when the client went away before there was one.
            route: The template that the path matched, if it is known.
            more: Further fields.
        """
        if self._written:
            return
        self._written = True
        if self._rules.exclude.isdisjoint((self._request["path"], route)):
            self._log.info(
                message,
                log_category="access",
                **self._fields(route),
                status=status,
                duration_ms=round((time.perf_counter() - self._began) * 1000, 3),
                client=self._client,
                **more,
            )

    def _fields(self, route: str | None) -> dict[str, Any]:
        # The ids again: the app may have cleared the context, and OpenTelemetry's span may be over.
        ids = {"trace_id": self.trace_id, "request_id": self.request_id}
        return {**ids, **self._request, "route": route}
