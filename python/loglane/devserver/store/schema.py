"""The SQLite schema, and opening a database that has it."""

from __future__ import annotations

import sqlite3

from loglane.errors import LoglaneError

# Raised with every change of the tables; there is no migration, because the data is throw-away.
VERSION = 2

_LOCKED = "database is locked"
# How long another process may take to let go of a file while it ends.
_LOCK_TIMEOUT_S = 1.0

# A block holds some hundred entries of one stream (see `block`). Its id grows with arrival. The
# wide columns come last, so that what is asked for most is found without walking over them.
_TABLES = """
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    labels TEXT NOT NULL,
    UNIQUE (tenant, labels)
);
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    count INTEGER NOT NULL,
    size INTEGER NOT NULL,
    names TEXT NOT NULL,
    times BLOB NOT NULL,
    metadata BLOB,
    text BLOB NOT NULL
);
"""


def open_database(path: str | None) -> sqlite3.Connection:
    """Open a database file, or one in memory for None, and create the tables of a new one.

    Raises:
        LoglaneError: The file cannot be opened, is no SQLite database, has other tables, or is
            open in another server.
    """
    try:
        connection = sqlite3.connect(
            path or ":memory:", timeout=_LOCK_TIMEOUT_S, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise LoglaneError(
            f"cannot open {path}: {error}; give a file in an existing, writable directory"
        ) from None
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        if _LOCKED in str(error):
            raise LoglaneError(
                f"{path} is open in another server; stop that one, or give another file"
            ) from None
        raise LoglaneError(
            f"cannot use {path}: {error}; give another file, or remove this one to start empty"
        ) from None
    except LoglaneError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str | None) -> None:
    if path:
        # The index is in memory: a second server would neither see what the first one stores nor
        # which ids it has given away. SQLite holds the lock from the first statement on.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and version != VERSION:
        raise LoglaneError(
            f"{path} is a database of version {version}, not of version {VERSION} of loglane's "
            "development server; give another file, or remove this one to start empty"
        )
    if path:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    if not tables:
        connection.executescript(f"{_TABLES}PRAGMA user_version = {VERSION};")
