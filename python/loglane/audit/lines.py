"""The log line of a record that is not a marked line itself: the same fields, in the same category.

A record that is stored has its line in Loki: it is held back neither by sampling nor by flow
control.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any

from loglane.entry import Entry
from loglane.logger import emit
from loglane.marks import MARKING

Row = dict[str, Any]

_LINE_FIELDS = (
    "event_id", "actor", "user_id", "resource", "status", "error", "duration_ms", "trace_id",
)  # fmt: skip
# What a log call gives a meaning of its own.
_SPECIAL = frozenset((*_LINE_FIELDS, "log_category", "exc_info", "stack_info", *MARKING))
_LOGGER = "loglane.audit"
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
    """Write the line of a record; its fields are those of a marked line.

    Args:
        row: What is stored, by column, as `AuditEvent.row` returns it.
    """
    extra = dict(row["extra"])
    fields = {name: extra.pop(name) for name in list(extra) if name in _SPECIAL}
    fields = {"extra": fields} if fields else {}
    level = "error" if row["status"] == "failure" else "info"
    _write(level, row["action"], {**extra, **fields, "log_category": "audit"}, row, _LINE_FIELDS)


def write_committed(row: Row) -> None:
    """Count an explicit record that is in the database, and write its line."""
    _count("committed")
    write_line(row)


def write_failure(row: Row, reason: str) -> None:
    """Write that a record could not be stored, where the caller is not told by an exception."""
    _count("failed")
    names = [name for name in _LINE_FIELDS if name != "error"]
    fields = {"action": row["action"], "error": reason}
    _write("error", "an audit record could not be stored", fields, row, names)


def count_failure() -> None:
    """Count a record that could not be stored, where the caller is told."""
    _count("failed")


def write_rolled_back(row: Row) -> None:
    """Write that a record has gone with its transaction."""
    _count("rolled_back")
    # Not of the category `audit`: there each line has its record.
    names = ("event_id", "actor", "user_id", "resource", "trace_id")
    fields = {"action": row["action"]}
    _write("warning", "an audit record was rolled back", fields, row, names)


def _write(
    level: str, message: str, fields: dict[str, Any], row: Row, names: Iterable[str]
) -> None:
    given = {name: row[name] for name in names if row[name] is not None}
    entry = Entry(level, _LOGGER, message, fields={**fields, **given})
    entry.always = True
    emit(entry)


def _count(name: str) -> None:
    with _lock:
        _counts[name] += 1
