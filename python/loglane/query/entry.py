"""One stored line as the query service hands it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson

from loglane.query.cursor import Trail
from loglane.query.moments import to_datetime

KEYS = (
    "timestamp", "timestamp_ns", "level", "message", "labels", "metadata", "fields", "raw",
)  # fmt: skip
# What other loggers call the message.
_MESSAGES = ("message", "msg", "event")
_LEVELS = ("level", "detected_level")
# orjson reads 1024 levels and writes 254; an entry stands a few levels deep in an answer.
_DEEPEST = 200
_NOTHING: Mapping[str, str] = {}
_NO_KINDS: Mapping[str, Mapping[str, str]] = {}


class LogEntry(Mapping[str, Any]):
    """One line with its labels; a read-only mapping of `KEYS`, each of them also an attribute.

    Entries compare by time, so a list of them sorts oldest first. `dict(entry)` is what JSON wants.

    Attributes:
        timestamp_ns: Nanoseconds since 1970-01-01 UTC.
        raw: The line as it is stored.
        labels: Labels of its stream.
        metadata: Structured metadata, for example `trace_id`.
    """

    __slots__ = ("_fields", "_parsed", "_place", "_trail", "labels", "metadata", "raw",
                 "timestamp_ns")  # fmt: skip

    def __init__(
        self,
        timestamp_ns: int,
        raw: str,
        labels: Mapping[str, str] = _NOTHING,
        metadata: Mapping[str, str] = _NOTHING,
        parsed: Mapping[str, str] = _NOTHING,
    ) -> None:
        self.timestamp_ns = timestamp_ns
        self.raw = raw
        self.labels = labels
        self.metadata = metadata
        self._parsed = parsed
        self._fields: Mapping[str, Any] | None = None
        # Set by the walk that found the entry: what its cursor is made of.
        self._trail: Trail | None = None
        self._place: tuple[list[bytes], int] | None = None

    @property
    def timestamp(self) -> datetime:
        """When it was written: aware, in UTC, to the microsecond."""
        return to_datetime(self.timestamp_ns)

    @property
    def fields(self) -> Mapping[str, Any]:
        """Fields of the line's JSON; of another line what the query's own parsers found.

        A line of more than 200 levels is no JSON here.
        """
        if self._fields is None:
            self._fields = _read_object(self.raw)
            if self._fields is None:
                self._fields = {
                    name: value for name, value in self._parsed.items() if name[:1] != "_"
                }
        return self._fields

    @property
    def level(self) -> str | None:
        """The level: its label, or what the line or Loki says."""
        for found in (self.labels, self.metadata, self.fields):
            for name in _LEVELS:
                if found.get(name) is not None:
                    return str(found[name])
        return None

    @property
    def message(self) -> str:
        """What happened; the whole line when it has no message."""
        fields = self.fields
        for name in _MESSAGES:
            if fields.get(name) is not None:
                return str(fields[name])
        return self.raw

    @property
    def cursor(self) -> str:
        """Where reading goes on after this entry: give it as `cursor` to the same query.

        Raises:
            ValueError: The entry came from a tail, which has no order to go on in.
        """
        if self._trail is None:
            raise ValueError("an entry of a tail has no cursor; read with iter_logs or page")
        digests, bound = self._place or ([self.digest()], 0)
        return self._trail.cursor(self.timestamp_ns, digests, bound)

    def digest(self) -> bytes:
        """Return eight bytes that tell this entry from others of its nanosecond."""
        parts = [self.raw]
        for found in (self.labels, self.metadata, self._parsed):
            parts += [text for pair in sorted(found.items()) for text in pair]
            parts.append("")
        hashed = blake2b(digest_size=8)
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass")
            hashed.update(b"%d:" % len(encoded))
            hashed.update(encoded)
        return hashed.digest()

    def __getitem__(self, key: str) -> Any:
        if key in KEYS:
            return getattr(self, key)
        raise KeyError(f"{key!r}; an entry has {', '.join(KEYS)}")

    def __iter__(self) -> Iterator[str]:
        return iter(KEYS)

    def __len__(self) -> int:
        return len(KEYS)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, LogEntry):
            return NotImplemented
        return self.timestamp_ns < other.timestamp_ns

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LogEntry):
            return self._identity() == other._identity()
        return dict(self) == other if isinstance(other, Mapping) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.timestamp_ns, self.raw))

    def __repr__(self) -> str:
        return f"LogEntry({self.timestamp.isoformat()}, {self.level}, {self.message!r})"

    def _identity(self) -> tuple[Any, ...]:
        return self.timestamp_ns, self.raw, dict(self.labels), dict(self.metadata)


def _read_object(line: str) -> dict[str, Any] | None:
    if line[:1] != "{":
        return None
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or _is_deep(found):
        return None
    return found


def _is_deep(found: dict[str, Any]) -> bool:
    """Tell whether JSON is nested so deeply that an answer with it in could not be written."""
    layer: list[Any] = [found]
    depth = 0
    while layer and depth <= _DEEPEST:
        inner = [one.values() if isinstance(one, dict) else one for one in layer]
        layer = [one for many in inner for one in many if isinstance(one, (dict, list))]
        depth += 1
    return depth > _DEEPEST


def read_streams(result: list[dict[str, Any]], *, backward: bool) -> list[LogEntry]:
    """Return the entries of all streams of an answer as one list in the order of the direction."""
    entries = []
    for stream in result:
        labels = stream["stream"]
        for timestamp, line, *rest in stream["values"]:
            kinds: Mapping[str, Mapping[str, str]] = rest[0] if rest else _NO_KINDS
            entries.append(
                LogEntry(
                    int(timestamp),
                    line,
                    labels,
                    kinds.get("structuredMetadata", _NOTHING),
                    kinds.get("parsed", _NOTHING),
                )
            )
    if len(result) > 1:
        entries.sort(key=_timestamp_ns, reverse=backward)
    return entries


def _timestamp_ns(entry: LogEntry) -> int:
    return entry.timestamp_ns
