"""The application: pushes, tails, reads, and the refusal of everything else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from loglane.devserver.api.decode import MAX_BODY_BYTES, decode_push
from loglane.devserver.api.fixed import fixed_routes
from loglane.devserver.api.requests import read_body, tenant_of
from loglane.devserver.api.routes import guarded, read_routes
from loglane.devserver.api.tail import serve_tail
from loglane.devserver.api.validation import store_push
from loglane.devserver.refusal import unsupported
from loglane.devserver.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

_ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(db: str | None = None) -> Starlette:
    """Build the ASGI application of the development server.

    Args:
        db: A database file, created when missing; None keeps everything in memory.

    Raises:
        LoglaneError: The file is not a database of this server.
    """
    store = Store(db)

    async def push(request: Request) -> Response:
        body = await read_body(request, MAX_BODY_BYTES)
        await run_in_threadpool(_push, store, request, body)
        return Response(status_code=204)

    async def tail(websocket: WebSocket) -> None:
        await serve_tail(store, websocket)

    routes: list[BaseRoute] = [
        Route("/loki/api/v1/push", guarded(push), methods=["POST"]),
        WebSocketRoute("/loki/api/v1/tail", tail),
        *read_routes(store),
        *fixed_routes(),
        Route("/{path:path}", guarded(_unknown), methods=_ALL_METHODS),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            store.close()

    return Starlette(routes=routes, lifespan=lifespan)


def _push(store: Store, request: Request, body: bytes) -> None:
    headers = request.headers
    streams = decode_push(
        body, headers.get("content-type", ""), headers.get("content-encoding", "")
    )
    store_push(store, tenant_of(request), streams)


async def _unknown(request: Request) -> Response:
    if request.url.path.startswith(("/loki/api/", "/otlp/", "/api/prom/")):
        raise unsupported(f"{request.method} {request.url.path}")
    return PlainTextResponse("404 page not found\n", 404)
