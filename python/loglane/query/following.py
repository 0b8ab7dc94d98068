"""Carrying out a tail over Loki's websocket, blocking and not.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/ ("Stream logs").
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from loglane.errors import ServiceUnavailable
from loglane.query.connection import Connection
from loglane.query.entry import LogEntry
from loglane.query.exchange import HEADERS, refusal
from loglane.query.link import AsyncLink, Link
from loglane.query.retry import RETRIED, Retry
from loglane.query.tailing import SETTLED_S, Patience, Tail

# A message has up to 100 lines of up to 256 KB (loki: pkg/querier/tail/tail.go).
_MAX_MESSAGE_BYTES = 64 << 20
# Outside the tree of loggers, and silent: a line for each frame would be tailed again.
_SILENT = logging.Logger("loglane.query.websocket", logging.CRITICAL + 1)
_FAILURES = (OSError, WebSocketException, ServiceUnavailable, EOFError)


# A connection that was cut is opened again at once; Loki is away when that fails too.
_AWAY_AFTER = 2


class Outage:
    """The time for which a tail could not be connected.

    Args:
        connection: Where Loki is.
        rules: How long it may be away, and who is told.
    """

    def __init__(self, connection: Connection, rules: Patience) -> None:
        self._retry = Retry(tries=1_000_000, total_s=rules.longest_s, longest_s=10.0)
        self._tell = rules.on_outage or _tell_nobody
        self._connection = connection
        self._since_s: float | None = None
        self._tried = 0

    def end(self) -> None:
        """Note that the tail is connected and has what it missed."""
        if self._tried >= _AWAY_AFTER:
            self._tell(None)
        self._since_s, self._tried = None, 0

    def wait_s(self, error: Exception, query: str) -> float:
        """Return how long to wait before the next connect.

        Raises:
            QueryError: Loki refused the tail for good.
            ServiceUnavailable: The patience is used up.
        """
        now_s = time.monotonic()
        self._since_s = now_s if self._since_s is None else self._since_s
        self._tried += 1
        if isinstance(error, InvalidStatus) and error.response.status_code not in RETRIED:
            raise refusal(
                error.response.status_code, bytes(error.response.body or b""), query
            ) from None
        wait_s = self._retry.wait_s(min(self._tried, 10), now_s - self._since_s)
        if wait_s is None:
            raise ServiceUnavailable(self._problem(error)) from error
        if self._tried == _AWAY_AFTER:
            self._tell(self._problem(error))
        return wait_s

    def _problem(self, error: Exception) -> str:
        if isinstance(error, ServiceUnavailable):
            return str(error)
        return f"Loki at {self._connection.shown} cannot be tailed: {_reason(error)}"


def follow(link: Link, tail: Tail, rules: Patience) -> Iterator[LogEntry]:
    """Give entries as they come, for ever.

    Raises:
        QueryError: Loki refused the query.
        ServiceUnavailable: Loki could not be reached for as long as `rules` say.
    """
    outage = Outage(link.connection, rules)
    while True:
        try:
            with connect(tail.address(link.connection), **_options(link.connection)) as socket:
                yield from _missed(link, tail)
                outage.end()
                look_at_s: float | None = time.monotonic() + SETTLED_S
                while True:
                    timeout_s = None
                    if look_at_s is not None:
                        timeout_s = max(0.0, look_at_s - time.monotonic())
                    try:
                        message = socket.recv(timeout=timeout_s)
                    except TimeoutError:
                        message = None
                    if message is not None:
                        yield from tail.read(message)
                    if look_at_s is not None and time.monotonic() >= look_at_s:
                        look_at_s, tail.has_gap = None, True
                    if tail.has_gap:
                        yield from _missed(link, tail)
        except _FAILURES as error:
            time.sleep(outage.wait_s(error, tail.query))


async def follow_async(link: AsyncLink, tail: Tail, rules: Patience) -> AsyncIterator[LogEntry]:
    """Give entries as they come, for ever; as `follow`."""
    outage = Outage(link.connection, rules)
    while True:
        try:
            address = tail.address(link.connection)
            async with connect_async(address, **_options(link.connection)) as socket:
                async for entry in _missed_async(link, tail):
                    yield entry
                outage.end()
                look_at_s: float | None = time.monotonic() + SETTLED_S
                while True:
                    timeout_s = None
                    if look_at_s is not None:
                        timeout_s = max(0.0, look_at_s - time.monotonic())
                    try:
                        message = await asyncio.wait_for(socket.recv(), timeout_s)
                    except (TimeoutError, asyncio.TimeoutError):
                        message = None
                    for entry in tail.read(message) if message is not None else ():
                        yield entry
                    if look_at_s is not None and time.monotonic() >= look_at_s:
                        look_at_s, tail.has_gap = None, True
                    if tail.has_gap:
                        async for entry in _missed_async(link, tail):
                            yield entry
        except _FAILURES as error:
            await asyncio.sleep(outage.wait_s(error, tail.query))


def _missed(link: Link, tail: Tail) -> Iterator[LogEntry]:
    walk = tail.missed()
    while page := link.run(walk.next_page()):
        yield from tail.unseen(page)


async def _missed_async(link: AsyncLink, tail: Tail) -> AsyncIterator[LogEntry]:
    walk = tail.missed()
    while page := await link.run(walk.next_page()):
        for entry in tail.unseen(page):
            yield entry


def _options(connection: Connection) -> dict[str, Any]:
    options: dict[str, Any] = {
        "additional_headers": {**HEADERS, **connection.ask_headers()},
        "logger": _SILENT,
        "max_size": _MAX_MESSAGE_BYTES,
        "open_timeout": connection.timeout_s,
        # The lines are read on this machine or compressed by who is in front of Loki.
        "compression": None,
        "proxy": True if connection.trust_env else None,
    }
    if connection.tls is not None and connection.is_https:
        options["ssl"] = connection.tls
    return options


def _reason(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        said = (error.response.body or b"").decode("utf-8", "replace").strip()
        return f"it answered {error.response.status_code}: {said}"
    if isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.reason:
        return error.rcvd.reason
    return str(error) or type(error).__name__


def _tell_nobody(_reason: str | None) -> None:
    """Say nothing."""
