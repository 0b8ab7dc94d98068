"""The table of audit records, the same on every database."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Date,
    DateTime,
    Double,
    Index,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from loglane.errors import AuditError

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond; aware in Python, whatever the database keeps."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column's type: with a time zone where there is such a type."""
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what the database is given."""
        if value is None:
            return None
        at = value.astimezone(timezone.utc)
        return at if dialect.name == "postgresql" else at.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return what the app is given."""
        if value is None:
            return None
        return (
            value.replace(tzinfo=timezone.utc)
            if value.tzinfo is None
            else value.astimezone(timezone.utc)
        )


# Compared as the other databases do: a name in capitals is another name.
_MYSQL: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {
        "charset": "utf8mb4",
        "collate": "utf8mb4_bin",
        "engine": "InnoDB",
    }.items()
}

audit_records = Table(
    "audit_records",
    metadata,
    # Only SQLite's own type counts up by itself there.
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("event_id", String(36), nullable=False, unique=True),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("actor", String(255)),
    Column("user_id", String(255)),
    Column("action", String(128), nullable=False),
    Column("resource", String(512)),
    Column("status", String(7), nullable=False),
    Column("error", Text),
    Column("trace_id", String(128)),
    Column("service", String(128)),
    Column("env", String(64)),
    Column("duration_ms", Double),
    Column("extra", JSON, nullable=False),
    Index("ix_audit_records_occurred_at", "occurred_at", "id"),
    Index("ix_audit_records_actor", "actor", "occurred_at"),
    Index("ix_audit_records_user_id", "user_id", "occurred_at"),
    Index("ix_audit_records_action", "action", "occurred_at"),
    Index("ix_audit_records_resource", "resource", "occurred_at"),
    Index("ix_audit_records_status", "status", "occurred_at"),
    Index("ix_audit_records_trace_id", "trace_id"),
    **_MYSQL,
)

# Written after the records, by `loglane.audit.seals`: see there.
audit_seals = Table(
    "audit_seals",
    metadata,
    Column("day", Date, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("event_id", String(36), nullable=False, unique=True),
    Column("hash", String(64), nullable=False),
    **_MYSQL,
)


@lru_cache(maxsize=8)
def insert_new(dialect: str) -> Insert:
    """Return the statement that inserts a record unless there is one of its `event_id`.

    Args:
        dialect: Name of SQLAlchemy's dialect.

    Raises:
        AuditError: No audit records are kept in such a database.
    """
    key = audit_records.c.event_id
    if dialect in ("mysql", "mariadb"):
        # Not INSERT IGNORE, which turns every error into a warning.
        return mysql.insert(audit_records).on_duplicate_key_update(event_id=key).inline()
    if dialect == "postgresql":
        there = postgresql.insert(audit_records)
        return there.on_conflict_do_nothing(index_elements=[key]).inline()
    if dialect == "sqlite":
        here = sqlite.insert(audit_records)
        return here.on_conflict_do_nothing(index_elements=[key]).inline()
    raise AuditError(
        f"audit records are kept in SQLite, MySQL, MariaDB or PostgreSQL, not in {dialect}"
    )
