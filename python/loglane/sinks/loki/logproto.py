"""Loki's push request as protobuf, written piece by piece.

Source of the fields: loki: pkg/push/push.proto (PushRequest, StreamAdapter, EntryAdapter,
LabelPairAdapter); of the wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

_SECOND_NS = 1_000_000_000
# Tags: the number of a field and how it is written, 2 (bytes behind their length) or 0 (varint).
_STREAM = b"\x0a"
_LABELS, _ENTRY = b"\x0a", b"\x12"
_TIMESTAMP, _LINE, _METADATA = b"\x0a", b"\x12", b"\x1a"
_SECONDS, _NANOS = b"\x08", b"\x10"
_NAME, _VALUE = b"\x0a", b"\x12"


def varint(number: int) -> bytes:
    """Encode a number that is not negative."""
    pieces = bytearray()
    while number > 127:
        pieces.append(number & 127 | 128)
        number >>= 7
    pieces.append(number)
    return bytes(pieces)


class _Lengths(dict[int, bytes]):
    """What stands before so many bytes; remembers small numbers, which come again and again."""

    def __init__(self, tag: bytes) -> None:
        super().__init__()
        self._tag = tag

    def __missing__(self, size: int) -> bytes:
        return self._keep(size, self._tag + varint(size))

    def _keep(self, size: int, found: bytes) -> bytes:
        if size < 1 << 14:
            self[size] = found
        return found


class _PairLengths(_Lengths):
    """The same for the values of one name in structured metadata."""

    def __init__(self, name: str) -> None:
        super().__init__(_NAME + _sized(name.encode()) + _VALUE)

    def __missing__(self, size: int) -> bytes:
        before = self._tag + varint(size)
        return self._keep(size, _METADATA + varint(len(before) + size) + before)


_before_entry, _before_line = _Lengths(_ENTRY), _Lengths(_LINE)


@lru_cache(maxsize=1024)
def _before_nanos(seconds: int) -> bytes:
    """Encode all of a timestamp but its nanoseconds, which have five bytes."""
    moment = _SECONDS + varint(seconds) + _NANOS
    return _TIMESTAMP + varint(len(moment) + 5) + moment


def entry(timestamp_ns: int, line: bytes, metadata: bytes = b"") -> bytes:
    """Encode one line of a stream.

    Args:
        timestamp_ns: Nanoseconds since 1970-01-01 UTC.
        line: UTF-8.
        metadata: Its structured metadata, each pair as `pair` gives it.
    """
    seconds, nanos = divmod(timestamp_ns, _SECOND_NS)
    moment = _before_nanos(seconds)
    size = len(line)
    before = _before_line[size]
    whole = len(moment) + 5 + len(before) + size + len(metadata)
    # Of a fixed size, so that nothing has to be measured: leading zeros are allowed.
    exact = bytes(
        (
            nanos & 127 | 128,
            nanos >> 7 & 127 | 128,
            nanos >> 14 & 127 | 128,
            nanos >> 21 & 127 | 128,
            nanos >> 28,
        )
    )
    return b"".join((_before_entry[whole], moment, exact, before, line, metadata))


@lru_cache(maxsize=256)
def before_pair(name: str) -> Mapping[int, bytes]:
    """Return what stands before a value of structured metadata, by the length of the value."""
    return _PairLengths(name)


def pair(name: str, value: str) -> bytes:
    """Encode one pair of structured metadata."""
    data = value.encode()
    return before_pair(name)[len(data)] + data


def stream(labels: str, entries: Iterable[bytes]) -> bytes:
    """Encode one stream of a push request.

    Args:
        labels: As a selector writes them: `{env="prod", service="api"}`.
        entries: Its lines, each as `entry` gives it.
    """
    pieces = [_LABELS + _sized(labels.encode()), *entries]
    # Written once, and not once for each length before it.
    return b"".join((_STREAM, varint(sum(map(len, pieces))), *pieces))


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data
