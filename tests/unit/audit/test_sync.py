"""SyncAuditLog does without asyncio what AuditLog does; both share what they do."""

from __future__ import annotations

import inspect
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import loglane
from loglane.audit import AuditEvent, AuditLog, SyncAuditLog
from loglane.audit.lines import explicit_counts
from loglane.audit.table import audit_records, metadata
from loglane.errors import AuditError, SinkUnavailable
from tests.unit.audit.business import (
    Order,
    actions,
    count_orders,
    make_tables,
    opened_sync,
    stored,
    sync_shop,
)


@pytest.fixture
def url(database_url):
    """Return the address of a database with the tables, once for each kind of database."""
    return make_tables(database_url)


@pytest.fixture
def sqlite_url(tmp_path):
    return make_tables(f"sqlite:///{tmp_path}/shop.db")


@pytest.fixture
def audit(url):
    with SyncAuditLog(url) as audit:
        yield audit


METHODS = ("create_log", "query", "history", "iter", "get", "close")


@pytest.mark.parametrize("name", METHODS)
def test_both_have_the_same_methods(name):
    """With the same parameters."""
    both = (inspect.signature(getattr(kind, name)) for kind in (AuditLog, SyncAuditLog))
    one, other = ([(p.name, p.kind, p.default) for p in it.parameters.values()] for it in both)
    assert one == other


def test_a_record_is_committed_with_the_business(url, audit):
    """It is in the table when the caller's transaction is, and not before."""
    with sync_shop(url) as sessions, sessions() as session:
        session.add(Order(id=1, state="new"))
        made = audit.create_log(AuditEvent(action="create", user_id=7), session=session)
        before = audit.query().events
        session.commit()
        assert ((), (made,)) == (before, audit.query().events)
    assert 1 == count_orders(url)


def test_a_rollback_takes_the_explicit_record_and_leaves_the_independent_one(url, audit):
    """What is recorded independently stays, whatever becomes of the business."""
    with sync_shop(url) as sessions, sessions() as session:
        audit.create_log(AuditEvent(action="tried"), independent=True)
        session.add(Order(id=1, state="new"))
        session.flush()
        audit.create_log(AuditEvent(action="created"), session=session)
        session.rollback()
    assert (["tried"], 0) == (actions(url), count_orders(url))


def test_a_nested_record_that_fails_leaves_the_business_alone(url, audit, log_capture):
    """There is None, an error line and a count; the caller's transaction commits."""
    with opened_sync(url) as engine:
        audit_records.drop(engine)
    before = explicit_counts()["failed"]
    with sync_shop(url) as sessions, sessions.begin() as session:
        session.add(Order(id=1, state="new"))
        session.flush()
        made = audit.create_log(AuditEvent(action="a"), session=session, nested=True)
        session.add(Order(id=2, state="new"))
    assert (None, 2, before + 1) == (made, count_orders(url), explicit_counts()["failed"])
    log_capture.assert_logged("an audit record could not be stored", times=1, level="error")


def test_errors_are_the_database_s_or_say_what_to_do(url, audit):
    """In the caller's transaction as they are; of an independent record with advice."""
    with opened_sync(url) as engine:
        audit_records.drop(engine)
    with sync_shop(url) as sessions, sessions() as session, pytest.raises(DBAPIError):
        audit.create_log(AuditEvent(action="a"), session=session)
    with pytest.raises(SinkUnavailable, match="loglane audit init"):
        audit.create_log(AuditEvent(action="a"), independent=True)


def test_a_connection_will_do(url, audit, log_capture):
    """The line is written with its commit."""
    with opened_sync(url) as engine, engine.connect() as connection:
        audit.create_log(AuditEvent(action="a"), session=connection)
        before = log_capture.messages
        connection.commit()
    assert ([], ["a"], ["a"]) == (before, log_capture.messages, actions(url))


def test_a_session_of_two_databases_brings_records_to_theirs(sqlite_url, tmp_path):
    """`binds` of a session say where the table of audit records is."""
    business = make_tables(f"sqlite:///{tmp_path}/business.db")
    with opened_sync(business) as main, opened_sync(sqlite_url) as trail:
        sessions = sessionmaker(main, binds={audit_records: trail})
        with sessions.begin() as session, SyncAuditLog(sessions) as audit:
            session.add(Order(id=1, state="new"))
            audit.create_log(AuditEvent(action="a"), session=session)
    assert ([], 1) == (actions(business), count_orders(business))
    assert (["a"], 0) == (actions(sqlite_url), count_orders(sqlite_url))


def test_a_scoped_session_will_do(sqlite_url):
    """Its session of now is taken."""
    with sync_shop(sqlite_url) as sessions:
        scoped = scoped_session(sessions)
        SyncAuditLog(sqlite_url).create_log(AuditEvent(action="a"), session=scoped)
        scoped.commit()
        scoped.remove()
    assert ["a"] == actions(sqlite_url)


def test_wrong_ways_are_refused(audit):
    """A session of asyncio, none at all, a source that is none."""
    with pytest.raises(TypeError, match="AuditLog takes those of asyncio"):
        audit.create_log(AuditEvent(action="a"), session=AsyncSession())
    with pytest.raises(ValueError, match="session="):
        audit.create_log(AuditEvent(action="a"))
    with pytest.raises(TypeError, match="a URL, an Engine"):
        SyncAuditLog(Session())


def test_a_sessionmaker_without_an_engine_is_refused():
    """The error says what it lacks."""
    with pytest.raises(AuditError, match="bind="):
        SyncAuditLog(sessionmaker()).query()


def test_a_lock_that_the_caller_holds_is_found_at_once(sqlite_url):
    """On SQLite an independent record cannot pass a transaction that writes; the error says so."""
    with sync_shop(sqlite_url) as sessions, sessions() as session, SyncAuditLog(sessions) as audit:
        session.add(Order(id=1, state="new"))
        session.flush()
        with pytest.raises(SinkUnavailable, match="SQLite has one writer at a time"):
            audit.create_log(AuditEvent(action="a"), session=session, independent=True)
        session.commit()
        audit.create_log(AuditEvent(action="b"), session=session, independent=True)
    assert ["b"] == actions(sqlite_url)


def test_one_connection_for_everything_has_no_independent_records():
    """An app's database in memory has one for a thread, or one for all."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    audit = SyncAuditLog(engine)
    with pytest.raises(AuditError, match="one connection for everything"):
        audit.create_log(AuditEvent(action="a"), independent=True)
    with Session(engine) as session:
        audit.create_log(AuditEvent(action="b"), session=session)
        session.commit()
    audit.close()
    assert ["b"] == [event.action for event in audit.query().events]
    engine.dispose()


def test_threads_wait_for_no_pool(url):
    """Each of 40 holds one of the app's 5 connections while it records; all succeed."""
    options = {"pool_size": 5, "max_overflow": 0, "pool_timeout": 240}

    def request(number):
        with sessions() as session:
            session.execute(text("SELECT 1"))
            audit.create_log(AuditEvent(action="a", actor=str(number)), independent=True)

    with (
        sync_shop(url, **options) as sessions,
        SyncAuditLog(sessions) as audit,
        ThreadPoolExecutor(40) as pool,
    ):
        list(pool.map(request, range(400)))
    assert sorted(map(str, range(400))) == sorted(row["actor"] for row in stored(url))


def test_a_forked_process_has_connections_of_its_own(sqlite_url, monkeypatch):
    """Those of its parent are neither used nor closed by it."""
    audit = SyncAuditLog(sqlite_url)
    before = audit._own_engine()
    assert before is audit._own_engine()
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert before is not audit._own_engine()


def test_by_default_it_is_the_configured_database(sqlite_url):
    """`SyncAuditLog()` reads `logging.audit.url`."""
    loglane.configure(audit={"url": sqlite_url})
    with SyncAuditLog() as audit:
        audit.create_log(AuditEvent(action="a"), independent=True)
    assert ["a"] == actions(sqlite_url)
