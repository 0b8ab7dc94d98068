"""The sink that writes batches into a SQL database."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import JSON, Text, bindparam, cast, column, func, select, text
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import Self

from loglane.audit.database import COUNTS_NEW, open_engine, open_sync_engine
from loglane.audit.event import AuditEvent
from loglane.audit.faults import ERRORS, Fault, fault_of, reason_of, unavailable
from loglane.audit.rows import row_with_json
from loglane.audit.seals import seal
from loglane.audit.sink import Masked, Outcome
from loglane.audit.table import audit_records, insert_new
from loglane.settings.audit import Audit

# How long a batch may take altogether, waiting for a connection and for locks included.
DEADLINE_S = 30
# Only a record beyond this size is compared with what MySQL takes in one packet.
_LARGE = 500_000
# What the other columns take at most, every character escaped.
_OTHER_COLUMNS = 100_000

# Sealing many at once costs less; `verify` allows for the delay.
_SEAL_S = 1

# Name of the parameter of PostgreSQL.
_ROWS = "rows"

Row = dict[str, Any]
_log = logging.getLogger("loglane.audit")


class SqlSink:
    """Writes batches, each in a transaction of its own; an `AuditSink`.

    A batch costs one round trip and a commit: PostgreSQL gets its rows as one JSON text, MySQL and
    MariaDB one `INSERT` with all of them (one for each megabyte), SQLite runs a prepared statement.

    Args:
        engine: Of `open_engine`, or the app's own.
        tamper_evident: Seal records (`loglane.audit.seals`), within a second after a batch.
        deadline_s: A batch that takes longer is given up.
        in_thread: Writes batches as a whole in a thread. For SQLite: a driver with asyncio goes to
            its own thread and back for every statement, which takes longer than the statement.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        tamper_evident: bool = False,
        deadline_s: float = DEADLINE_S,
        in_thread: Engine | None = None,
    ) -> None:
        self._engine = engine
        self._in_thread = in_thread
        self._deadline_s = deadline_s
        self._seals = tamper_evident
        self._unsealed = False
        self._sealing: asyncio.Task[None] | None = None
        self._insert = Insert(engine.dialect)
        # SQLite has one writer at a time: it is quicker to wait here than to ask it again.
        is_sqlite = engine.dialect.name == "sqlite"
        self._turn = asyncio.Lock() if is_sqlite else contextlib.nullcontext()

    @classmethod
    def of(cls, settings: Audit) -> Self:
        """Return the sink that settings ask for; nothing is connected yet.

        Raises:
            SpecError: The address of the database is none.
            EnvironmentMissing: The driver is not installed.
        """
        # Stale connections are found by the batch itself, which is then written over a new one;
        # and no transaction is left open when a connection is given back.
        engine = open_engine(
            settings.url,
            password_file=settings.password_file,
            pool_size=settings.writers,
            pool_pre_ping=False,
            pool_reset_on_return=None,
        )
        in_thread = None
        if engine.dialect.name == "sqlite":
            in_thread = open_sync_engine(
                settings.url, pool_size=settings.writers + 1, pool_reset_on_return=None
            )
        return cls(engine, tamper_evident=settings.tamper_evident, in_thread=in_thread)

    async def write(self, batch: Sequence[AuditEvent]) -> Sequence[Outcome]:
        """Write a batch; see `AuditSink.write`.

        A record that the database refuses is found by writing halves of the batch.
        """
        is_masked = isinstance(batch, Masked)
        rows = [row_with_json(event, is_masked=is_masked) for event in batch]
        if not rows:
            return []
        try:
            outcomes = await asyncio.wait_for(self._write_in_turn(rows), self._deadline_s)
        except asyncio.TimeoutError:
            late = TimeoutError(f"no answer within {self._deadline_s:g} s")
            raise unavailable(late, self._engine.url) from None
        except ERRORS as error:
            raise unavailable(error, self._engine.url) from None
        if self._seals:
            self._unsealed = True
            if self._sealing is None or self._sealing.done():
                self._sealing = asyncio.create_task(self._seal_soon())
        return outcomes

    async def close(self) -> None:
        """Seal what was written, when that is asked for; give connections back; never raises."""
        if self._sealing is not None:
            self._sealing.cancel()
            await asyncio.wait([self._sealing])
            await self._seal()
        with contextlib.suppress(Exception):
            await self._engine.dispose()
        if self._in_thread is not None:
            with contextlib.suppress(Exception):
                self._in_thread.dispose()

    async def _seal_soon(self) -> None:
        while self._unsealed:
            await asyncio.sleep(_SEAL_S)
            self._unsealed = False
            await self._seal()

    async def _seal(self) -> None:
        try:
            async with self._turn:
                await asyncio.wait_for(seal(self._engine), self._deadline_s)
        except ERRORS as error:
            # The records are there; the next batch has them sealed.
            _log.warning("audit records are not sealed yet: %s", reason_of(error))

    async def _write_in_turn(self, rows: list[Row]) -> list[Outcome]:
        async with self._turn:
            return await self._write(rows)

    async def _write(self, rows: list[Row]) -> list[Outcome]:
        try:
            return await self._write_again(rows)
        except (*ERRORS, ValueError, TypeError) as error:
            if fault_of(error) is not Fault.refused:
                raise
            if len(rows) == 1:
                return [Outcome(rows[0]["event_id"], "refused", reason_of(error))]
        middle = len(rows) // 2
        return [*await self._write(rows[:middle]), *await self._write(rows[middle:])]

    async def _write_again(self, rows: list[Row]) -> list[Outcome]:
        try:
            return await self._write_once(rows)
        except ERRORS as error:
            if fault_of(error) is not Fault.again:
                raise
        return await self._write_once(rows)

    async def _write_once(self, rows: list[Row]) -> list[Outcome]:
        if self._in_thread is not None:
            known = await self._write_beside(self._in_thread, rows)
        else:
            async with self._engine.connect() as connection:
                known = await connection.run_sync(self._insert.run, rows)
        return [
            Outcome(row["event_id"], "known" if row["event_id"] in known else "written")
            for row in rows
        ]

    async def _write_beside(self, engine: Engine, rows: list[Row]) -> set[str]:
        try:
            writing = asyncio.get_running_loop().run_in_executor(
                None, self._write_here, engine, rows
            )
        except RuntimeError:
            # The interpreter is ending: there are no threads any more, and nobody to hold up.
            return self._write_here(engine, rows)
        return await writing

    def _write_here(self, engine: Engine, rows: list[Row]) -> set[str]:
        with engine.connect() as connection:
            return self._insert.run(connection, rows)


class Insert:
    """The statement that writes a record, unless its id is there; compiled once.

    Attributes:
        text: SQL as the driver takes it.
    """

    def __init__(self, dialect: Dialect) -> None:
        statement: Any = insert_new(dialect.name)
        names = [column.name for column in audit_records.columns if column.name != "id"]
        self._is_json = dialect.name == "postgresql"
        if self._is_json:
            # One parameter, whatever the number of rows: they are read by the server.
            statement = statement.from_select(names, _rows_of_json(names))
            names = [_ROWS]
        compiled = statement.compile(dialect=dialect, column_keys=names)
        self.text = str(compiled)
        order = getattr(compiled, "positiontup", None)
        self._ordered: Callable[[Row], Any] = itemgetter(*order) if order else _same

    def run(self, connection: Connection, rows: Sequence[Row]) -> set[str]:
        """Write rows in a transaction of their own; return the ids that were there before.

        Raises:
            ValueError: A record is larger than the server takes.
            SQLAlchemyError: The database says no; nothing is written.
        """
        now = datetime.now(timezone.utc)
        is_mysql = connection.dialect.name in ("mysql", "mariadb")
        with connection.begin():
            if is_mysql:
                _refuse_large(connection, rows)
            done = connection.exec_driver_sql(
                self.text,
                self._parameters(rows, now),
                execution_options={"preserve_rowcount": True},
            )
            if done.rowcount == len(rows) and (not is_mysql or COUNTS_NEW in connection.info):
                return set()
            return _known(connection, rows, now)

    def _parameters(self, rows: Sequence[Row], recorded_at: datetime) -> Any:
        """Return what is sent for the rows; without SQLAlchemy's own work, which costs more."""
        if self._is_json:
            found = [
                {**row, "extra": orjson.Fragment(row["extra"]), "recorded_at": recorded_at}
                for row in rows
            ]
            return self._ordered({_ROWS: orjson.dumps(found).decode()})
        ordered, at = self._ordered, _as_text(recorded_at)
        return [
            ordered({**row, "occurred_at": _as_text(row["occurred_at"]), "recorded_at": at})
            for row in rows
        ]


def _same(value: Any) -> Any:
    return value


def _rows_of_json(names: Sequence[str]) -> Any:
    """Return PostgreSQL's rows of a parameter that is a JSON array of objects."""
    given = cast(bindparam(_ROWS, type_=Text), JSON)
    columns = [column(name, audit_records.c[name].type) for name in names]
    read = func.json_to_recordset(given).table_valued(*columns, name="given")
    return select(*read.render_derived(with_types=True).c)


def _as_text(moment: datetime) -> str:
    # What SQLAlchemy's SQLite makes of a moment, and MySQL reads; its drivers take longer.
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat(" ", "microseconds")


def _known(connection: Connection, rows: Sequence[Row], now: datetime) -> set[str]:
    """Return the ids that were there before; what was just written has our own moment."""
    known = audit_records.c
    asked = select(known.event_id).where(
        known.event_id.in_([row["event_id"] for row in rows]), known.recorded_at != now
    )
    return set(connection.execute(asked).scalars())


def _refuse_large(connection: Connection, rows: Sequence[Row]) -> None:
    """Refuse what MySQL would answer by hanging up, so that it is told from a lost connection.

    Raises:
        ValueError: A record is larger than the server takes.
    """
    large = [row["extra"] for row in rows if len(row["extra"]) > _LARGE]
    if not large:
        return
    limit = connection.execute(text("SELECT @@max_allowed_packet")).scalar_one()
    for extra in large:
        size = len(extra.encode()) + extra.count('"') + extra.count("\\") + _OTHER_COLUMNS
        if size > limit:
            raise ValueError(f"{size} bytes are more than max_allowed_packet, {limit}")
