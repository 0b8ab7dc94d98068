"""AuditLog writes in the caller's transaction, in a savepoint of it, or beside it."""

from __future__ import annotations

import asyncio
import os

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session

import loglane
from loglane.audit import AuditEvent, AuditLog
from loglane.audit.database import LOCK_S
from loglane.audit.lines import explicit_counts
from loglane.audit.stats import audit_stats
from loglane.audit.table import audit_records, metadata
from loglane.errors import AuditError, SinkUnavailable
from loglane.event_id import new_event_id
from tests.unit.audit.business import (
    Order,
    actions,
    count_orders,
    make_tables,
    opened,
    shop,
    stored,
)

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def url(database_url):
    """Return the address of a database with the tables, once for each kind of database."""
    return make_tables(database_url)


@pytest.fixture
def sqlite_url(tmp_path):
    return make_tables(f"sqlite:///{tmp_path}/shop.db")


def drop_audit_table(url):
    from tests.unit.audit.business import opened_sync

    with opened_sync(url) as engine:
        audit_records.drop(engine)


def audit_lines(log_capture):
    return [(line["level"], line["message"]) for line in log_capture.entries]


def test_a_record_is_committed_with_the_business(url):
    """It is in the table when the caller's transaction is, and not before."""

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions() as session:
            session.add(Order(id=1, state="new"))
            await audit.create_log(
                AuditEvent(action="create", resource="order:1", user_id=7), session=session
            )
            before = await audit.query()
            await session.commit()
            return before, await audit.query()

    before, after = asyncio.run(run())
    assert () == before.events
    assert [("create", "order:1", "7", "7")] == [
        (one.action, one.resource, one.user_id, one.actor) for one in after.events
    ]
    assert 1 == count_orders(url)


def test_what_is_returned_is_what_is_stored(url):
    """The record comes back completed and masked, and equal to what is read."""

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions.begin() as session:
            with loglane.with_trace_id("t1"):
                event = AuditEvent(action="login", actor="ann", extra={"password": "hunter2"})
                made = await audit.create_log(event, session=session)
            await session.commit()
            return made, await audit.get(made.event_id)

    made, read = asyncio.run(run())
    assert ("t1", {"password": "***"}) == (made.trace_id, made.extra)
    assert made == read


def test_a_rollback_takes_the_explicit_record_and_leaves_the_independent_one(url):
    """What is recorded independently stays, whatever becomes of the business."""

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions() as session:
            await audit.create_log(AuditEvent(action="tried"), independent=True)
            session.add(Order(id=1, state="new"))
            await session.flush()
            await audit.create_log(AuditEvent(action="created"), session=session)
            await session.rollback()

    asyncio.run(run())
    assert (["tried"], 0) == (actions(url), count_orders(url))


def test_an_independent_record_is_there_while_the_business_goes_on(url):
    """With the caller's session given too; a transaction that only reads holds no lock."""

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions() as session:
            await session.execute(text("SELECT 1"))
            await audit.create_log(AuditEvent(action="a"), session=session, independent=True)
            return actions(url)

    assert ["a"] == asyncio.run(run())


def test_nothing_else_of_the_session_is_flushed(url):
    """Objects of the app are still pending, with a savepoint too."""

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions() as session:
            order = Order(id=1, state="new")
            session.add(order)
            await audit.create_log(AuditEvent(action="a"), session=session)
            await audit.create_log(AuditEvent(action="b"), session=session, nested=True)
            return order in session.new

    assert asyncio.run(run())


def test_a_known_id_does_not_harm_the_transaction(url):
    """The first record of an id stays, and the transaction goes on."""
    event_id = new_event_id()

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions.begin() as session:
            for action in ("first", "second"):
                event = AuditEvent(event_id=event_id, action=action)
                await audit.create_log(event, session=session)
            session.add(Order(id=1, state="new"))

    asyncio.run(run())
    assert (["first"], 1) == (actions(url), count_orders(url))


def test_a_nested_record_that_fails_leaves_the_business_alone(url, log_capture):
    """There is None, an error line and a count; the caller's transaction commits."""
    drop_audit_table(url)
    before = explicit_counts()["failed"]

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions.begin() as session:
            session.add(Order(id=1, state="new"))
            await session.flush()
            event = AuditEvent(action="create", resource="order:1")
            made = await audit.create_log(event, session=session, nested=True)
            session.add(Order(id=2, state="new"))
            return made, event.event_id

    made, event_id = asyncio.run(run())
    assert (None, 2, before + 1) == (made, count_orders(url), explicit_counts()["failed"])
    log_capture.assert_logged(
        "an audit record could not be stored", times=1, level="error", event_id=event_id,
        action="create", resource="order:1", error=lambda text: "audit_records" in text,
    )  # fmt: skip
    assert 1 == len(log_capture.entries)


def test_a_plain_record_that_fails_raises_what_the_database_says(url):
    """Whoever tries transactions again knows these errors."""
    drop_audit_table(url)

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions() as session:
            await audit.create_log(AuditEvent(action="a"), session=session)

    with pytest.raises(DBAPIError):
        asyncio.run(run())


def test_an_independent_record_that_fails_says_what_to_do(url):
    """A table that is missing is named, and how it is made."""
    drop_audit_table(url)

    async def run():
        async with AuditLog(url) as audit:
            await audit.create_log(AuditEvent(action="a"), independent=True)

    with pytest.raises(SinkUnavailable, match="loglane audit init"):
        asyncio.run(run())


def test_a_nested_record_goes_with_the_transaction(url):
    """A rollback takes it along, although it was the first thing that the transaction did."""

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions() as session:
            await audit.create_log(AuditEvent(action="a"), session=session, nested=True)
            await session.rollback()

    asyncio.run(run())
    assert [] == actions(url)


def test_a_nested_record_is_not_committed_by_its_savepoint_on_a_plain_engine(sqlite_url):
    """SQLite's driver begins no transaction for a savepoint: an app's own engine has it so."""

    async def run():
        engine = create_async_engine(sqlite_url.replace("sqlite:", "sqlite+aiosqlite:"))
        async with AsyncSession(engine) as session:
            await AuditLog(engine).create_log(AuditEvent(action="a"), session=session, nested=True)
            await session.rollback()
        await engine.dispose()

    asyncio.run(run())
    assert [] == actions(sqlite_url)


def test_a_deadlock_in_a_savepoint_is_not_hidden(mariadb_server):
    """MySQL rolls back the whole transaction: one of the two is told, the other one goes on."""
    url = make_tables(mariadb_server.new_database())
    ids = [new_event_id(), new_event_id()]

    async def work(audit, sessions, barrier, mine, other):
        async with sessions() as session:
            await audit.create_log(AuditEvent(event_id=mine, action="a"), session=session)
            barrier.append(mine)
            while len(barrier) < 2:
                await asyncio.sleep(0)
            await audit.create_log(
                AuditEvent(event_id=other, action="b"), session=session, nested=True
            )
            await session.commit()

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions:
            barrier = []
            both = (
                work(audit, sessions, barrier, *ids),
                work(audit, sessions, barrier, *reversed(ids)),
            )
            return await asyncio.gather(*both, return_exceptions=True)

    results = asyncio.run(run())
    errors = [one for one in results if one is not None]
    assert [AuditError] == [type(one) for one in errors]
    assert "rolled back the whole transaction" in str(errors[0])
    assert 2 == len(stored(url))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "session="),
        ({"nested": True}, "session="),
        ({"nested": True, "independent": True}, "choose one"),
    ],
    ids=["no way", "nested alone", "two ways"],
)  # fmt: skip
def test_a_record_needs_one_way(options, message):
    """The error says which there are."""
    with pytest.raises(ValueError, match=message):
        asyncio.run(AuditLog("sqlite://").create_log(AuditEvent(action="a"), **options))


def test_a_session_without_asyncio_is_refused():
    """And the one is named that takes it."""
    with pytest.raises(TypeError, match="SyncAuditLog"):
        asyncio.run(AuditLog("sqlite://").create_log(AuditEvent(action="a"), session=Session()))
    with pytest.raises(TypeError, match="SyncAuditLog"):
        AuditLog(Session())


def test_a_scoped_session_will_do(sqlite_url):
    """Its session of now is taken."""

    async def run():
        async with shop(sqlite_url) as sessions:
            scoped = async_scoped_session(sessions, scopefunc=asyncio.current_task)
            await AuditLog(sqlite_url).create_log(AuditEvent(action="a"), session=scoped)
            await scoped.commit()
            await scoped.remove()

    asyncio.run(run())
    assert ["a"] == actions(sqlite_url)


def test_a_lock_that_the_caller_holds_is_found_at_once(sqlite_url):
    """On SQLite an independent record cannot pass a transaction that writes; the error says so."""

    async def run():
        async with AuditLog(sqlite_url) as audit, shop(sqlite_url) as sessions:
            async with sessions() as session:
                session.add(Order(id=1, state="new"))
                await session.flush()
                with pytest.raises(SinkUnavailable, match="SQLite has one writer at a time"):
                    # Half of the engine's own time-out.
                    await asyncio.wait_for(
                        audit.create_log(AuditEvent(action="a"), session=session, independent=True),
                        LOCK_S / 2,
                    )
                await session.commit()
            await audit.create_log(AuditEvent(action="b"), independent=True)
            async with audit._own_engine().connect() as connection:
                return (await connection.exec_driver_sql("PRAGMA busy_timeout")).scalar_one()

    assert LOCK_S * 1000 == asyncio.run(run())
    assert ["b"] == actions(sqlite_url)


def test_a_lock_of_somebody_else_is_waited_for(sqlite_url):
    """Without a session of the caller's the record waits until the other transaction ends."""

    async def run():
        async with AuditLog(sqlite_url) as audit, shop(sqlite_url) as sessions:
            async with sessions() as session:
                session.add(Order(id=1, state="new"))
                await session.flush()
                record = asyncio.create_task(
                    audit.create_log(AuditEvent(action="a"), independent=True)
                )
                await asyncio.sleep(0.1)
                waited = not record.done()
                await session.commit()
            await record
            return waited

    assert asyncio.run(run())
    assert ["a"] == actions(sqlite_url)


def test_one_connection_for_everything_has_no_independent_records():
    """An app's database in memory: a commit of the record would be one of the business too."""

    async def run():
        async with opened("sqlite://") as engine:
            async with engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
            audit = AuditLog(engine)
            with pytest.raises(AuditError, match="one connection for everything"):
                await audit.create_log(AuditEvent(action="a"), independent=True)
            async with engine.begin() as connection:
                await audit.create_log(AuditEvent(action="b"), session=connection)
            found = await audit.query()
            await audit.close()
            return [event.action for event in found.events]

    assert ["b"] == asyncio.run(run())


@pytest.mark.parametrize("source", ["engine", "sessionmaker"])
def test_the_service_has_a_pool_of_its_own(url, source):
    """Given an engine or sessionmaker, a record needs none of the app's connections."""

    async def run():
        async with opened(url, pool_size=1, max_overflow=0) as engine, engine.connect() as held:
            await held.execute(text("SELECT 1"))
            given = engine if source == "engine" else async_sessionmaker(engine)
            async with AuditLog(given) as audit:
                await asyncio.wait_for(
                    audit.create_log(AuditEvent(action="a"), independent=True), 30
                )

    asyncio.run(run())
    assert ["a"] == actions(url)


def test_a_forked_process_has_connections_of_its_own(sqlite_url, monkeypatch):
    """Those of its parent are neither used nor closed by it."""
    audit = AuditLog(sqlite_url)
    before = audit._own_engine()
    assert before is audit._own_engine()
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert before is not audit._own_engine()


def test_by_default_it_is_the_configured_database(sqlite_url):
    """`AuditLog()` reads `logging.audit.url`."""
    loglane.configure(audit={"url": sqlite_url})

    async def run():
        async with AuditLog() as audit:
            await audit.create_log(AuditEvent(action="a"), independent=True)

    asyncio.run(run())
    assert ["a"] == actions(sqlite_url)


def test_a_thousand_requests_wait_for_no_pool(url):
    """Each holds one of the app's 5 connections while it records independently; all succeed."""

    async def request(number, audit, sessions):
        async with sessions() as session:
            await session.execute(text("SELECT 1"))
            await audit.create_log(AuditEvent(action="a", actor=str(number)), independent=True)

    async def run():
        options = {"pool_size": 5, "max_overflow": 0, "pool_timeout": 240}
        async with shop(url, **options) as sessions, AuditLog(sessions) as audit:
            await asyncio.gather(*(request(n, audit, sessions) for n in range(1000)))

    asyncio.run(run())
    assert sorted(map(str, range(1000))) == sorted(row["actor"] for row in stored(url))


def test_a_mask_that_is_longer_than_its_secret_still_fits(url):
    """The record is stored and read; SQLite would keep it too long for every reader."""
    event = AuditEvent(action="token=a " * 16, actor="x" * 255)

    async def run():
        async with AuditLog(url) as audit:
            await audit.create_log(event, independent=True)
            return (await audit.query()).events

    (found,) = asyncio.run(run())
    assert (("token=*** " * 16)[:128], "x" * 255) == (found.action, found.actor)


def test_the_line_follows_the_commit(url, log_capture):
    """It has the id, trace id and category of the record, and its extra fields."""

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions() as session:
            with loglane.with_trace_id("t1"):
                event = AuditEvent(
                    action="refund", resource="order:1", actor="ann", extra={"amount": 5}
                )
                await audit.create_log(event, session=session)
            before = audit_lines(log_capture)
            await session.commit()
            return event.event_id, before

    event_id, before = asyncio.run(run())
    assert [] == before
    log_capture.assert_logged(
        "refund", times=1, level="info", log_category="audit", event_id=event_id, trace_id="t1",
        resource="order:1", actor="ann", status="success", amount=5,
    )  # fmt: skip


def test_the_line_of_a_failure_is_an_error(sqlite_url, log_capture):
    """A record may say that something did not work; names that a call needs stay in `extra`."""
    extra = {"exc_info": "no", "persist_db": True, "level": "AUDIT"}
    event = AuditEvent(action="pay", status="failure", error="card refused", extra=extra)

    async def run():
        async with AuditLog(sqlite_url) as audit:
            await audit.create_log(event, independent=True)

    asyncio.run(run())
    log_capture.assert_logged(
        "pay", times=1, level="error", error="card refused", status="failure",
        extra=extra, exception=None,
    )  # fmt: skip


def test_a_rollback_is_told_and_not_as_a_record(url, log_capture):
    """There is a warning and no line of the category `audit`; so too when a session is closed."""

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions:
            async with sessions() as session:
                await audit.create_log(AuditEvent(action="a"), session=session)
                await session.rollback()
            async with sessions() as session:
                await audit.create_log(AuditEvent(action="b"), session=session)

    asyncio.run(run())
    expected = [("an audit record was rolled back", action, None) for action in "ab"]
    found = [(e["message"], e["action"], e.get("log_category")) for e in log_capture.entries]
    assert expected == found


def test_a_savepoint_rolled_back_takes_its_lines(url, log_capture):
    """Of the records of a transaction only those that were committed have a line."""

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions() as session:

            async def record(action):
                await audit.create_log(AuditEvent(action=action), session=session)

            await record("before")
            async with session.begin_nested():
                await record("released")
                inner = await session.begin_nested()
                await record("undone")
                await inner.rollback()
            outer = await session.begin_nested()
            async with session.begin_nested():
                await record("released into what is undone")
            await outer.rollback()
            await record("after")
            await session.commit()

    asyncio.run(run())
    lines = [line["message"] for line in log_capture.entries if line["level"] == "info"]
    undone = [line["action"] for line in log_capture.entries if line["level"] == "warning"]
    assert ["before", "released", "after"] == lines
    assert ["undone", "released into what is undone"] == undone
    assert sorted(lines) == actions(url)


def test_a_connection_has_lines_too(url, log_capture):
    """With its commit, and not for what was rolled back."""

    async def run():
        async with AuditLog(url) as audit, opened(url) as engine, engine.connect() as connection:

            async def record(action, **options):
                await audit.create_log(AuditEvent(action=action), session=connection, **options)

            await record("before")
            savepoint = await connection.begin_nested()
            await record("undone")
            await savepoint.rollback()
            await record("nested", nested=True)
            before = audit_lines(log_capture)
            await connection.commit()
            await record("rolled back")
            await connection.rollback()
            return before

    assert [("warning", "an audit record was rolled back")] == asyncio.run(run())
    infos = [line["message"] for line in log_capture.entries if line["level"] == "info"]
    assert ["before", "nested"] == infos
    assert ["before", "nested"] == actions(url)


def test_no_line_of_a_record_is_held_back(sqlite_url, lines):
    """Neither by sampling nor by flow control; each record of the table has its line in Loki."""
    loglane.configure(sampling={"rate": 0.0}, flow_control={"first": 1, "every": 1000})

    async def run():
        async with AuditLog(sqlite_url) as audit:
            for status in ("success", "failure") * 3:
                await audit.create_log(AuditEvent(action="a", status=status), independent=True)

    asyncio.run(run())
    said = [line["event_id"] for line in lines() if line.get("log_category") == "audit"]
    assert [row["event_id"] for row in stored(sqlite_url)] == said


def test_audit_stats_count_explicit_records(sqlite_url):
    """Also where no worker runs and no line is marked."""
    before = audit_stats().get("explicit", {}).get("committed", 0)

    async def run():
        async with AuditLog(sqlite_url) as audit:
            await audit.create_log(AuditEvent(action="a"), independent=True)

    asyncio.run(run())
    assert before + 1 == audit_stats()["explicit"]["committed"]
