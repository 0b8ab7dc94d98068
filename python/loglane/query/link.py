"""Carrying a plan's requests to Loki and its answers back, blocking and not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

import httpx2

from loglane.errors import EnvironmentMissing, ServiceUnavailable
from loglane.query.connection import Connection, needs_post
from loglane.query.entry import LogEntry
from loglane.query.exchange import Answer, Plan, Request
from loglane.query.quiet import quiet
from loglane.query.retry import RETRIED, Retry
from loglane.query.tailing import Patience, Tail
from loglane.query.walk import Walk

T = TypeVar("T")

# The asynchronous client lets a TLS alert that comes after the handshake through as it is.
_FAILURES = (httpx2.RequestError, OSError)
_NO_WEBSOCKETS = "a tail needs the package websockets: pip install 'loglane[query]'"


class Attempt:
    """The tries of one request: what failed, and how long to wait for the next."""

    def __init__(self, connection: Connection, retry: Retry) -> None:
        self._connection = connection
        self._retry = retry
        self._began_s = time.monotonic()
        self._tried = 0

    def answer(self, response: httpx2.Response) -> Answer | None:
        """Return the answer, or None when it is to be tried again."""
        if response.status_code in RETRIED:
            return None
        return Answer(response.status_code, response.content)

    def wait_s(self, failed: httpx2.Response | Exception) -> float:
        """Return how long to wait.

        Raises:
            ServiceUnavailable: The budget is used up.
        """
        self._tried += 1
        retry_after = None
        if isinstance(failed, httpx2.Response):
            said = failed.text.strip()[:500]
            problem = f"answered {failed.status_code}: {said}"
            retry_after = failed.headers.get("retry-after")
        else:
            problem = f"cannot be reached: {failed or type(failed).__name__}"
        spent_s = time.monotonic() - self._began_s
        wait_s = self._retry.wait_s(self._tried, spent_s, retry_after)
        if wait_s is None:
            times = f"{self._tried} tries in {spent_s:.1f} s" if self._tried > 1 else "one try"
            message = f"Loki at {self._connection.shown} {problem} ({times})"
            cause = failed if isinstance(failed, Exception) else None
            raise ServiceUnavailable(message) from cause
        return wait_s


class Link:
    """Blocking."""

    def __init__(self, connection: Connection, retry: Retry) -> None:
        self.connection = connection
        self.retry = retry
        self._http = httpx2.Client(**_options(connection))

    def run(self, plan: Plan[T]) -> T:
        """Carry out a plan and return its result."""
        try:
            request = next(plan)
            while True:
                request = plan.send(self._send(request))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    def iterate(self, walk: Walk) -> Iterator[LogEntry]:
        """Give the entries of a walk, one page in memory."""
        while page := self.run(walk.next_page()):
            yield from page

    def follow(self, tail: Tail, rules: Patience) -> Iterator[LogEntry]:
        """Carry out a tail.

        Raises:
            EnvironmentMissing: `websockets` is not installed.
        """
        try:
            from loglane.query.following import follow
        except ImportError as error:
            raise EnvironmentMissing(_NO_WEBSOCKETS) from error
        return follow(self, tail, rules)

    def close(self) -> None:
        """Close the connections."""
        with quiet():
            self._http.close()

    def _send(self, request: Request) -> Answer:
        attempt = Attempt(self.connection, self.retry)
        while True:
            try:
                with quiet():
                    response = self._http.request(**_call(self.connection, request))
            except _FAILURES as error:
                time.sleep(attempt.wait_s(error))
                continue
            if answer := attempt.answer(response):
                return answer
            time.sleep(attempt.wait_s(response))


class AsyncLink:
    """Not blocking."""

    def __init__(self, connection: Connection, retry: Retry) -> None:
        self.connection = connection
        self._retry = retry
        self._http = httpx2.AsyncClient(**_options(connection))

    async def run(self, plan: Plan[T]) -> T:
        """Carry out a plan and return its result."""
        try:
            request = next(plan)
            while True:
                request = plan.send(await self._send(request))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    async def iterate(self, walk: Walk) -> AsyncIterator[LogEntry]:
        """Give the entries of a walk, one page in memory."""
        while page := await self.run(walk.next_page()):
            for entry in page:
                yield entry

    def follow(self, tail: Tail, rules: Patience) -> AsyncIterator[LogEntry]:
        """Carry out a tail, as `Link.follow`."""
        try:
            from loglane.query.following import follow_async
        except ImportError as error:
            raise EnvironmentMissing(_NO_WEBSOCKETS) from error
        return follow_async(self, tail, rules)

    async def aclose(self) -> None:
        """Close the connections."""
        with quiet():
            await self._http.aclose()

    async def _send(self, request: Request) -> Answer:
        attempt = Attempt(self.connection, self._retry)
        while True:
            try:
                with quiet():
                    response = await self._http.request(**_call(self.connection, request))
            except _FAILURES as error:
                await asyncio.sleep(attempt.wait_s(error))
                continue
            if answer := attempt.answer(response):
                return answer
            await asyncio.sleep(attempt.wait_s(response))


def _options(connection: Connection) -> dict[str, Any]:
    return {
        # Without TLS nothing is verified, and reading the system's certificates takes a while.
        "verify": connection.tls or connection.is_https,
        "trust_env": connection.trust_env,
        "timeout": httpx2.Timeout(connection.timeout_s, connect=min(5.0, connection.timeout_s)),
    }


def _call(connection: Connection, request: Request) -> dict[str, Any]:
    call: dict[str, Any] = {
        "url": connection.address(request.path),
        "headers": {**request.headers, **connection.ask_headers()},
    }
    if needs_post(request):
        return {**call, "method": "POST", "data": dict(request.params)}
    return {**call, "method": "GET", "params": dict(request.params)}
