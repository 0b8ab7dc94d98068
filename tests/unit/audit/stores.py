"""What the tests of the store share: events, a database with tables, and what is in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select, text

from loglane.audit import schema
from loglane.audit.database import open_sync_engine
from loglane.audit.event import AuditEvent
from loglane.audit.sql import SqlSink
from loglane.audit.table import audit_records
from loglane.settings.audit import Audit


def event(**fields: Any) -> AuditEvent:
    return AuditEvent(**{"action": "delete_order", "user_id": 1, **fields})


@contextmanager
def engine_of(url: str, **options: Any):
    engine = open_sync_engine(url, pool_size=2, **options)
    try:
        yield engine
    finally:
        engine.dispose()


def made(url: str) -> str:
    """Make the tables and return the address."""
    with engine_of(url) as engine:
        schema.init(engine)
    return url


def execute(url: str, statement: str, **values: Any) -> None:
    with engine_of(url) as engine, engine.begin() as connection:
        connection.execute(text(statement), values)


def stored(url: str) -> list[Any]:
    """Return all rows, in the order in which they were written."""
    with engine_of(url) as engine, engine.connect() as connection:
        return list(connection.execute(select(audit_records).order_by(audit_records.c.id)))


def write(url: str, *batches: Sequence[AuditEvent], **settings: Any) -> list[list[str]]:
    """Write batches with a sink of their own; return the status of each record."""

    async def run() -> list[list[str]]:
        sink = SqlSink.of(Audit(url=url, **settings))
        try:
            return [[one.status for one in await sink.write(batch)] for batch in batches]
        finally:
            await sink.close()

    return asyncio.run(run())


async def until(
    condition: Callable[[], bool], timeout_s: float = 30, pause_s: float = 0.01
) -> None:
    """Wait for a condition."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(pause_s)
