"""The log line of an explicit record: written when its transaction has been committed, not before.

A line that says what a rolled back transaction did would lie. So lines wait for the end of the
transaction, on a list of its session or connection.
"""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, SessionTransaction

from loglane.audit.faults import reason_of
from loglane.logger import Logger
from loglane.marks import MARKING

Row = dict[str, Any]

_LINE_FIELDS = (
    "event_id", "actor", "user_id", "resource", "status", "error", "duration_ms", "trace_id",
)  # fmt: skip
# What a log call gives a meaning of its own.
_SPECIAL = frozenset((*_LINE_FIELDS, "log_category", "exc_info", "stack_info", *MARKING))
_log = Logger("loglane.audit")
_lock = threading.Lock()
_counts = {"committed": 0, "rolled_back": 0, "failed": 0}


def _start_child() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held it when the process forked
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_child)


def explicit_counts() -> dict[str, int]:
    """Return what became of explicit records since the process began.

    Returns:
        How many were `committed`, how many were `rolled_back` with the caller's transaction, and
        how many `failed`, which those of `nested=True` do without an exception.
    """
    with _lock:
        return dict(_counts)


def write_line(row: Row) -> None:
    """Write the line of a record that is in the database; its fields are those of a marked line."""
    _count("committed")
    fields = {name: row[name] for name in _LINE_FIELDS if row[name] is not None}
    extra = dict(row["extra"])
    kept = {name: extra.pop(name) for name in list(extra) if name in _SPECIAL}
    if kept:
        fields["extra"] = kept
    write = _log.error if row["status"] == "failure" else _log.info
    write(row["action"], log_category="audit", **fields, **extra)


def write_failure(row: Row, error: Exception) -> None:
    """Write that a record could not be stored, where the caller is not told by an exception."""
    _count("failed")
    fields = {name: row[name] for name in _LINE_FIELDS if row[name] is not None}
    fields |= {"error": reason_of(error), "action": row["action"]}
    _log.error("an audit record could not be stored", **fields)


def count_failure() -> None:
    """Count a record that could not be stored, where the caller is told."""
    _count("failed")


def _count(name: str) -> None:
    with _lock:
        _counts[name] += 1


def _write_rolled_back(row: Row) -> None:
    _count("rolled_back")
    # Not of the category `audit`: there each line has its record.
    names = ("event_id", "actor", "user_id", "resource", "trace_id")
    fields = {name: row[name] for name in names if row[name] is not None}
    _log.warning("an audit record was rolled back", action=row["action"], **fields)


def write_after_commit(target: Session | Connection, row: Row) -> None:
    """Write a record's line when the transaction that it was inserted in is committed.

    When that transaction or the savepoint is rolled back, a warning says so instead. On a
    connection the line is written with the COMMIT, which has no event behind it.
    """
    if isinstance(target, Session):
        if target not in _of_session:
            _of_session[target] = []
            event.listen(target, "after_commit", _session_committed)
            event.listen(target, "after_transaction_end", _session_ended)
        _of_session[target].append((_innermost(target), row))
        return
    if target not in _of_connection:
        _of_connection[target] = waiting = _Waiting()
        event.listen(target, "commit", waiting.committed)
        event.listen(target, "rollback", waiting.rolled_back)
        event.listen(target, "savepoint", waiting.savepoint_set)
        event.listen(target, "release_savepoint", waiting.savepoint_released)
        event.listen(target, "rollback_savepoint", waiting.savepoint_rolled_back)
    _of_connection[target].rows.append(row)


_of_session: WeakKeyDictionary[Session, list[tuple[SessionTransaction | None, Row]]] = (
    WeakKeyDictionary()
)


def _innermost(session: Session) -> SessionTransaction | None:
    return session.get_nested_transaction() or session.get_transaction()


def _session_committed(session: Session) -> None:
    # Also called when a savepoint is released: its records are then its parent's.
    ended = _innermost(session)
    parent = ended.parent if ended is not None and ended.nested else None
    waiting, _of_session[session] = _of_session[session], []
    for transaction, row in waiting:
        if parent is None:
            write_line(row)
        else:
            heir = parent if transaction is ended else transaction
            _of_session[session].append((heir, row))


def _session_ended(session: Session, ended: SessionTransaction) -> None:
    # What was committed has left the list before.
    lost = [row for transaction, row in _of_session[session] if transaction is ended]
    if lost:
        _of_session[session] = [pair for pair in _of_session[session] if pair[0] is not ended]
    for row in lost:
        _write_rolled_back(row)


class _Waiting:
    """Records of a connection's transaction, in their order."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        # How many there were when each open savepoint was set; of older ones there were none.
        self._marks: list[int] = []

    def committed(self, _connection: Connection) -> None:
        rows, self.rows, self._marks = self.rows, [], []
        for row in rows:
            write_line(row)

    def rolled_back(self, _connection: Connection) -> None:
        self._marks = []
        self._drop(0)

    def savepoint_set(self, _connection: Connection, _name: str | None) -> None:
        self._marks.append(len(self.rows))

    def savepoint_released(self, _connection: Connection, _name: str, _context: None) -> None:
        if self._marks:
            self._marks.pop()

    def savepoint_rolled_back(self, _connection: Connection, _name: str, _context: None) -> None:
        self._drop(self._marks.pop() if self._marks else 0)

    def _drop(self, first: int) -> None:
        lost, self.rows = self.rows[first:], self.rows[:first]
        for row in lost:
            _write_rolled_back(row)


_of_connection: WeakKeyDictionary[Connection, _Waiting] = WeakKeyDictionary()
