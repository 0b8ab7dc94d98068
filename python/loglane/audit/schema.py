"""The tables in a database: make them, bring them up to date, say what is wrong with them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Table, func, insert, inspect, select, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from loglane.audit.database import SQLITE_BEGIN
from loglane.audit.event import AuditEvent
from loglane.audit.faults import ERRORS, INIT, MIGRATE, advised, available, reason_of
from loglane.audit.rows import row_of
from loglane.audit.table import audit_records, audit_seals, metadata
from loglane.errors import CheckFailed

# Not Alembic's default name: the app may have migrations of its own in the same database.
VERSION_TABLE = "audit_alembic_version"
_MIGRATIONS = Path(__file__).parent / "migrations"
# Shorter than a driver waits for an answer.
_LOCK, _LOCK_S = "loglane_audit_schema", 20
# PostgreSQL's locks have numbers; this is the CRC-32 of the name above.
_LOCK_NUMBER = 0x5A7C1D03
# Differences that are named.
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Change:
    """From which revision to which the tables were brought; None is no tables."""

    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: its name, whether it is well, and what was found."""

    name: str
    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        findings: Each thing checked; the first one that stops the others is the last.
        records: How many there are.
        seals: How many of them are sealed.
        newest: When the last one was recorded.
    """

    findings: tuple[Finding, ...]
    records: int = 0
    seals: int = 0
    newest: datetime | None = None

    @property
    def passed(self) -> bool:
        """Tell whether all is well."""
        return all(finding.passed for finding in self.findings)


def init(engine: Engine) -> Change:
    """Make the tables, or bring them up to date; may be called by several processes at a time.

    Tables that somebody else made (an app's own migrations) are taken over when they are right.

    Raises:
        SinkUnavailable: The database cannot be reached or says no.
        CheckFailed: There are tables of these names that are others, or one was dropped, or they
            are newer than this version of loglane.
    """
    with available(engine.url), _alone(engine) as connection:
        before = _revision(connection)
        wrong = _refusal(connection, before)
        if wrong:
            raise CheckFailed(wrong)
        is_new = not inspect(connection).has_table(audit_records.name)
        if before is None and not is_new and not differences(connection):
            command.stamp(_config(connection), "head")
        else:
            # Goes on where an attempt broke off, too.
            command.upgrade(_config(connection), "head")
        different = differences(connection)
        if different:
            raise CheckFailed(f"the tables are there, but differ: {_listed(different)}")
        return Change(before, _head())


def migrate(engine: Engine) -> Change:
    """Bring the tables up to date.

    Raises:
        SinkUnavailable: The database cannot be reached or says no.
        CheckFailed: There are none, or one was dropped, or they are newer than this version.
    """
    with available(engine.url), _alone(engine) as connection:
        before = _revision(connection)
        if before is None:
            raise CheckFailed(f"no revision is noted in {VERSION_TABLE}: {INIT}")
        wrong = _refusal(connection, before)
        if wrong:
            raise CheckFailed(wrong)
        command.upgrade(_config(connection), "head")
        return Change(before, _head())


def check(engine: Engine) -> Report:
    """Check that records can be written; nothing is raised for what a finding can say."""
    findings: list[Finding] = []
    try:
        with engine.connect() as connection:
            findings.append(Finding("database", True, _version(connection)))
            findings += _tables(connection)
            if not all(finding.passed for finding in findings):
                return Report(tuple(findings))
            findings.append(_writable(connection))
            return Report(tuple(findings), *_counts(connection))
    except ERRORS as error:
        name = "tables" if findings else "database"
        return Report((*findings, Finding(name, False, advised(error))))


def differences(connection: Connection) -> list[str]:
    """Return in what the tables differ from what they should be; other tables are not looked at."""
    options = {
        "version_table": VERSION_TABLE,
        "compare_type": True,
        "include_name": lambda name, kind, _: kind != "table" or name in metadata.tables,
    }
    found: list[Any] = compare_metadata(
        MigrationContext.configure(connection, opts=options), metadata
    )
    return [_described(one) for one in found]


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Open a transaction in which no other process changes the tables."""
    with _quiet_alembic(), engine.connect() as connection, _named_lock(connection):
        connection.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_S}s'")
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER}
                )
            yield connection


@contextmanager
def _quiet_alembic() -> Iterator[None]:
    """Leave Alembic's account of each step out of the app's log; warnings stay."""
    logger = logging.getLogger("alembic")
    before = logger.level
    logger.setLevel(max(before, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _named_lock(connection: Connection) -> Iterator[None]:
    """Hold MySQL's lock until after the commit: what is not committed is not seen by the next."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        yield
        return
    asked = text("SELECT GET_LOCK(:name, :wait)"), {"name": _LOCK, "wait": _LOCK_S}
    got = connection.execute(*asked).scalar()
    connection.rollback()
    if got != 1:
        raise TimeoutError(f"another process has been changing the tables for {_LOCK_S} s")
    try:
        yield
    finally:
        # A connection that is gone has no locks any more.
        with suppress(SQLAlchemyError):
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK})


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # A percent sign in the path is none of the file's own.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _head() -> str:
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _revision(connection: Connection) -> str | None:
    options = {"version_table": VERSION_TABLE}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def _refusal(connection: Connection, revision: str | None) -> str:
    """Return why these tables are not for a migration; empty when they are."""
    found = inspect(connection)
    if revision is None:
        if not found.has_table(audit_records.name):
            return ""
        there = {column["name"] for column in found.get_columns(audit_records.name)}
        missing = sorted(set(audit_records.columns.keys()) - there)
        name = audit_records.name
        return f"{name} is another's: it has no {', '.join(missing)}" if missing else ""
    if revision > _head():
        return f"revision {revision} is of a newer loglane, this one knows {_head()}: update it"
    gone = [name for name in metadata.tables if not found.has_table(name)]
    if gone:
        return (
            f"revision {revision} is noted in {VERSION_TABLE}, but there is no "
            f"{' and no '.join(gone)}: restore what was dropped; to begin anew, drop "
            f"{VERSION_TABLE}, too"
        )
    return ""


def _listed(differences: list[str]) -> str:
    shown = "; ".join(differences[:_SHOWN])
    more = len(differences) - _SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def _described(difference: Any) -> str:
    if isinstance(difference, list):
        return ", ".join(_described(one) for one in difference)
    kind, *rest = difference
    named = next((one for one in rest if hasattr(one, "name")), None)
    if kind.startswith("modify_"):
        return f"{kind.replace('_', ' ')} of {rest[1]}.{rest[2]}"
    table = getattr(named, "table", None)
    place = f"{table.name}." if isinstance(table, Table) else ""
    return f"{kind.replace('_', ' ')} {place}{getattr(named, 'name', rest)}"


def _version(connection: Connection) -> str:
    version = ".".join(map(str, connection.dialect.server_version_info or ()))
    is_mariadb = getattr(connection.dialect, "is_mariadb", False)
    return f"{'mariadb' if is_mariadb else connection.dialect.name} {version}"


def _tables(connection: Connection) -> list[Finding]:
    revision, head = _revision(connection), _head()
    wrong = _refusal(connection, revision)
    if wrong:
        return [Finding("tables", False, wrong)]
    if not inspect(connection).has_table(audit_records.name):
        return [Finding("tables", False, f"there are none; {INIT}")]
    if revision not in (None, head):
        return [Finding("tables", False, f"revision {revision}, should be {head}; {MIGRATE}")]
    different = differences(connection)
    text_ = f"revision {revision}" if revision else "made by other migrations than ours"
    if different:
        return [Finding("tables", False, f"{text_}; they differ: {_listed(different)}")]
    return [Finding("tables", True, f"{text_}, {len(audit_records.indexes)} indexes")]


def _writable(connection: Connection) -> Finding:
    """Write a record and take it back."""
    connection.rollback()
    row = row_of(AuditEvent(action="loglane audit check"), datetime.now(timezone.utc))
    try:
        with connection.begin() as transaction:
            connection.execute(insert(audit_records).values(row))
            transaction.rollback()
    except ERRORS as error:
        return Finding("writable", False, reason_of(error))
    return Finding("writable", True, "a record was written and taken back")


def _counts(connection: Connection) -> tuple[int, int, datetime | None]:
    def count(table: Table) -> int:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()

    newest = select(audit_records.c.recorded_at).order_by(audit_records.c.id.desc()).limit(1)
    return count(audit_records), count(audit_seals), connection.execute(newest).scalar()
