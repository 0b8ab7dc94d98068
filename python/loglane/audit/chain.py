"""The chain of hashes: what a record is hashed as, and how one hash follows from another.

    hash = sha256(previous hash, in hex, a line feed, record as canonical JSON), in hex

Canonical JSON has every column of the record but `id`, sorted names at every depth, no spaces and
ASCII alone. Moments are UTC with six digits behind the seconds (2026-11-22T03:04:05.000600+00:00),
and a number without a fraction is written without a point: MySQL keeps JSON in a form of its own,
which does not tell 1.0 from 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

# What the very first record follows.
START = "0" * 64
# Beyond it, not every whole number is a float.
_EXACT = 2**53


def link(previous: str, record: Mapping[Any, Any]) -> str:
    """Return the hash of a record that follows the one with the hash `previous`."""
    return hashlib.sha256(previous.encode() + b"\n" + canonical(record)).hexdigest()


def canonical(record: Mapping[Any, Any]) -> bytes:
    """Return a record as canonical JSON, whichever database it was read from.

    Args:
        record: Values by column, as `records` of `loglane.audit.seals` reads them: `extra` is text.

    Raises:
        ValueError: `extra` is no JSON, or has a name twice.
    """
    values = {name: _plain(value) for name, value in record.items() if name != "extra"}
    values["extra"] = _plain(json.loads(record["extra"], object_pairs_hook=_object))
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat(timespec="microseconds")
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
