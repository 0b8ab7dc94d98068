"""The routes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, params
from fastapi.responses import Response

from loglane.integrations.fastapi.access import Dependency, gate, narrow, see_everything
from loglane.integrations.fastapi.asking import PROBLEMS, ask_page, problems
from loglane.integrations.fastapi.models import LogPage, as_line
from loglane.integrations.fastapi.ordering import Place, read_place
from loglane.integrations.fastapi.questions import (
    Cursor,
    Direction,
    TailStart,
    read_filters,
    read_span,
)
from loglane.integrations.fastapi.tail import Events, EventStream, TailRules, Tails, tail_of
from loglane.query import AsyncLogService, LogService, Page
from loglane.query.moments import DAY_NS, to_ns

Service = LogService | AsyncLogService
_NO_PAGE = Page([], None)
_BUSY = {"Retry-After": "30"}
_EVENTS = {
    "description": "Server-sent events. `id` is where to go on, `data` a line as in a page; the "
    "event `problem` says why the tail ends.",
    "content": {
        "text/event-stream": {
            "example": 'id: 1795316645123456000-1f0a2b3c4d5e6f70\ndata: {"timestamp": "2026-11-22'
            'T03:04:05.123456+00:00", "level": "error", "message": "payment declined", ...}\n\n'
        }
    },
}


def logs_router(
    service: Service | Dependency,
    *,
    authorize: Dependency | params.Depends,
    scope: Dependency | None = None,
    prefix: str = "/logs",
    tags: Sequence[str | Enum] = ("logs",),
    max_limit: int = 1000,
    timeout_s: float = 30.0,
    tail: TailRules | None = None,
) -> APIRouter:
    """Return a router with a page of lines, the lines of one trace, and a tail.

    `GET /logs` gives a page, `GET /logs/{trace_id}` the lines of a trace, oldest first, and
    `GET /logs/tail` server-sent events, which a browser's `EventSource` reads and goes on with
    where it was when the connection broke.

    Args:
        service: Whom to ask, or a dependency that returns it: one for each tenant, say. It is
            closed by the app.
        authorize: The dependency that raises `HTTPException` for who may not read logs; it runs
            before anything else, and who does not pass reaches neither Loki nor an error of Loki's.
            `allow_all` lets everybody in.
        scope: A dependency that returns the fields and values (one, or several in a list) that a
            caller's lines must have: `{"service": ["shop", "pay"]}`. What he asks for can only
            narrow it. An empty value shows nothing; without a scope a caller sees every line.
        prefix: Path of the router.
        tags: Where OpenAPI lists it.
        max_limit: How many lines a page may have.
        timeout_s: How long one page may take.
        tail: How tails are given out.

    Raises:
        TypeError: `authorize` or `service` is neither what it should be nor a dependency.
    """
    rules = tail or TailRules()
    tails = Tails(rules.most)
    router = APIRouter(
        prefix=prefix, tags=list(tags), dependencies=[gate(authorize, prefix)], responses=PROBLEMS
    )
    the_filters, the_span = Depends(read_filters), Depends(read_span)
    the_service, the_scope = Depends(_provider(service)), Depends(scope or see_everything)

    @router.get("", summary="Find lines", response_model=LogPage)
    async def find_lines(
        cursor: Cursor = None,
        direction: Annotated[
            Direction, Query(description="`backward`: newest first; `forward`: oldest first.")
        ] = "backward",
        limit: int = Query(100, ge=1, le=max_limit, description="How many lines at most."),
        filters: Any = the_filters,
        span: Any = the_span,
        asked: Any = the_service,
        forced: Any = the_scope,
    ) -> Response:
        """Lines that fit all filters; of several values for one filter, one must fit."""
        options = narrow(filters, forced)
        if options is None:
            return _answer(_NO_PAGE)
        options.update(span, direction=direction, limit=limit)
        return _answer(await ask_page(asked, options, cursor, timeout_s))

    # Before the trace, or `tail` would be taken for one.
    @router.get("/tail", summary="Follow lines", response_class=Events, responses={200: _EVENTS})
    async def follow_lines(
        filters: Any = the_filters,
        start: TailStart = None,
        cursor: Annotated[
            str | None, Query(max_length=100, description="The id of the last event, to go on.")
        ] = None,
        last_event_id: Annotated[
            str | None, Header(description="The same, as a browser sends it when it comes back.")
        ] = None,
        asked: Any = the_service,
        forced: Any = the_scope,
    ) -> Response:
        """Lines as they are stored, as server-sent events."""
        with problems():
            after = _begin(last_event_id or cursor, start)
        options = narrow(filters, forced)
        if options is None:
            raise HTTPException(403, "you may not read these lines")
        if not tails.enter():
            raise HTTPException(503, "too many are following already", _BUSY)
        try:
            # Once the stream has begun, no status can say that Loki is down.
            options["start_time"] = after.timestamp_ns
            await ask_page(asked, {**options, "limit": 1}, None, timeout_s)
            return EventStream(tail_of(asked, options), after, rules, tails.leave)
        except BaseException:
            tails.leave()
            raise

    @router.get("/{trace_id}", summary="Find the lines of a trace", response_model=LogPage)
    async def find_trace(
        trace_id: Annotated[
            str, Path(max_length=128, description="As the answer of the request had it.")
        ],
        cursor: Cursor = None,
        limit: int = Query(max_limit, ge=1, le=max_limit, description="How many lines at most."),
        span: Any = the_span,
        asked: Any = the_service,
        forced: Any = the_scope,
    ) -> Response:
        """Lines of one trace, of all services, oldest first; by default of the last day."""
        options = narrow({"trace_id": trace_id}, forced)
        if options is None:
            return _answer(_NO_PAGE)
        with problems():
            options.update(_days_before(span), direction="forward", limit=limit)
        return _answer(await ask_page(asked, options, cursor, timeout_s))

    return router


def _provider(service: Service | Dependency) -> Dependency:
    if hasattr(service, "page"):
        # FastAPI would call a plain function in a thread.
        async def provide() -> object:
            return service

        return provide
    if callable(service):
        return service
    raise TypeError(f"service must be a LogService or AsyncLogService, not {service!r}")


def _days_before(span: Mapping[str, Any]) -> Mapping[str, Any]:
    """Begin a day before the end: who asks for a trace does not know when it was."""
    end_ns = to_ns(span.get("end_time", "now"), time.time_ns())
    return {"start_time": max(0, end_ns - DAY_NS), **span}


def _begin(last_event_id: str | None, start: str | None) -> Place:
    now_ns = time.time_ns()
    if last_event_id:
        place = read_place(last_event_id)
        return place if place.timestamp_ns <= now_ns else Place(now_ns)
    return Place(to_ns(start or "now", now_ns))


def _answer(page: Page) -> Response:
    found: Mapping[str, Any] = {
        "entries": [as_line(entry) for entry in page.entries],
        "next_cursor": page.cursor,
    }
    return Response(orjson.dumps(found), media_type="application/json")
