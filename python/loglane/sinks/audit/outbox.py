"""Audit records on the disk: those that wait for the database, and those that it refused.

Each waiting record has an owner: the process that has it in its hands, or none. A record that a
process left behind belongs to others after a while. Two that write the same record do no harm,
because it is stored once for its `event_id`; it is a waste only.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from loglane.sinks.audit.outbox_file import OutboxFile

# The owner of what is in nobody's hands.
_NOBODY = ""
# What another process has had for so long is taken from it.
ABANDONED_S = 60.0
# With so many empty pages, after a long absence of the database, some are given back at a time.
_EMPTY_PAGES = 2048
_GIVEN_BACK = 512


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that will never be stored as it is.

    Attributes:
        id: In the outbox.
        event_id: Its id, when it has one.
        body: What was to be stored, JSON.
        reason: Why it was not.
        at: When that was found out, Unix time in seconds.
    """

    id: int
    event_id: str | None
    body: bytes
    reason: str
    at: float


class Outbox:
    """The file; every method may be called from any thread, and takes the time of the disk.

    Every one raises AuditError when the file cannot be read or written, and has then done nothing.
    """

    def __init__(self, path: str | os.PathLike[str], max_bytes: int, busy_s: float = 5.0) -> None:
        """Set the place; the file is made and opened when it is needed.

        Args:
            path: The file.
            max_bytes: Beyond this size it takes no more.
            busy_s: How long another process's transaction is waited for.
        """
        self._file = OutboxFile(path, max_bytes, busy_s)
        self._began = time.time()
        self._process, self._token = os.getpid(), secrets.token_hex(8)

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def open(self) -> None:
        """Make sure that it can be used.

        Raises:
            AuditError: It is damaged, somebody else's, or cannot be written.
        """
        self._file.open()

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        self._file.close()

    def add(self, bodies: Sequence[bytes], held: int = 0) -> list[int]:
        """Write records; when this returns they are on the disk.

        Args:
            bodies: Records.
            held: How many of them, from the first on, stay in the hands of this process.

        Returns:
            Their ids, for `remove`.
        """
        now, me = time.time(), self._me()
        with self._file.transaction(durable=True) as connection:
            found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'pending'")
            first = (found.fetchone() or (0,))[0] + 1
            ids = list(range(first, first + len(bodies)))
            owners = [me] * held + [_NOBODY] * (len(bodies) - held)
            connection.executemany(
                "INSERT INTO pending (id, body, came, owner, at) VALUES (?, ?, ?, ?, ?)",
                [
                    (i, body, now, owner, now)
                    for i, body, owner in zip(ids, bodies, owners, strict=False)
                ],
            )
        return ids

    def take(self, limit: int) -> list[tuple[int, bytes]]:
        """Take the oldest records that nobody has in hand, or somebody for too long.

        Returns:
            `(id, record)`; to be given to `remove`, `bury` or `release`.
        """
        now, me = time.time(), self._me()
        # What others took before this process began was left by one that had ended, most likely.
        until = max(now - ABANDONED_S, self._began)
        # What is taken in the future was taken before the clock was set back.
        after = now + ABANDONED_S
        with self._file.transaction(durable=False) as connection:
            rows = connection.execute(
                "SELECT id, body FROM pending WHERE owner = ? ORDER BY id LIMIT ?", (_NOBODY, limit)
            ).fetchall()
            if len(rows) < limit:
                rows += connection.execute(
                    "SELECT id, body FROM pending WHERE id IN (SELECT id FROM ("
                    " SELECT id, at FROM pending WHERE owner > ? AND owner < ?"
                    " UNION ALL SELECT id, at FROM pending WHERE owner > ?"
                    ") WHERE at < ? OR at > ?) ORDER BY id LIMIT ?",
                    (_NOBODY, me, me, until, after, limit - len(rows)),
                ).fetchall()
            connection.executemany(
                "UPDATE pending SET owner = ?, at = ? WHERE id = ?",
                [(me, now, row[0]) for row in rows],
            )
        return rows

    def release(self, ids: Sequence[int]) -> None:
        """Let records be taken again, by this process or another."""
        with self._file.transaction(durable=False) as connection:
            connection.executemany(
                "UPDATE pending SET owner = ? WHERE id = ?", [(_NOBODY, i) for i in ids]
            )

    def remove(self, ids: Sequence[int]) -> None:
        """Remove records that are stored. A power cut may bring them back; that does no harm."""
        with self._file.transaction(durable=False) as connection:
            connection.executemany("DELETE FROM pending WHERE id = ?", [(i,) for i in ids])
            (empty,) = connection.execute("PRAGMA freelist_count").fetchone()
        if empty > _EMPTY_PAGES:
            self._file.give_back(_GIVEN_BACK)

    def bury(self, letters: Sequence[tuple[int | None, bytes, str]]) -> None:
        """Make dead letters of records: `(id in the outbox or None, record, reason)`.

        One that another process has removed meanwhile is stored, or a dead letter already.
        """
        now = time.time()
        with self._file.transaction(durable=True) as connection:
            for row, body, reason in letters:
                # Removed first: in a full file it makes its own room.
                removed = _delete(connection, row) if row is not None else True
                if removed:
                    connection.execute(
                        "INSERT INTO dead (event_id, body, reason, at) VALUES (?, ?, ?, ?)",
                        (event_id_of(body), body, reason, now),
                    )

    def revive(self, ids: Sequence[int] | None = None) -> int:
        """Let dead letters be tried again; all of them by default. Return how many."""
        now = time.time()
        with self._file.transaction(durable=True) as connection:
            if ids is None:
                ids = [row[0] for row in connection.execute("SELECT id FROM dead ORDER BY id")]
            count = 0
            for i in ids:
                count += connection.execute(
                    "INSERT INTO pending (body, came, owner, at)"
                    " SELECT body, ?, ?, ? FROM dead WHERE id = ?",
                    (now, _NOBODY, now, i),
                ).rowcount
                connection.execute("DELETE FROM dead WHERE id = ?", (i,))
            return count

    def dead(self, limit: int = -1) -> list[DeadLetter]:
        """Return the dead letters, the oldest first.

        Args:
            limit: At most so many; all by default.
        """
        with self._file.transaction(durable=False) as connection:
            rows = connection.execute(
                "SELECT id, event_id, body, reason, at FROM dead ORDER BY id LIMIT ?", (limit,)
            )
            return [DeadLetter(*row) for row in rows]

    def counts(self) -> tuple[int, int]:
        """Return how many records wait, and how many are dead."""
        with self._file.transaction(durable=False) as connection:
            (pending,) = connection.execute("SELECT count(*) FROM pending").fetchone()
            (dead,) = connection.execute("SELECT count(*) FROM dead").fetchone()
            return pending, dead

    def age_s(self) -> float:
        """Return how long the oldest record has waited here; 0 when there is none."""
        with self._file.transaction(durable=False) as connection:
            found = connection.execute("SELECT came FROM pending ORDER BY id LIMIT 1").fetchone()
        return 0.0 if found is None else max(0.0, time.time() - found[0])

    def _me(self) -> str:
        if self._process != os.getpid():
            self._process, self._token = os.getpid(), secrets.token_hex(8)
        return self._token


def event_id_of(body: bytes) -> str | None:
    """Return the id in a record, if there is one."""
    try:
        found = orjson.loads(body)
    except ValueError:
        return None
    value = found.get("event_id") if isinstance(found, dict) else None
    return value if isinstance(value, str) else None


def _delete(connection: sqlite3.Connection, row: int) -> bool:
    return connection.execute("DELETE FROM pending WHERE id = ?", (row,)).rowcount > 0
