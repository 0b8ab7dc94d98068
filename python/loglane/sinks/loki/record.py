"""One rendered line on its way to Loki."""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """A line and what the way to Loki has to know of it.

    Attributes:
        timestamp_ns: Nanoseconds since 1970, UTC; kept with the line, so that the same line sent
            twice is stored once.
        rank: Index of the level in `fields.LEVELS`: 0 debug to 4 critical.
        line: The rendered JSON without a newline.
    """

    timestamp_ns: int
    rank: int
    line: bytes
