"""The lines that are shipped: JSON of about 250 bytes, five levels mixed, with ids."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import NamedTuple

import orjson

from loglane.fields import LEVELS, STRUCTURED_METADATA

# Of a hundred lines; the sum is 100.
_MIX = {"debug": 30, "info": 55, "warning": 9, "error": 5, "critical": 1}
_LEVELS = tuple(level for level in LEVELS for _ in range(_MIX[level]))


class Line(NamedTuple):
    """One rendered line and what Loki is told beside it."""

    timestamp_ns: int
    level: str
    text: bytes
    metadata: dict[str, str]


def level_of(number: int) -> str:
    """Return the level of a line; neighbours differ."""
    return _LEVELS[number * 37 % 100]


def fields_of(number: int) -> dict[str, object]:
    """Return what the app says in a line, beside its message."""
    return {
        "log_category": "orders",
        "trace_id": f"{number * 7919:032x}",
        "request_id": f"req-{number:08d}",
        "seq": number,
        "amount": number / 100,
        "currency": "EUR",
    }


def make_lines(count: int, service: str) -> Iterator[Line]:
    """Yield lines as the package renders them, a microsecond apart and ending now."""
    start_ns = time.time_ns() - count * 1000
    for number in range(count):
        stamp_ns = start_ns + number * 1000
        moment = datetime.fromtimestamp(stamp_ns / 1e9, timezone.utc)
        own = fields_of(number)
        record = {
            "timestamp": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": level_of(number),
            "message": f"order {number} was placed",
            "logger": "shop.orders",
            "service": service,
            "env": "dev",
            **own,
        }
        ids = {name: str(own[name]) for name in STRUCTURED_METADATA if name in own}
        yield Line(stamp_ns, level_of(number), orjson.dumps(record), ids)
