"""A connection of PostgreSQL, without asyncio, that does not wait for an answer for ever.

A server that hangs keeps its connections open, and its kernel answers for it: no time-out of TCP
ends that, and none of the server's own.
"""

from __future__ import annotations

from collections.abc import Generator
from time import monotonic
from typing import Any

import psycopg
from psycopg import Connection, OperationalError


def connect(answer_s: float, **given: Any) -> Connection[Any]:
    """Return a connection on which no step takes longer than `answer_s` seconds.

    Raises:
        psycopg.Error: There is none to be had.
    """
    connection = _Impatient.connect(**given)
    connection.answer_s = answer_s
    return connection


class _Impatient(psycopg.Connection[Any]):
    answer_s = 60.0

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
        """Wait for an answer; hang up when none comes.

        https://www.psycopg.org/psycopg3/docs/api/connections.html#psycopg.Connection.wait

        Raises:
            OperationalError: There is none in time.
        """
        try:
            return super().wait(_within(gen, self.answer_s), *args, **options)
        except _NoAnswerError:
            self.close()
            raise


class _NoAnswerError(OperationalError):
    pass


def _within(steps: Generator[Any, Any, Any], answer_s: float) -> Generator[Any, Any, Any]:
    """Do the steps of a query; those who wait come back about ten times a second."""
    until = monotonic() + answer_s
    try:
        ready = yield next(steps)
        while True:
            if not ready and monotonic() > until:
                raise _NoAnswerError(f"no answer within {answer_s:g} s")
            ready = yield steps.send(ready)
    except StopIteration as end:
        return end.value
