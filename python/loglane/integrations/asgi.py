"""Middleware for ASGI apps (FastAPI, Starlette, Litestar): ids, one access line, crashes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import TYPE_CHECKING, Any

from loglane.integrations.access import MARKER, Access, Rules, make_rules
from loglane.trace import TRACE_HEADER

if TYPE_CHECKING:
    from starlette.applications import Starlette

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Frameworks type scope, receive and send each in their own way.
App = Callable[[Any, Any, Any], Awaitable[None]]

# The kinds of message that may end an answer (https://asgi.readthedocs.io/en/latest/extensions.html).
_BODY = ("http.response.body", "http.response.pathsend", "http.response.zerocopysend")
# What frameworks raise into an app that goes on after its client left.
_CLIENT_LEFT = ("ClientDisconnect", "WebSocketDisconnect")


class RequestLogMiddleware:
    """Binds ids, method and path for each request, and writes one access line for it.

    The trace id is taken from `traceparent` or `X-Trace-ID`, the request id from `X-Request-ID`,
    when they are valid; the answer carries both. The access line is written when the last part of
    the answer is sent, so background tasks do not count. An exception that the app lets out is
    logged with its traceback; it is raised again unless the answer is complete by then, so the
    framework's or the server's own handling goes on. Of several of these around a request, the
    outermost acts. WebSockets have their line when they close.

    `install(app)`, or wrapping the whole app, covers every answer. By `add_middleware` it stands
    inside of Starlette's handling of errors; it moves out of it when the app starts, or with the
    first request if the server sends no lifespan events.
    """

    def __init__(
        self, app: App, *, exclude: Collection[str] = (), header: str = TRACE_HEADER
    ) -> None:
        """Wrap an app.

        Args:
            app: The app.
            exclude: Paths, or route templates, without an access line, such as `/health`.
            header: The header that carries the trace id, in and out.

        Raises:
            ValueError: `header` is no name of a header.
        """
        self._app = app
        self._rules = make_rules(exclude, header)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; lifespan events pass through."""
        self._move_out(scope)
        kind = _EXCHANGES.get(scope["type"])
        if kind is None or MARKER in scope:
            await self._app(scope, receive, send)
            return
        scope[MARKER] = True
        try:
            await kind(self._rules, scope, receive, send).run(self._app)
        finally:
            scope.pop(MARKER, None)

    def _move_out(self, scope: Scope) -> None:
        """Stand around the whole of a Starlette app that has this class by `add_middleware`."""
        app = scope.get("app")
        stack = getattr(app, "middleware_stack", None)
        if stack is None or isinstance(stack, RequestLogMiddleware):
            return
        added = (entry.cls for entry in getattr(app, "user_middleware", ()))
        if RequestLogMiddleware in added:
            app.middleware_stack = _around(stack, self._rules)  # type: ignore[union-attr]


def install(app: Starlette, *, exclude: Collection[str] = (), header: str = TRACE_HEADER) -> None:
    """Put a `RequestLogMiddleware` around all of a FastAPI or Starlette app.

    Unlike `add_middleware`, it also stands around the app's answer to an unhandled exception from
    the first request on, whatever the server does.

    Args:
        app: The app; it keeps its type and its methods.
        exclude: Paths, or route templates, without an access line.
        header: The header that carries the trace id, in and out.

    Raises:
        ValueError: `header` is no name of a header.
    """
    rules = make_rules(exclude, header)
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: _around(build(), rules)  # type: ignore[method-assign]
    if app.middleware_stack is not None:
        app.middleware_stack = _around(app.middleware_stack, rules)


def _around(app: App, rules: Rules) -> RequestLogMiddleware:
    return RequestLogMiddleware(app, exclude=rules.exclude, header=rules.header)


class _Exchange:
    """One connection: passes its messages on, and remembers what the access line says."""

    message = "request"

    def __init__(self, rules: Rules, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        self.access = Access(
            rules,
            lambda name: _header(scope, name),
            method=scope.get("method", "WEBSOCKET"),
            path=scope["path"],
            client=client[0] if client else None,
        )
        self.status: int | None = None
        self.complete = False
        self.client_left = False
        self._lost: OSError | None = None
        self.more: dict[str, Any] = {}
        self._scope = scope
        self._receive = receive
        self._send = send
        # Frameworks name themselves in the scope; one of them around this answers crashes itself.
        self._framework_outside = "app" in scope

    async def run(self, app: App) -> None:
        undo = self.access.bind()
        try:
            await self._run(app)
        finally:
            self.finish()
            undo()

    async def _run(self, app: App) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        except Exception as error:
            if self._is_farewell(error):
                return
            self.access.crash(_route(self._scope))
            if self.status is None and not self.client_left:
                await self.refuse()
            if not self.complete:
                raise

    def _is_farewell(self, error: Exception) -> bool:
        if not self.client_left:
            return False
        return type(error).__name__ in _CLIENT_LEFT or error is self._lost

    async def receive(self) -> Message:
        raise NotImplementedError

    async def send(self, message: Message) -> None:
        raise NotImplementedError

    async def pass_on(self, message: Message) -> None:
        """Send a message; a server may raise when nobody is there to get it."""
        try:
            await self._send(message)
        except OSError as error:
            self._lost = error
            self.leave()
            raise

    def leave(self) -> None:
        if not self.complete:
            self.client_left = True
            self.more["disconnected"] = True

    async def refuse(self) -> None:
        """Answer a crash that nobody inside has answered."""
        self.status = 500

    def with_ids(self, message: Message) -> Message:
        """Return the start of an answer with each id in it once, whatever the app put there."""
        own = [
            (name.lower().encode(), value.encode()) for name, value in self.access.answer_headers()
        ]
        names = {name for name, _ in own}
        others = [pair for pair in message.get("headers") or () if pair[0].lower() not in names]
        return {**message, "headers": [*others, *own]}

    def finish(self) -> None:
        self.access.write(self.message, self.status, _route(self._scope), **self.more)


class _Http(_Exchange):
    def __init__(self, rules: Rules, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(rules, scope, receive, send)
        self._trailers = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.leave()
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            # What is sent after the client left reaches nobody.
            self.status = None if self.client_left else message["status"]
            self._trailers = message.get("trailers", False)
            message = self.with_ids(message)
        await self.pass_on(message)
        if kind == "http.response.trailers":
            self.complete = not message.get("more_trailers", False)
        elif kind in _BODY and not self._trailers:
            self.complete = not message.get("more_body", False)
        if self.complete:
            self.finish()

    async def refuse(self) -> None:
        await super().refuse()
        if not self._framework_outside:
            text = (b"content-type", b"text/plain; charset=utf-8")
            await self.send({"type": "http.response.start", "status": 500, "headers": [text]})
            await self.send({"type": "http.response.body", "body": b"Internal Server Error"})


class _WebSocket(_Exchange):
    message = "websocket"

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.client_left = True
            self._close(message)
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self.status = 101
            message = self.with_ids(message)
        elif kind == "websocket.http.response.start":
            self.status = message["status"]
            message = self.with_ids(message)
        await self.pass_on(message)
        if kind == "websocket.close":
            # Refused before it was accepted, it is answered with 403 by the server.
            self.status = self.status or 403
            self._close(message)
        elif kind == "websocket.http.response.body" and not message.get("more_body", False):
            self.complete = True
            self.finish()

    def _close(self, message: Message) -> None:
        if not self.complete:
            self.complete = True
            self.more["close_code"] = message.get("code", 1000)
            self.finish()


_EXCHANGES: dict[str, type[_Exchange]] = {"http": _Http, "websocket": _WebSocket}


def _header(scope: Scope, name: str) -> str | None:
    """Return a header's value; None when it is absent or given twice, as nobody means that."""
    wanted = name.lower().encode()
    values = [value for key, value in scope.get("headers") or () if key.lower() == wanted]
    return values[0].decode("latin-1") if len(values) == 1 else None


def _route(scope: Scope) -> str | None:
    """Return the template that the path matched: the path holds ids, so this is to group by."""
    template = scope.get("path_template")  # Litestar
    if template:
        return str(template)
    route = scope.get("route")
    # FastAPI: a router within a router; the route alone does not know the outer prefix.
    nested = scope.get("fastapi", {}).get("effective_route_context")
    if nested is not None and getattr(nested, "original_route", None) is route:
        route = nested
    # Where an app is mounted, `root_path` grew by what led here; its template nobody keeps.
    root = scope.get("app_root_path")
    mounted = "" if root is None else str(scope.get("root_path", ""))[len(root) :]
    # A mount itself is a route too, and the last one where nothing inside of it matched.
    path = None if hasattr(route, "routes") else getattr(route, "path", None)
    return mounted + path if isinstance(path, str) else mounted or None
