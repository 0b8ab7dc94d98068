"""Loki's push request as protobuf, written piece by piece.

Source of the fields: loki: pkg/push/push.proto (PushRequest, StreamAdapter, EntryAdapter,
LabelPairAdapter); of the wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable
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


class _Varints(dict[int, bytes]):
    """Remembers small numbers: most are lengths that come again and again."""

    def __missing__(self, number: int) -> bytes:
        found = varint(number)
        if number < 1 << 14:
            self[number] = found
        return found


_varints = _Varints()


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
    before = _before_nanos(seconds)
    size = len(line)
    length = _varints[size]
    whole = len(before) + 6 + len(length) + size + len(metadata)
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
    return b"".join((_ENTRY, _varints[whole], before, exact, _LINE, length, line, metadata))


@lru_cache(maxsize=256)
def _before_value(name: str) -> bytes:
    return _NAME + _sized(name.encode()) + _VALUE


def pair(name: str, value: str) -> bytes:
    """Encode one pair of structured metadata."""
    data = value.encode()
    inner = b"".join((_before_value(name), _varints[len(data)], data))
    return b"".join((_METADATA, _varints[len(inner)], inner))


def stream(labels: str, entries: Iterable[bytes]) -> bytes:
    """Encode one stream of a push request.

    Args:
        labels: As a selector writes them: `{env="prod", service="api"}`.
        entries: Its lines, each as `entry` gives it.
    """
    return _STREAM + _sized(_LABELS + _sized(labels.encode()) + b"".join(entries))


def _sized(data: bytes) -> bytes:
    return _varints[len(data)] + data
