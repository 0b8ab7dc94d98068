"""Workers for the tests of the transport: in this process, and as processes that can be killed.

As a program: `python -m tests.unit.audit.redis_workers SETTINGS NAME POINT` stores what is in the
stream; with POINT it prints that it got there and stays: `before` the commit of a batch, `after`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import create_engine, select
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from loglane.audit.event import AuditEvent
from loglane.audit.redis import RedisSink
from loglane.audit.sink import Outcome
from loglane.audit.sql import SqlSink
from loglane.audit.table import audit_records, metadata
from loglane.audit.transport.process import serve
from loglane.settings.audit import Audit

ROOT = Path(__file__).resolve().parents[3]


def settings_of(redis_url: str, database_url: str = "sqlite://", **more: Any) -> Audit:
    """Return settings with short pauses; a worker is dead after two seconds."""
    quick = {"attempts": 3, "first_s": 0.02, "max_s": 0.2}
    given = {"url": redis_url, "claim_after_s": 2, **more.pop("redis", {})}
    return Audit.model_validate(
        {"url": database_url, "redis": given, "retry": quick, "workers": 1, **more}
    )


def events_of(count: int) -> list[AuditEvent]:
    """Return records, the first with the resource `order:0`."""
    return [AuditEvent(action="sell", resource=f"order:{number}") for number in range(count)]


def send(settings: Audit, events: Sequence[AuditEvent], size: int = 50) -> None:
    """Put records into the stream, so many in a message."""

    async def write() -> None:
        sink = RedisSink.of(settings)
        for start in range(0, len(events), size):
            await sink.write(events[start : start + size])
        await sink.close()

    asyncio.run(write())


class KeptSink:
    """Keeps records in memory; a test may say what happens to a batch first."""

    def __init__(self, before: Callable[[Sequence[AuditEvent]], Any] | None = None) -> None:
        self.rows: dict[str, AuditEvent] = {}
        self.batches: list[int] = []
        self.closed = False
        self._before = before

    async def write(self, batch: Sequence[AuditEvent]) -> Sequence[Outcome]:
        made = self._before(batch) if self._before else None
        if made is not None:
            return made
        known = [event.event_id in self.rows for event in batch]
        self.rows |= {event.event_id: event for event in batch}
        self.batches.append(len(batch))
        return [
            Outcome(event.event_id, "known" if old else "written")
            for event, old in zip(batch, known, strict=True)
        ]

    async def close(self) -> None:
        self.closed = True


@contextmanager
def client_of(url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(url)
    try:
        yield client
    finally:
        client.close()


def waiting_in(settings: Audit) -> tuple[int, int]:
    """Return how many messages are in the stream, and how many of them in hand."""
    with client_of(str(settings.redis.url)) as client:
        length = client.xlen(settings.redis.stream)
        try:
            pending = client.xpending(settings.redis.stream, settings.redis.group)["pending"]
        except redis.ResponseError:
            # No worker has made the group yet.
            pending = 0
        return length, pending


def eventually(is_so: Callable[[], bool], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.05)


@contextmanager
def worker_process(settings: Audit, name: str, point: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run a worker as a process of its own; it is killed at the end."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "tests.unit.audit.redis_workers",
            settings.model_dump_json(), name, point,
        ],
        cwd=ROOT,
        env={**os.environ, "LOGGING_MODE": "container"},
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class StoppingSink:
    """Stops for good before or after its sink has committed a batch, and says so."""

    def __init__(self, sink: Any, point: str) -> None:
        self._sink = sink
        self._point = point

    async def write(self, batch: Sequence[AuditEvent]) -> Sequence[Outcome]:
        if self._point == "before":
            await self._stay()
        outcomes = await self._sink.write(batch)
        if self._point == "after":
            await self._stay()
        return outcomes

    async def close(self) -> None:
        await self._sink.close()

    async def _stay(self) -> None:
        print(self._point, flush=True)
        await asyncio.Event().wait()


def main(settings_json: str, name: str, point: str) -> None:
    settings = Audit.model_validate(json.loads(settings_json))
    tally = asyncio.run(serve(settings, StoppingSink(SqlSink.of(settings), point), name=name))
    print(json.dumps(vars(tally)), flush=True)


@contextmanager
def _connection_to(url: str) -> Iterator[Connection]:
    kind, _, rest = url.partition(":")
    driver = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}.get(kind, kind)
    engine = create_engine(f"{driver}:{rest}", poolclass=NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def make_table(url: str) -> str:
    """Make the table of records in an empty database; return its URL."""
    with _connection_to(url) as connection:
        metadata.create_all(connection)
    return url


def rows_in(url: str) -> list[str]:
    """Return the id of every record, sorted."""
    with _connection_to(url) as connection:
        return sorted(connection.execute(select(audit_records.c.event_id)).scalars())


if __name__ == "__main__":
    main(*sys.argv[1:])
