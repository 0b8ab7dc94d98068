"""What follows the end of a transaction that explicit records were inserted in.

A line that says what a rolled back transaction did would lie. So lines wait for the end of the
transaction, on a list of its session or connection.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, SessionTransaction

from loglane.audit.lines import Row, write_committed, write_rolled_back


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
            write_committed(row)
        else:
            heir = parent if transaction is ended else transaction
            _of_session[session].append((heir, row))


def _session_ended(session: Session, ended: SessionTransaction) -> None:
    # What was committed has left the list before.
    lost = [row for transaction, row in _of_session[session] if transaction is ended]
    if lost:
        _of_session[session] = [pair for pair in _of_session[session] if pair[0] is not ended]
    for row in lost:
        write_rolled_back(row)


class _Waiting:
    """Records of a connection's transaction, in their order."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        # How many there were when each open savepoint was set; of older ones there were none.
        self._marks: list[int] = []

    def committed(self, _connection: Connection) -> None:
        rows, self.rows, self._marks = self.rows, [], []
        for row in rows:
            write_committed(row)

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
            write_rolled_back(row)


_of_connection: WeakKeyDictionary[Connection, _Waiting] = WeakKeyDictionary()
