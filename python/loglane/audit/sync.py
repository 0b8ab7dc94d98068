"""AuditLog for apps that use SQLAlchemy without asyncio."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, TypeAlias, TypeVar, overload
from uuid import UUID

from sqlalchemy import Engine, Select, create_engine
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from typing_extensions import Self, Unpack

from loglane.audit.event import Event
from loglane.audit.faults import ERRORS, available
from loglane.audit.lines import Row, count_failure, write_committed
from loglane.audit.own_engine import (
    CONNECTIONS,
    SHORT_WAIT_MS,
    bind_of,
    holds_lock,
    open_sync,
    plan_own,
    refuse_shared,
    widths_of,
)
from loglane.audit.reading import (
    AuditPage,
    Filters,
    Read,
    event_of,
    page_of,
    select_one,
    select_page,
)
from loglane.audit.writing import (
    as_audit_error,
    check_way,
    execute_insert,
    insert_record,
    stored_form,
)

Target: TypeAlias = "Session | scoped_session[Session] | Connection"
Rows: TypeAlias = "list[dict[str, Any]]"
Result = TypeVar("Result")
PAGE = 500


class SyncAuditLog:
    """Writes audit records in the business transaction, and reads them; see `AuditLog`.

    Safe to share between threads.

    Args:
        database: Address, engine or sessionmaker; by default the configured `logging.audit.url`.
        connections: How many it uses at most for itself; whoever comes then, waits.
    """

    def __init__(
        self,
        database: str | Engine | sessionmaker[Any] | None = None,
        *,
        connections: int = CONNECTIONS,
    ) -> None:
        if not isinstance(database, (str, Engine, sessionmaker, type(None))):
            raise TypeError(
                f"SyncAuditLog takes a URL, an Engine or a sessionmaker, not "
                f"{type(database).__name__}"
            )
        self._database = database
        self._connections = connections
        self._lock = threading.Lock()
        self._own: Engine | None = None
        self._is_shared = False
        self._process = os.getpid()
        self._gate = self._turn = threading.BoundedSemaphore(connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give its own connections back."""
        with self._lock:
            if self._own is not None and not self._is_shared:
                self._own.dispose()
            self._own = None

    @overload
    def create_log(
        self,
        event: Event,
        *,
        session: Target | None = None,
        nested: Literal[False] = False,
        independent: bool = False,
    ) -> Event: ...

    @overload
    def create_log(
        self,
        event: Event,
        *,
        session: Target | None = None,
        nested: bool,
        independent: bool = False,
    ) -> Event | None: ...

    def create_log(
        self,
        event: Event,
        *,
        session: Target | None = None,
        nested: bool = False,
        independent: bool = False,
    ) -> Event | None:
        """Store a record; arguments, result and errors are those of `AuditLog.create_log`."""
        check_way(session, nested=nested, independent=independent)
        target = None if session is None else _target(session)
        stored, row = stored_form(event)
        if not independent:
            assert target is not None  # noqa: S101 - `check_way` has seen to it
            return stored if insert_record(target, row, nested) else None
        self._write_alone(target, row)
        write_committed(row)
        return stored

    def query(
        self,
        *,
        limit: int = 100,
        cursor: str | None = None,
        model: type[Read] | None = None,
        session: Target | None = None,
        **filters: Unpack[Filters],
    ) -> AuditPage[Read]:
        """Return a page of records, newest first; see `AuditLog.query`."""
        statement = select_page(filters, limit=limit, cursor=cursor)
        return page_of(model, self._fetch(statement, session), limit)

    def history(
        self,
        resource: str | int | UUID,
        *,
        limit: int = 100,
        cursor: str | None = None,
        model: type[Read] | None = None,
        session: Target | None = None,
    ) -> AuditPage[Read]:
        """Return a page of what was done to a resource, newest first."""
        return self.query(
            resource=resource, limit=limit, cursor=cursor, model=model, session=session
        )

    def iter(
        self,
        *,
        model: type[Read] | None = None,
        session: Target | None = None,
        **filters: Unpack[Filters],
    ) -> Iterator[Read]:
        """Yield all records, newest first; one page at a time is in memory."""
        cursor: str | None = None
        while True:
            page = self.query(limit=PAGE, cursor=cursor, model=model, session=session, **filters)
            yield from page.events
            cursor = page.cursor
            if cursor is None:
                return

    def get(
        self,
        event_id: str | UUID,
        *,
        model: type[Read] | None = None,
        session: Target | None = None,
    ) -> Read | None:
        """Return the record of an id; None when there is none."""
        rows = self._fetch(select_one(event_id), session)
        return event_of(model, rows[0]) if rows else None

    def _fetch(self, statement: Select[Any], session: Target | None) -> Rows:
        if session is not None:
            return fetch(_target(session), statement)
        with available(self._own_engine().url):
            return self._alone(lambda connection: fetch(connection, statement))

    def _write_alone(self, target: Session | Connection | None, row: Row) -> None:
        engine = self._own_engine()
        if self._is_shared:
            raise refuse_shared(engine)
        is_locked = target is not None and holds_lock(target, engine)
        try:
            with self._turn:
                self._alone(lambda one: write_and_commit(one, row, is_locked=is_locked))
        except ERRORS as error:
            count_failure()
            raise as_audit_error(error, engine.url) from error

    def _alone(self, work: Callable[[Connection], Result]) -> Result:
        """Run work on a connection of the service's own; wait until one is free."""
        engine = self._own_engine()
        with self._gate, engine.connect() as connection:
            return work(connection)

    def _own_engine(self) -> Engine:
        with self._lock:
            if self._own is not None and self._process != os.getpid():
                # A fork: these connections are the parent's.
                if not self._is_shared:
                    self._own.dispose(close=False)
                self._own = None
            if self._own is None:
                self._own, self._process = self._open(), os.getpid()
                width, writers = widths_of(self._own, self._connections)
                self._gate = threading.BoundedSemaphore(width)
                self._turn = threading.BoundedSemaphore(writers)
            return self._own

    def _open(self) -> Engine:
        database = self._database
        if database is None or isinstance(database, str):
            return open_sync(database, self._connections)
        engine = database
        if isinstance(engine, sessionmaker):
            with engine() as session:
                engine = bind_of(session)
        plan = plan_own(engine)
        self._is_shared = plan.pool is None
        if plan.pool is None:
            return engine
        return create_engine(engine.url, pool=plan.pool, **plan.options)


def fetch(target: Session | Connection, statement: Select[Any]) -> Rows:
    """Return what a statement finds, in the transaction that is open."""
    return [dict(row) for row in target.execute(statement).mappings()]


def write_and_commit(connection: Connection, row: Row, *, is_locked: bool) -> None:
    """Insert a record in a transaction of its own.

    Args:
        connection: Nobody else uses it.
        row: Values by column.
        is_locked: The caller itself may hold SQLite's lock, so that waiting for it may be in vain.
    """
    with _short_wait(connection) if is_locked else nullcontext():
        execute_insert(connection, row)
        connection.commit()


@contextmanager
def _short_wait(connection: Connection) -> Iterator[None]:
    before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {SHORT_WAIT_MS}")
    try:
        yield
    finally:
        connection.rollback()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(before)}")


def _target(session: Any) -> Session | Connection:
    if isinstance(session, scoped_session):
        found: Session = session()
        return found
    if isinstance(session, (Session, Connection)):
        return session
    raise TypeError(
        f"session should be a Session or Connection, not {type(session).__name__}; "
        "AuditLog takes those of asyncio"
    )
