"""AuditLog: records in the business transaction, or beside it, and what is read of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, TypeAlias, TypeVar, overload
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Select
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session
from typing_extensions import Self, Unpack

from loglane.audit.event import Event
from loglane.audit.faults import ERRORS, available
from loglane.audit.lines import Row, count_failure, write_committed
from loglane.audit.own_engine import (
    CONNECTIONS,
    bind_of,
    holds_lock,
    open_async,
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
from loglane.audit.sync import PAGE, Rows, fetch, write_and_commit
from loglane.audit.writing import as_audit_error, check_way, insert_record, stored_form

Target: TypeAlias = "AsyncSession | async_scoped_session[AsyncSession] | AsyncConnection"
Result = TypeVar("Result")
# For everybody, and for those who write.
Gates: TypeAlias = tuple[asyncio.Semaphore, asyncio.Semaphore]


class AuditLog:
    """Writes audit records in the business transaction, and reads them.

    Made once and shared; `close` it, or use it as `async with`.

    Args:
        database: Address, engine or sessionmaker; by default the configured `logging.audit.url`.
            Of an engine or sessionmaker only the way to the database is taken: the service has a
            pool of its own.
        connections: How many it uses at most for itself; whoever comes then, waits.
    """

    def __init__(
        self,
        database: str | AsyncEngine | async_sessionmaker[Any] | None = None,
        *,
        connections: int = CONNECTIONS,
    ) -> None:
        if not isinstance(database, (str, AsyncEngine, async_sessionmaker, type(None))):
            raise TypeError(
                "AuditLog takes a URL, an AsyncEngine or an async_sessionmaker, not "
                f"{type(database).__name__}; SyncAuditLog takes those without asyncio"
            )
        self._database = database
        self._connections = connections
        self._own: AsyncEngine | None = None
        self._is_shared = False
        self._process = os.getpid()
        # A semaphore belongs to the loop that it was first waited for in.
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, Gates] = WeakKeyDictionary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give its own connections back."""
        own, self._own = self._own, None
        if own is not None and not self._is_shared:
            await own.dispose()

    @overload
    async def create_log(
        self,
        event: Event,
        *,
        session: Target | None = None,
        nested: Literal[False] = False,
        independent: bool = False,
    ) -> Event: ...

    @overload
    async def create_log(
        self,
        event: Event,
        *,
        session: Target | None = None,
        nested: bool,
        independent: bool = False,
    ) -> Event | None: ...

    async def create_log(
        self,
        event: Event,
        *,
        session: Target | None = None,
        nested: bool = False,
        independent: bool = False,
    ) -> Event | None:
        """Store a record, unless there is one of its id; its log line follows the commit.

        Args:
            event: The record. What it leaves out is completed (see `AuditEvent.completed`).
            session: The caller's session or connection. The record is inserted in its transaction,
                which is neither flushed nor committed here.
            nested: In a savepoint. A record that cannot be stored is then logged as an error and
                counted, and the business transaction goes on.
            independent: In a transaction of its own, committed when this returns, whatever becomes
                of the caller's. On SQLite, which has one writer at a time, give `session` too: a
                lock that the caller itself holds is then found at once.

        Returns:
            The record as stored, completed and masked; None when `nested` could not store it.

        Raises:
            ValueError: Neither `session` nor `independent`, or `nested` and `independent`.
            TypeError: `session` is none of asyncio.
            SQLAlchemyError: The insert in the caller's transaction failed; as the database says it.
            SinkUnavailable: An independent record cannot be stored now.
            AuditError: An independent record was refused; or a nested one failed together with the
                whole transaction, as in a deadlock on MySQL.
        """
        check_way(session, nested=nested, independent=independent)
        target = None if session is None else _target(session)
        stored, row = stored_form(event)
        if not independent:
            assert target is not None  # noqa: S101 - `check_way` has seen to it
            inserted = await target.run_sync(lambda sync: insert_record(sync, row, nested))
            return stored if inserted else None
        await self._write_alone(target, row)
        write_committed(row)
        return stored

    async def query(
        self,
        *,
        limit: int = 100,
        cursor: str | None = None,
        model: type[Read] | None = None,
        session: Target | None = None,
        **filters: Unpack[Filters],
    ) -> AuditPage[Read]:
        """Return a page of records, newest first.

        Records that are written meanwhile change nothing on the pages that follow.

        Args:
            limit: Records of the page, 1 to 1000.
            cursor: Of the page before, with the same filters.
            model: An app's own subclass; its fields are found in `extra`.
            session: To read within the caller's transaction.
            **filters: See `Filters`: `actor`, `user_id`, `action`, `resource`, `status`,
                `trace_id`, `since` (inclusive) and `until` (exclusive).

        Raises:
            ValueError: A time is naive, the limit or the cursor is none.
            SinkUnavailable: Without `session`: the database cannot be read now, or has no tables.
            AuditError: A record does not fit the model.
        """
        statement = select_page(filters, limit=limit, cursor=cursor)
        return page_of(model, await self._fetch(statement, session), limit)

    async def history(
        self,
        resource: str | int | UUID,
        *,
        limit: int = 100,
        cursor: str | None = None,
        model: type[Read] | None = None,
        session: Target | None = None,
    ) -> AuditPage[Read]:
        """Return a page of what was done to a resource, newest first; see `query`."""
        return await self.query(
            resource=resource, limit=limit, cursor=cursor, model=model, session=session
        )

    async def iter(
        self,
        *,
        model: type[Read] | None = None,
        session: Target | None = None,
        **filters: Unpack[Filters],
    ) -> AsyncIterator[Read]:
        """Yield all records, newest first; one page at a time is in memory."""
        cursor: str | None = None
        while True:
            page = await self.query(
                limit=PAGE, cursor=cursor, model=model, session=session, **filters
            )
            for event in page.events:
                yield event
            cursor = page.cursor
            if cursor is None:
                return

    async def get(
        self,
        event_id: str | UUID,
        *,
        model: type[Read] | None = None,
        session: Target | None = None,
    ) -> Read | None:
        """Return the record of an id; None when there is none."""
        rows = await self._fetch(select_one(event_id), session)
        return event_of(model, rows[0]) if rows else None

    async def _fetch(self, statement: Select[Any], session: Target | None) -> Rows:
        if session is not None:
            return await _target(session).run_sync(lambda sync: fetch(sync, statement))
        with available(self._own_engine().url):
            return await self._alone(lambda connection: fetch(connection, statement))

    async def _write_alone(self, target: AsyncSession | AsyncConnection | None, row: Row) -> None:
        engine = self._own_engine().sync_engine
        if self._is_shared:
            raise refuse_shared(engine)
        is_locked = False
        if target is not None:
            is_locked = await target.run_sync(lambda sync: holds_lock(sync, engine))
        try:
            async with self._gates_of_loop()[1]:
                await self._alone(lambda one: write_and_commit(one, row, is_locked=is_locked))
        except ERRORS as error:
            count_failure()
            raise as_audit_error(error, engine.url) from error

    async def _alone(self, work: Callable[[Connection], Result]) -> Result:
        """Run work on a connection of the service's own; wait until one is free."""
        async with self._gates_of_loop()[0], self._own_engine().connect() as connection:
            return await connection.run_sync(work)

    def _gates_of_loop(self) -> Gates:
        loop = asyncio.get_running_loop()
        gates = self._gates.get(loop)
        if gates is None:
            all_of_them, writers = widths_of(self._own_engine().sync_engine, self._connections)
            gates = asyncio.Semaphore(all_of_them), asyncio.Semaphore(writers)
            self._gates[loop] = gates
        return gates

    def _own_engine(self) -> AsyncEngine:
        if self._own is not None and self._process != os.getpid():
            # A fork: these connections are the parent's.
            if not self._is_shared:
                self._own.sync_engine.dispose(close=False)
            self._own = None
        if self._own is None:
            self._own, self._process = self._open(), os.getpid()
        return self._own

    def _open(self) -> AsyncEngine:
        database = self._database
        if database is None or isinstance(database, str):
            return open_async(database, self._connections)
        if isinstance(database, async_sessionmaker):
            database = AsyncEngine(bind_of(database().sync_session))
        plan = plan_own(database.sync_engine)
        self._is_shared = plan.pool is None
        if plan.pool is None:
            return database
        return create_async_engine(database.url, pool=plan.pool, **plan.options)


def _target(session: Any) -> AsyncSession | AsyncConnection:
    if isinstance(session, async_scoped_session):
        found: AsyncSession = session()
        return found
    if isinstance(session, (AsyncSession, AsyncConnection)):
        return session
    kind = "a Session" if isinstance(session, Session) else type(session).__name__
    raise TypeError(
        f"session should be an AsyncSession or AsyncConnection, not {kind}; SyncAuditLog takes "
        "those without asyncio"
    )
