"""Insert one record in a transaction of the caller's, over a sync session or connection.

The async service comes here too, by `run_sync`, so that there is one way to write.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from loglane.audit.commits import write_after_commit
from loglane.audit.event import Event
from loglane.audit.faults import Fault, fault_of, reason_of, unavailable
from loglane.audit.lines import Row, write_failure
from loglane.audit.reading import event_of
from loglane.audit.rows import row_of
from loglane.audit.table import audit_records, insert_new
from loglane.errors import AuditError, SinkUnavailable

_LOCKED = (
    "; SQLite has one writer at a time: write an independent record before the transaction "
    "writes or after it has ended, or mark a log line (persist_db=True)"
)


def stored_form(event: Event) -> tuple[Event, Row]:
    """Return a record as it is stored, completed and masked: as an event, and by column."""
    completed = event.completed()
    row = row_of(completed, datetime.now(timezone.utc))
    try:
        return event_of(type(event), row), row
    except AuditError:
        # A mask stands where the app's own field wants a number.
        return completed, row


def insert_record(target: Session | Connection, row: Row, nested: bool) -> bool:
    """Insert a record unless there is one of its id, in the transaction that is open.

    Nothing else of a session is flushed, and nothing is committed. The log line follows the
    commit.

    Args:
        target: The caller's.
        row: Values by column.
        nested: In a savepoint. An error is then logged and counted, and the transaction goes on.

    Returns:
        False when the savepoint was rolled back.

    Raises:
        SQLAlchemyError: The insert failed; as it is, for whoever tries transactions again.
        AuditError: With `nested`, the savepoint is gone too: the whole transaction was rolled back.
    """
    if nested:
        if not _insert_in_savepoint(target, row):
            return False
    else:
        execute_insert(connection_of(target), row)
    write_after_commit(target, row)
    return True


def connection_of(target: Session | Connection) -> Connection:
    """Return the connection on which a session keeps audit records."""
    if isinstance(target, Connection):
        return target
    return target.connection(bind_arguments={"clause": audit_records})


def execute_insert(connection: Connection, row: Row) -> None:
    """Insert a record unless there is one of its id."""
    connection.execute(insert_new(connection.dialect.name), row)


def _insert_in_savepoint(target: Session | Connection, row: Row) -> bool:
    try:
        connection = connection_of(target)
        _begin_on_sqlite(connection)
        # Not the session's own, which would flush everything.
        savepoint = connection.begin_nested()
    except SQLAlchemyError as error:
        write_failure(row, reason_of(error))
        return False
    try:
        execute_insert(connection, row)
        savepoint.commit()
    except Exception as error:  # noqa: BLE001 - whatever it is, the business goes on
        try:
            savepoint.rollback()
        except SQLAlchemyError as gone:
            # A deadlock on MySQL ends the transaction with all that it did before.
            message = f"the database has rolled back the whole transaction: {reason_of(error)}"
            raise AuditError(message) from gone
        write_failure(row, reason_of(error))
        return False
    return True


def _begin_on_sqlite(connection: Connection) -> None:
    """Begin what the driver would begin at the first write.

    Else the savepoint would be the transaction, and be committed with it:
    https://www.sqlite.org/lang_savepoint.html
    """
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        if not getattr(driver, "in_transaction", True):
            connection.exec_driver_sql("BEGIN")


def as_audit_error(error: Exception, url: URL) -> AuditError:
    """Return what is raised when a record of its own transaction could not be stored."""
    if fault_of(error) is Fault.refused:
        return AuditError(f"the audit record was refused: {reason_of(error)}")
    found = unavailable(error, url)
    return SinkUnavailable(f"{found}{_LOCKED}") if "database is locked" in str(found) else found


def check_way(session: object, *, nested: bool, independent: bool) -> None:
    """See that a record has one way to the database.

    Raises:
        ValueError: It has none, or two.
    """
    if nested and independent:
        raise ValueError(
            "nested is a savepoint in the caller's transaction, independent is a transaction of "
            "its own; choose one"
        )
    if session is None and not independent:
        raise ValueError(
            "create_log needs session=, the session of the business transaction, or "
            "independent=True for a transaction of its own"
        )
