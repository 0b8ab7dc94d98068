"""One SQLite file that several processes share: how it is made, opened, checked, and forked.

What SQLite promises of a committed transaction in WAL mode with `synchronous=FULL`, that it
survives a power cut: https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakSet

from loglane.errors import AuditError

# "lgao" in ASCII: nobody's business data is taken for an outbox, nor an outbox for theirs.
APPLICATION_ID = 0x6C67616F
VERSION = 1
_BUSY_S = 5.0
# A fork waits so long for a transaction to end.
_FORK_S = 5.0
_PAUSE_S = 0.01

_SCHEMA = (
    # An id is never used again, so that whoever removes a record late removes no other one.
    "CREATE TABLE pending (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL,"
    " came REAL NOT NULL, owner TEXT NOT NULL, at REAL NOT NULL)",
    "CREATE INDEX pending_owner ON pending (owner)",
    "CREATE TABLE dead (id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT, body BLOB NOT NULL,"
    " reason TEXT NOT NULL, at REAL NOT NULL)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)

_files: WeakSet[OutboxFile] = WeakSet()
# Connections of the parent in a child: to close one would end the parent's locks and, when it is
# the last one, its journal.
_inherited: list[sqlite3.Connection] = []


class OutboxFile:
    """The file, opened when it is needed and by one thread at a time.

    A connection must not be carried across a fork
    (https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_file_across_a_fork_), nor
    may a child open a file that its parent had open at that moment; so it is closed before one.
    """

    def __init__(self, path: str | os.PathLike[str], max_bytes: int, busy_s: float = _BUSY_S):
        """Set the place; nothing is touched yet.

        Args:
            path: The file; missing folders are made, both for the owner alone.
            max_bytes: Its largest size; the journal beside it has some megabytes more.
            busy_s: How long another process's transaction is waited for.
        """
        # A later change of the working directory must not split the records.
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - a link is to stay one
        self._max_bytes = max_bytes
        self._busy_s = busy_s
        self._begin()
        self._connection: sqlite3.Connection | None = None
        self._node: tuple[int, int] | None = None
        self._syncs: bool | None = None
        self._is_wal = False
        _files.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        # Held by the next in turn: a busy thread would take the other again and again.
        self._next = threading.RLock()

    def _acquire(self, timeout_s: float = -1) -> bool:
        # Not for ever: a signal handler may come back to it in the middle of a transaction.
        is_next = self._next.acquire(timeout=_FORK_S)
        try:
            return self._lock.acquire(timeout=timeout_s)
        finally:
            if is_next:
                self._next.release()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        self._acquire()
        try:
            yield
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def transaction(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction.

        Args:
            durable: Whether it is on the disk when the block ends. If not, a power cut may undo
                it, but no end of the process.

        Raises:
            AuditError: The file cannot be read or written; nothing of the block is kept.
        """
        with self._turn():
            try:
                connection = self._opened()
                self._sync(connection, durable)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError) as error:
                # A connection to a file that was full, moved or repaired does not find that out.
                self.close()
                raise AuditError(f"outbox {self.path}: {_reason(error)}") from error

    def give_back(self, pages: int) -> None:
        """Make the file shorter by so many pages that are empty."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                # It has to be stepped through, which `execute` does not do without columns.
                self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")

    def open(self) -> None:
        """Open the file, and make it when there is none.

        Raises:
            AuditError: It cannot be opened, or is none of ours.
        """
        with self.transaction(durable=False) as connection:
            connection.execute("SELECT count(*) FROM dead").fetchone()

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None:
            # Records in a file that was deleted or moved would be found by nobody.
            with contextlib.suppress(OSError):
                if _node_of(self.path) == self._node:
                    return self._connection
            self.close()
        self._make()
        connection = sqlite3.connect(
            self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
            self._node = _node_of(self.path)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _make(self) -> None:
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            _sync_folder(folder)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            # Has to be said before there is a first table.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._is_wal = self._journal(connection) == "wal"
        self._syncs = None
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {max(self._max_bytes // page, 8)}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._check(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _journal(self, connection: sqlite3.Connection) -> str:
        """Choose WAL; where there is no such thing, the file's own journal is as safe, but slow."""
        until = time.monotonic() + self._busy_s
        while True:
            try:
                return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            except sqlite3.OperationalError as error:
                # SQLite itself does not wait here for the others that open it just now.
                if "locked" not in str(error) or time.monotonic() >= until:
                    raise
                time.sleep(_PAUSE_S)

    def _check(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application, version, tables) == (0, 0, 0):
            for statement in _SCHEMA:
                connection.execute(statement)
        elif application != APPLICATION_ID:
            raise AuditError(
                f"outbox {self.path}: is another program's database; name another file"
            )
        elif version != VERSION:
            raise AuditError(
                f"outbox {self.path}: has format {version}, and this loglane knows {VERSION}; "
                "use the version that wrote it"
            )

    def _sync(self, connection: sqlite3.Connection, durable: bool) -> None:
        wanted = durable or not self._is_wal
        if self._syncs is not wanted:
            connection.execute(f"PRAGMA synchronous = {'FULL' if wanted else 'NORMAL'}")
            self._syncs = wanted

    def before_fork(self) -> bool:
        """Close the file and keep its lock; return whether that could be done in time."""
        if not self._acquire(_FORK_S):
            return False
        self.close()
        return True

    def after_fork(self, is_child: bool, is_held: bool) -> None:
        """Let it be used again; `is_held` is what `before_fork` returned."""
        if is_child:
            if self._connection is not None:
                _inherited.append(self._connection)
                self._connection = None
            self._begin()
            return
        if is_held:
            self._lock.release()


def _reason(error: sqlite3.Error | OSError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    text = str(error)
    if isinstance(error, sqlite3.OperationalError):
        return "is full" if "disk is full" in text else text
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.InterfaceError):
        return f"is damaged ({text}); move it away, and keep it: `sqlite3 FILE .recover` reads it"
    return text


def _node_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _sync_folder(folder: Path) -> None:
    """Have the name of a new file on the disk; not every file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_forking: list[tuple[OutboxFile, bool]] = []


def _before_fork() -> None:
    _forking[:] = [(file, file.before_fork()) for file in list(_files)]


def _after_fork(is_child: bool) -> None:
    for file, is_held in _forking:
        file.after_fork(is_child, is_held)
    _forking.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(False),
        after_in_child=lambda: _after_fork(True),
    )
