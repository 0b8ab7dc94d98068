"""Routes, tenants and the form of refusals."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from loglane.devserver.api.decode import MAX_BODY_BYTES, decode_push
from loglane.devserver.api.encoding import CATEGORIZE_LABELS
from loglane.devserver.api.reads import Reads
from loglane.devserver.api.requests import encoding_flags, read_body, read_params, tenant_of
from loglane.devserver.api.tail import serve_tail
from loglane.devserver.api.validation import store_push
from loglane.devserver.refusal import Refused, unsupported
from loglane.devserver.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

Answer: TypeAlias = "Callable[[Request, str, QueryParams], bytes]"

_log = logging.getLogger(__name__)
_ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# The version whose answers the contract tests compare with.
LOKI_VERSION = "3.7.6"


def create_app(db: str | None = None) -> Starlette:
    """Build the ASGI application of the development server.

    Args:
        db: A database file, created when missing; None keeps everything in memory.

    Raises:
        LoglaneError: The file is not a database of this server.
    """
    store = Store(db)
    reads = Reads(store)

    async def push(request: Request) -> Response:
        body = await read_body(request, MAX_BODY_BYTES)
        await run_in_threadpool(_push, store, request, body)
        return Response(status_code=204)

    async def tail(websocket: WebSocket) -> None:
        await serve_tail(store, websocket)

    routes: list[BaseRoute] = [
        Route("/loki/api/v1/push", _guarded(push), methods=["POST"]),
        *_read_routes(reads),
        WebSocketRoute("/loki/api/v1/tail", tail),
        Route("/loki/api/v1/tail", _no_websocket),
        Route("/ready", _ready),
        Route("/loki/api/v1/status/buildinfo", _build_info),
        Route("/{path:path}", _guarded(_unknown), methods=_ALL_METHODS),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            store.close()

    return Starlette(routes=routes, lifespan=lifespan)


def _read_routes(reads: Reads) -> list[Route]:
    def query_range(request: Request, tenant: str, params: QueryParams) -> bytes:
        categorise = CATEGORIZE_LABELS in encoding_flags(request)
        return reads.query_range(tenant, params, categorise=categorise)

    def values(request: Request, tenant: str, params: QueryParams) -> bytes:
        return reads.label_values(tenant, request.path_params["name"], params)

    def series(_request: Request, tenant: str, params: QueryParams) -> bytes:
        selectors = {*params.getlist("match"), *params.getlist("match[]")}
        return reads.series(tenant, params, sorted(selectors))

    both = ["GET", "POST"]
    return [
        _read_route("/loki/api/v1/query_range", query_range, both),
        _read_route("/loki/api/v1/query", lambda _r, t, p: reads.query(t, p), both),
        _read_route("/loki/api/v1/labels", lambda _r, t, p: reads.labels(t, p), both),
        _read_route("/loki/api/v1/label", lambda _r, t, p: reads.labels(t, p), both),
        _read_route("/loki/api/v1/label/{name}/values", values, both),
        _read_route("/loki/api/v1/series", series, both),
        _read_route("/loki/api/v1/index/stats", lambda _r, t, p: reads.index_stats(t, p), both),
    ]


def _read_route(path: str, answer: Answer, methods: list[str]) -> Route:
    async def endpoint(request: Request) -> Response:
        params = await read_params(request)
        tenant = tenant_of(request)
        content = await run_in_threadpool(answer, request, tenant, params)
        return Response(content, media_type="application/json; charset=UTF-8")

    return Route(path, _guarded(endpoint), methods=methods)


def _guarded(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refusal:
            return PlainTextResponse(str(refusal), refusal.status)
        except Exception:  # noqa: BLE001 - the client must never get a traceback
            _log.exception("cannot answer %s", request.url.path)
            return PlainTextResponse(
                "the development server failed on this request; its log has the traceback", 500
            )

    return guarded


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


async def _no_websocket(_request: Request) -> Response:
    return PlainTextResponse("Bad Request\n", 400)


async def _ready(_request: Request) -> Response:
    return PlainTextResponse("ready\n")


async def _build_info(_request: Request) -> Response:
    return JSONResponse(
        {
            "version": LOKI_VERSION,
            "revision": "loglane-devserver",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        }
    )
