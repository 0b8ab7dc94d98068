"""Marks of a log call whose line is an audit record, too.

`persist_db=True`, `to_db=True` and `level="AUDIT"` mean the same. A marked line gets an `event_id`,
and `log_category="audit"` when it has no category of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from loglane.event_id import new_event_id

MARKS = frozenset(("persist_db", "to_db"))
# Names of a call's fields that may mark it.
MARKING = MARKS | {"level"}
# The level that marks a line, and the category of such lines.
AUDIT = "audit"


class Waiting(threading.local):
    """Where a thread gathers what it will wait for; None when it waits at once."""

    futures: list[Future[None]] | None = None


waiting = Waiting()


def names_audit(level: object) -> bool:
    """Tell whether a level's name means a marked line."""
    return isinstance(level, str) and level.lower() == AUDIT


def is_marked(*maps: Mapping[str, Any]) -> bool:
    """Tell whether any of these fields, a call's or bound ones, mark a line."""
    return any(
        fields.get("persist_db") or fields.get("to_db") or names_audit(fields.get("level"))
        for fields in maps
    )


def is_unmarked(fields: Mapping[str, Any]) -> bool:
    """Tell whether a call's fields say that its line is no record, whatever is bound."""
    return not MARKS.isdisjoint(fields) and not is_marked(fields)


def take_mark(fields: dict[str, Any]) -> bool:
    """Take the marks out of a call's fields.

    Returns:
        Whether one of them says that the line is a record.
    """
    marked = fields.get("persist_db") or fields.get("to_db")
    if "level" in fields and names_audit(fields["level"]):
        del fields["level"]
        marked = True
    if not marked:
        # A mark that says no is left where it is: it wins over one that is bound.
        return False
    fields.pop("persist_db", None)
    fields.pop("to_db", None)
    return True


def add_identity(fields: dict[str, Any]) -> None:
    """Give a marked line what its record is found by, unless the call did."""
    if fields.get("event_id") is None:
        fields["event_id"] = new_event_id()
    if "log_category" not in fields:
        fields["log_category"] = AUDIT


@contextmanager
def recording_later() -> Iterator[list[Future[None]]]:
    """Let marked calls of this thread return before their records are acknowledged.

    Yields:
        What is to be waited for; complete at the end of the block.
    """
    futures: list[Future[None]] = []
    before, waiting.futures = waiting.futures, futures
    try:
        yield futures
    finally:
        waiting.futures = before
