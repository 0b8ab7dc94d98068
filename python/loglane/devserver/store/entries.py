"""Entries as they come in and as they go out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

NO_METADATA: dict[str, str] = {}


class Entry(NamedTuple):
    """A stored line with its timestamp in nanoseconds and its structured metadata."""

    ts: int
    line: str
    metadata: dict[str, str]


class NewEntry(NamedTuple):
    """A line to store, in UTF-8; `metadata` has no empty values."""

    ts: int
    line: bytes
    metadata: Mapping[str, str] | None


class Behind(NamedTuple):
    """Entries of one stream that were too far behind its newest one to be stored.

    `entries` holds each one's timestamp and the oldest acceptable one, `total` counts all entries
    that were pushed to the stream.
    """

    labels: dict[str, str]
    entries: list[tuple[int, int]]
    total: int


class Prefilter(NamedTuple):
    """What an entry must contain to be worth reading; blocks without it are skipped whole.

    Attributes:
        lines: Of each group, a line has at least one text, in UTF-8.
        metadata: Of each group, the structured metadata of an entry has at least one value, each
            written as JSON.
    """

    lines: tuple[tuple[bytes, ...], ...] = ()
    metadata: tuple[tuple[bytes, ...], ...] = ()


EVERYTHING = Prefilter()
