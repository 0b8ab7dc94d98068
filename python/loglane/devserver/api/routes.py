"""The routes of the read API."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from loglane.devserver.api import detected
from loglane.devserver.api.encoding import CATEGORIZE_LABELS
from loglane.devserver.api.reads import Reads
from loglane.devserver.api.requests import encoding_flags, read_params, tenant_of
from loglane.devserver.api.volumes import answer_volume
from loglane.devserver.refusal import Refused
from loglane.devserver.store import Store

if TYPE_CHECKING:
    from starlette.requests import Request

Answer: TypeAlias = "Callable[[Request, str, QueryParams], bytes]"

_log = logging.getLogger(__name__)
_API = "/loki/api/v1"


def read_routes(store: Store) -> list[Route]:
    """Build the routes that answer in JSON from a store."""
    reads = Reads(store)

    def query_range(request: Request, tenant: str, params: QueryParams) -> bytes:
        categorise = CATEGORIZE_LABELS in encoding_flags(request)
        return reads.query_range(tenant, params, categorise=categorise)

    def values(request: Request, tenant: str, params: QueryParams) -> bytes:
        return reads.label_values(tenant, request.path_params["name"], params)

    def series(_request: Request, tenant: str, params: QueryParams) -> bytes:
        selectors = {*params.getlist("match"), *params.getlist("match[]")}
        return reads.series(tenant, params, sorted(selectors))

    def volume(_request: Request, tenant: str, params: QueryParams) -> bytes:
        return answer_volume(store, tenant, params, steps=False)

    def volume_range(_request: Request, tenant: str, params: QueryParams) -> bytes:
        return answer_volume(store, tenant, params, steps=True)

    def detected_values(request: Request, tenant: str, params: QueryParams) -> bytes:
        name = request.path_params["name"]
        return detected.answer_values(store, tenant, name, params)

    answers: dict[str, Answer] = {
        "query_range": query_range,
        "query": lambda _r, t, p: reads.query(t, p),
        "labels": lambda _r, t, p: reads.labels(t, p),
        "label": lambda _r, t, p: reads.labels(t, p),
        "label/{name}/values": values,
        "series": series,
        "index/stats": lambda _r, t, p: reads.index_stats(t, p),
        "index/volume": volume,
        "index/volume_range": volume_range,
        "detected_labels": lambda _r, t, p: detected.answer_labels(store, t, p),
        "detected_fields": lambda _r, t, p: detected.answer_fields(store, t, p),
        "detected_field/{name}/values": detected_values,
    }
    return [_route(f"{_API}/{path}", answer) for path, answer in answers.items()]


def guarded(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turn a refusal into its answer, and a bug into one without a traceback."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refusal:
            return PlainTextResponse(str(refusal), refusal.status)
        except Exception:  # noqa: BLE001 - the client must never get a traceback
            _log.exception("cannot answer %s", request.url.path)
            return PlainTextResponse(
                "the development server failed on this request; its log has the traceback", 500
            )

    return answer


def _route(path: str, answer: Answer) -> Route:
    async def endpoint(request: Request) -> Response:
        params = await read_params(request)
        tenant = tenant_of(request)
        content = await run_in_threadpool(answer, request, tenant, params)
        return Response(content, media_type="application/json; charset=UTF-8")

    return Route(path, guarded(endpoint), methods=["GET", "POST"])
