"""What a record is in the table: the same on every database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from loglane.audit.event import COLUMNS, AuditEvent
from loglane.scalars import escaped

# PostgreSQL has no NUL in text, and tools of SQLite end a text there. This is of the same length.
_NUL, _INSTEAD = "\0", "\N{REPLACEMENT CHARACTER}"
_NUL_IN_JSON = b"\\u0000"


def row_of(event: AuditEvent, recorded_at: datetime) -> dict[str, Any]:
    """Return the values of a record by column, masked, for SQLAlchemy's `insert`.

    NUL characters become U+FFFD. JSON has what `AuditEvent.row` leaves: integers beyond 64 bit and
    NaN are texts there, half of a surrogate pair is written out.

    Args:
        event: The record.
        recorded_at: When it is written; aware.
    """
    row, _ = _cleaned(event.row())
    row["recorded_at"] = recorded_at
    return row


def row_with_json(event: AuditEvent, *, is_masked: bool = False) -> dict[str, Any]:
    """Return the same without `recorded_at`, and with `extra` as JSON text, as drivers take it.

    Args:
        event: The record.
        is_masked: It was read from a line, so that its values are masked, bounded and JSON; to do
            that again takes as long as everything else together. Fields of a subclass may be
            anything.
    """
    if is_masked and type(event) is AuditEvent:
        values = event.__dict__
        row, text = _cleaned({name: values[name] for name in COLUMNS})
    else:
        row, text = _cleaned(event.row())
    row["extra"] = text.decode()
    return row


def kept_text(text: str) -> str:
    """Return a text as it is stored: what no database takes is another character."""
    return escaped(text.replace(_NUL, _INSTEAD))


def _cleaned(row: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    for name, value in row.items():
        if type(value) is str and _NUL in value:
            row[name] = value.replace(_NUL, _INSTEAD)
    text = orjson.dumps(row["extra"])
    if _NUL_IN_JSON in text:
        row["extra"] = _without_nul(row["extra"])
        text = orjson.dumps(row["extra"])
    return row, text


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(_NUL, _INSTEAD)
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_nul(inner) for inner in value]
    return value
