"""Middleware for any ASGI app: ids for each request, one access line, one line for a crash."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from loglane.context import bound
from loglane.pipeline import get_logger

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# The kinds of message that may end an answer (https://asgi.readthedocs.io/en/latest/extensions.html).
_BODY = ("http.response.body", "http.response.pathsend", "http.response.zerocopysend")
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\Z")


class RequestLogMiddleware:
    """Binds trace and request id for each request and writes one access line for it.

    A trace id is taken from a valid `traceparent` header, else it is new. The answer carries both
    ids. An exception that the app lets out is logged with its traceback; it is raised again unless
    the answer is complete by then, so the framework's or the server's own handling goes on.

    Wrap the whole app, `app = RequestLogMiddleware(FastAPI())`, and the answers of the framework's
    own error handling carry the ids too; by `add_middleware` it stands inside of that handling.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._log = get_logger("loglane.access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = {"trace_id": _trace_id(scope), "request_id": secrets.token_hex(8)}
        answer = _Answer(send, ids)
        began = time.perf_counter()
        # None: the client went away, or the server stopped, before there was an answer.
        status: int | None = None
        with bound(**ids):
            try:
                await self._app(scope, receive, answer.send)
            except Exception:
                self._log.exception("unhandled exception", **_request(scope))
                # What has no answer yet is answered by whoever catches the exception.
                status = 500
                if not answer.complete:
                    raise
            finally:
                self._log.info(
                    "request",
                    log_category="access",
                    **_request(scope),
                    status=answer.status or status,
                    duration_ms=round((time.perf_counter() - began) * 1000, 3),
                )


class _Answer:
    """Passes an answer on with the ids added, and remembers its status."""

    def __init__(self, send: Send, ids: dict[str, str]) -> None:
        self._send = send
        self._headers = [
            (b"x-trace-id", ids["trace_id"].encode()),
            (b"x-request-id", ids["request_id"].encode()),
        ]
        self.status: int | None = None
        self.complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [name for name, _ in self._headers]
            others = [pair for pair in message.get("headers", ()) if pair[0].lower() not in own]
            message = {**message, "headers": [*others, *self._headers]}
        elif message["type"] in _BODY:
            self.complete = not message.get("more_body", False)
        await self._send(message)


def _trace_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        match = _TRACEPARENT.match(value) if name == b"traceparent" else None
        if match is not None and match[1] != b"0" * 32:
            return bytes(match[1]).decode()
    return secrets.token_hex(16)


def _request(scope: Scope) -> dict[str, Any]:
    # The path holds ids; the route template is what to group by.
    route = getattr(scope.get("route"), "path", None)
    return {"method": scope["method"], "path": scope["path"], "route": route}
