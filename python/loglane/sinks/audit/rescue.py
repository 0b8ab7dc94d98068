"""The last thing that is done for records in memory when their process ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from loglane.errors import AuditError
from loglane.sinks.audit.outbox import Outbox, event_id_of
from loglane.sinks.audit.waiting import Record

# Ids that are named in one message.
_NAMED = 20
# A signal handler waits so long for another process's transaction.
_HURRY_S = 2.0


def rescue(records: Sequence[Record], path: Path, max_bytes: int) -> str:
    """Write records into the outbox, by this thread and over a connection of its own.

    Another connection may be in the middle of something that a signal has interrupted.

    Returns:
        What went wrong, or ''.
    """
    outbox = Outbox(path, max_bytes, busy_s=_HURRY_S)
    try:
        outbox.add([line for line, _, _ in records])
    except AuditError as error:
        return str(error)
    finally:
        outbox.close()
    return ""


def say(records: Sequence[Record], what: str) -> None:
    """Say on stderr what becomes of records: nobody is left who would read it elsewhere."""
    ids = [event_id_of(line) or "without id" for line, _, _ in records[:_NAMED]]
    more = f" and {len(records) - _NAMED} more" if len(records) > _NAMED else ""
    if sys.stderr is not None:
        print(  # noqa: T201 - a log line might need what has ended already
            f"loglane: {len(records)} audit records {what}: {', '.join(ids)}{more}",
            file=sys.stderr,
        )
