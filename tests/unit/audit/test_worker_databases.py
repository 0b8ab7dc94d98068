"""The worker over real databases, and what it does while one is away."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from sqlalchemy import select

from loglane.audit.database import open_sync_engine
from loglane.audit.schema import init
from loglane.audit.stats import audit_stats
from loglane.audit.table import audit_records
from loglane.audit.worker import AuditWorker
from loglane.sinks.audit import intake_of, process
from tests.unit.audit.fake_sink import on_loop
from tests.unit.audit.marked_lines import make_line
from tests.unit.audit.polling import until


@pytest.fixture
def make(settings, monkeypatch):
    """Return a function that makes the tables and a worker for a database."""
    monkeypatch.setattr(process, "_intake", None)

    def make_worker(url, **keys):
        engine = open_sync_engine(url)
        init(engine)
        engine.dispose()
        keys = {"batch": {"max_wait_s": 0.05}, "drain_s": 60, **keys}
        retry = {"attempts": 3, "first_s": 0.05, "max_s": 0.5}
        return AuditWorker(settings(url=url, retry=retry, **keys))

    yield make_worker
    process.present_intake().close()


def record(worker, count):
    intake = intake_of(worker.settings)
    bodies = [make_line(text="ä\U0001f600") for _ in range(count)]
    for body in bodies:
        intake.record(body)
    return [orjson.loads(body)["event_id"] for body in bodies]


def stored(url):
    engine = open_sync_engine(url)
    with engine.connect() as connection:
        ids = connection.execute(select(audit_records.c.event_id)).scalars().all()
    engine.dispose()
    return sorted(ids)


@pytest.mark.parametrize("durability", ["memory", "outbox"])
@on_loop
async def test_worker_stores_each_record_once(make, database_url, durability):
    """On every database, with two connections."""
    worker = make(database_url, durability=durability)
    async with worker:
        done = await asyncio.gather(*(asyncio.to_thread(record, worker, 100) for _ in range(20)))
    assert sorted(i for ids in done for i in ids) == stored(database_url)
    assert {"written": 2000, "outbox": 0, "dead": 0, "lost": {}}.items() <= audit_stats().items()


def test_worker_in_a_thread_stores_each_record_once(make, database_url):
    """As apps without an event loop have it."""
    worker = make(database_url)
    with worker:
        ids = record(worker, 500)
    assert sorted(ids) == stored(database_url)


@pytest.mark.parametrize("kind", ["mariadb", "postgres"])
@pytest.mark.parametrize("end", ["stop", "kill"])
@on_loop
async def test_worker_loses_nothing_while_the_database_is_away(make, request, kind, end):
    """10,000 records, with the database gone in the middle of them: each is one row."""
    server = request.getfixturevalue(f"own_{kind}")
    url = server.new_database()
    worker = make(url, queue={"max_items": 500, "block_s": 60})
    async with worker:
        ids = await asyncio.to_thread(record, worker, 3000)
        await until(lambda: audit_stats()["written"] > 500)
        going = asyncio.create_task(asyncio.to_thread(record, worker, 4000))
        await asyncio.to_thread(getattr(server, end))
        ids += await going
        await until(lambda: worker.is_away)
        ids += await asyncio.to_thread(record, worker, 3000)
        assert audit_stats()["spilled"] > 0
        await asyncio.to_thread(server.start)
        await until(lambda: audit_stats()["outbox"] == 0 and not audit_stats()["queued"])
    assert sorted(ids) == stored(url)
    stats = audit_stats()
    assert (10_000, 0, {}) == (stats["written"] + stats["known"], stats["dead"], stats["lost"])
