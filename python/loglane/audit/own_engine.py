"""The pool that a service has for itself: for independent records, and for reading.

Were it the requests' pool, each request would hold one connection and wait for a second one, and
none would ever come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool, QueuePool, SingletonThreadPool, StaticPool

from loglane.audit.database import open_engine, open_sync_engine
from loglane.audit.table import audit_records
from loglane.audit.writing import connection_of
from loglane.errors import AuditError
from loglane.logger import active_engine
from loglane.settings import load_settings
from loglane.settings.audit import Audit

CONNECTIONS = 5
# How long SQLite is asked for a lock that the caller itself may hold.
SHORT_WAIT_MS = 250


@dataclass(frozen=True, slots=True)
class Plan:
    """How a service gets its own engine from the app's.

    Attributes:
        pool: A new one, of the same kind; None when there is but one connection for all.
        options: Of `create_engine`.
    """

    pool: Pool | None
    options: dict[str, Any]


def open_async(url: str | None, connections: int) -> AsyncEngine:
    """Return an engine of a database given by its address, or of the configured one."""
    if url is not None:
        return open_engine(url, pool_size=connections)
    audit = _configured()
    return open_engine(audit.url, password_file=audit.password_file, pool_size=connections)


def open_sync(url: str | None, connections: int) -> Engine:
    """Return an engine as `open_async` does, without asyncio."""
    if url is not None:
        return open_sync_engine(url, pool_size=connections)
    audit = _configured()
    return open_sync_engine(audit.url, password_file=audit.password_file, pool_size=connections)


def _configured() -> Audit:
    engine = active_engine()
    return (load_settings({}).settings if engine is None else engine.settings).audit


def plan_own(engine: Engine) -> Plan:
    """Return how to make an engine beside the app's, to the same database."""
    if isinstance(engine.pool, (StaticPool, SingletonThreadPool)):
        return Plan(None, {})
    options = {"execution_options": dict(engine.get_execution_options())}
    return Plan(engine.pool.recreate(), options)


def widths_of(engine: Engine, connections: int) -> tuple[int, int]:
    """Return how many may use a service's engine at a time, and how many of them may write.

    None waits in the pool itself, which would lose patience. SQLite has one writer at a time, and
    does not let those who wait for it in turn.
    """
    size = engine.pool.size() if isinstance(engine.pool, QueuePool) else 0
    width = min(connections, size) if size else connections
    return width, 1 if engine.dialect.name == "sqlite" else width


def bind_of(session: Session) -> Engine:
    """Return the engine to which a session brings audit records.

    Raises:
        AuditError: It knows none.
    """
    try:
        return session.get_bind(clause=audit_records).engine
    except UnboundExecutionError as error:
        raise AuditError("the sessionmaker has no engine; give it bind=") from error


def refuse_shared(engine: Engine) -> AuditError:
    """Return the error of an independent record where there is one connection for everything."""
    return AuditError(
        f"{engine.url.render_as_string()} has one connection for everything, so that nothing is "
        "independent of a transaction; use a database in a file"
    )


def holds_lock(target: Any, own: Engine) -> bool:
    """Tell whether a caller's session may hold SQLite's only lock for writing.

    Args:
        target: Its sync session or connection.
        own: The engine that is to write.
    """
    if own.dialect.name != "sqlite" or not target.in_transaction():
        return False
    connection = connection_of(target)
    driver: Any = connection.connection.driver_connection
    same = connection.engine.url.database == own.url.database
    return same and bool(getattr(driver, "in_transaction", False))
