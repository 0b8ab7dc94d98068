"""The tail: entries as they arrive, over a websocket (loki: pkg/querier/tail)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from loglane.devserver.api import params as p
from loglane.devserver.api.encoding import CATEGORIZE_LABELS, encode_tail
from loglane.devserver.api.requests import encoding_flags, first_values, tenant_of
from loglane.devserver.engine.following import Dropped, Followed, Following
from loglane.devserver.logql import parse
from loglane.devserver.logql.nodes import LogQuery, Query
from loglane.devserver.refusal import Refused
from loglane.devserver.store import Store

MAX_DELAY_S = 5
_SECOND = 1_000_000_000
_INTERNAL_ERROR = 1011
# loki: maxEntriesPerTailResponse, and querier.tail_max_duration at its default.
_MAX_ENTRIES = 100
_MAX_DURATION_S = 3600.0
_CLOCK_TICK_S = 0.001


async def serve_tail(store: Store, websocket: WebSocket) -> None:
    """Answer one websocket until the client goes away."""
    try:
        params = first_values(websocket.query_params.multi_items())
        query = parse(params.get("query", ""))
        limit = p.read_limit(params)
        start_ns = p.read_bounds(params).start_ns
        delay_s = _read_delay(params)
        tenant = tenant_of(websocket)
    except Refused as refusal:
        await websocket.send_denial_response(PlainTextResponse(str(refusal), refusal.status))
        return
    await websocket.accept()
    with suppress(WebSocketDisconnect):
        try:
            await _follow(store, websocket, tenant, query, (start_ns, limit, delay_s))
        except Refused as refusal:
            # A reason has no more room than that (RFC 6455, 5.5.1).
            await websocket.close(_INTERNAL_ERROR, str(refusal)[:120])


async def _follow(
    store: Store, websocket: WebSocket, tenant: str, query: Query, asked: tuple[int, int, int]
) -> None:
    if not isinstance(query, LogQuery):
        raise Refused("only log selector is supported")
    start_ns, limit, delay_s = asked
    loop = asyncio.get_running_loop()
    more = asyncio.Event()

    def notify() -> None:
        # The loop may have ended while a push was still being stored.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(more.set)

    categorise = CATEGORIZE_LABELS in encoding_flags(websocket)
    following = Following(store, tenant, query, categorise=categorise, notify=notify)
    end = await run_in_threadpool(following.start, start_ns, time.time_ns(), limit)
    gone = asyncio.create_task(_until_gone(websocket))
    gone.add_done_callback(lambda _: more.set())
    try:
        async for message in _messages(gone, following, more, delay_s * _SECOND):
            await websocket.send_text(encode_tail(*message, categorise=categorise).decode())
    finally:
        gone.cancel()
        await run_in_threadpool(end)


async def _messages(
    gone: asyncio.Task[None], following: Following, more: asyncio.Event, delay_ns: int
) -> AsyncIterator[tuple[list[Followed], list[Dropped]]]:
    deadline = time.monotonic() + _MAX_DURATION_S
    while not gone.done():
        more.clear()
        due_ns = time.time_ns() - delay_ns
        found = following.take(due_ns, _MAX_ENTRIES)
        if found[0]:
            yield found
            continue
        wait_s = deadline - time.monotonic()
        if wait_s <= 0:
            raise Refused("reached tail max duration limit")
        next_ns = following.next_ns()
        if next_ns is not None:
            wait_s = min(wait_s, max(0, next_ns - due_ns) / _SECOND + _CLOCK_TICK_S)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(more.wait(), wait_s)


async def _until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


def _read_delay(params: Mapping[str, str]) -> int:
    delay_s = p.read_int(params.get("delay_for", "") or "0")
    if delay_s > MAX_DELAY_S:
        raise Refused(f"delay_for can't be greater than {MAX_DELAY_S}")
    return max(delay_s, 0)
