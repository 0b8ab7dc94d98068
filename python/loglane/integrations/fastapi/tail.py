"""A tail as server-sent events.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from typing import Any, cast

import anyio
import orjson
from fastapi.responses import StreamingResponse

from loglane.errors import QueryError, ServiceUnavailable
from loglane.integrations.fastapi.asking import describe
from loglane.integrations.fastapi.models import as_line
from loglane.integrations.fastapi.ordering import Ordering, Place
from loglane.query import AsyncLogService, LogEntry, LogService

# How soon a browser comes back after the connection broke.
_COME_BACK_MS = 3000
# So long without a line means that what was there has been read.
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class TailRules:
    """How tails are given out.

    Attributes:
        most: How many at once in this process; each holds a connection to Loki.
        longest_s: Then it ends, the browser comes back, and is asked again who it is.
        heartbeat_s: After so long without a line a comment is sent, or proxies cut the connection.
        settle_s: How long a line is held back to put it in order, and how late one may reach Loki
            while the reader is away and still be given when it comes back. Below 1.5 s, what is
            stored while a tail connects can be late too.
    """

    most: int = 100
    longest_s: float = 3600.0
    heartbeat_s: float = 15.0
    settle_s: float = 2.0


class Tails:
    """Counts the tails that are open."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.open = 0

    def enter(self) -> bool:
        """Take a place; False when there is none."""
        if self.open >= self._most:
            return False
        self.open += 1
        return True

    def leave(self) -> None:
        """Give the place back."""
        self.open -= 1


async def tail_of(
    service: LogService | AsyncLogService, options: Mapping[str, Any]
) -> AsyncGenerator[LogEntry, None]:
    """Give the lines of a tail; of a blocking service by an async one like it."""
    async with AsyncExitStack() as opened:
        if isinstance(service, LogService):
            service = await opened.enter_async_context(AsyncLogService.like(service))
        lines = cast("AsyncGenerator[LogEntry, None]", service.tail(**options))
        await opened.enter_async_context(aclosing(lines))
        async for entry in lines:
            yield entry


class Events(StreamingResponse):
    """The kind of answer, for OpenAPI."""

    media_type = "text/event-stream"


class EventStream(Events):
    """Answers with the lines of a tail, and ends the tail with the connection.

    Args:
        lines: The tail; it is closed at the end.
        after: Where the reader stands.
        rules: How tails are given out.
        leave: Called once at the end.
    """

    def __init__(
        self,
        lines: AsyncGenerator[LogEntry, None],
        after: Place,
        rules: TailRules,
        leave: Callable[[], Any],
    ) -> None:
        self._lines = lines
        self._rules = rules
        self._leave = leave
        self._next: asyncio.Future[LogEntry] | None = None
        self._ordering = Ordering(after, int(rules.settle_s * 1e9), time.time_ns)
        # nginx would collect events before it passes them on.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        self._text = self._events()
        super().__init__(self._text, headers=headers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send events until the reader leaves, the tail breaks or its time is over."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Who leaves cancels the task; the connection to Loki is to be closed all the same.
            with anyio.CancelScope(shield=True):
                await self._close()

    async def _events(self) -> AsyncGenerator[bytes, None]:
        # Who loses the connection before the first line comes back to this moment.
        yield f"retry: {_COME_BACK_MS}\nid: {self._ordering.place}\n\n".encode()
        now_s = time.monotonic()
        ends_s, sent_s = now_s + self._rules.longest_s, now_s
        while now_s < ends_s:
            wait_s = min(ends_s - now_s, sent_s + self._rules.heartbeat_s - now_s)
            try:
                paused = await self._take(max(0.0, wait_s))
            except (ServiceUnavailable, QueryError) as error:
                yield _problem(error)
                return
            now_s = time.monotonic()
            found = self._ordering.ready(paused=paused)
            if found:
                yield b"".join(_event(place, entry) for place, entry in found)
                sent_s = now_s
            elif now_s - sent_s >= self._rules.heartbeat_s:
                yield b": nothing new\n\n"
                sent_s = now_s

    async def _take(self, wait_s: float) -> bool:
        """Wait for a line, or until one that is held is due; tell whether none came."""
        if self._next is None:
            self._next = asyncio.ensure_future(_next_of(self._lines))
        due_s = self._ordering.wait_s()
        if due_s is not None:
            wait_s = min(wait_s, max(due_s, _PAUSE_S))
        await asyncio.wait({self._next}, timeout=wait_s)
        if not self._next.done():
            return True
        taken, self._next = self._next, None
        self._ordering.add(taken.result())
        return False

    async def _close(self) -> None:
        try:
            if self._next is not None:
                self._next.cancel()
                with suppress(asyncio.CancelledError, ServiceUnavailable, QueryError):
                    await self._next
            await self._text.aclose()
            await self._lines.aclose()
        finally:
            # Whatever went wrong: a place that is not given back is lost until a restart.
            self._leave()


async def _next_of(lines: AsyncIterator[LogEntry]) -> LogEntry:
    async for entry in lines:
        return entry
    raise ServiceUnavailable("the tail ended")


def _event(place: Place, entry: LogEntry) -> bytes:
    # A newline inside JSON is escaped, so the data is one line.
    return b"id: %s\ndata: %s\n\n" % (str(place).encode(), orjson.dumps(as_line(entry)))


def _problem(error: Exception) -> bytes:
    status, detail, _ = describe(error)
    # `error` is the browser's own event of a broken connection.
    return b"event: problem\ndata: %s\n\n" % orjson.dumps({"status": status, "detail": detail})
