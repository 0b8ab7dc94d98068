"""The body of a push as protobuf: logproto.PushRequest (loki: pkg/push/push.proto).

Written by hand: five messages are not worth a generated decoder and its dependency, and most
entries look alike, which makes a shortcut for them fast. Refusals have the texts of Loki's decoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from loglane.devserver.api.label_text import parse_labels
from loglane.devserver.refusal import Refused
from loglane.devserver.store import NewEntry

# An empty entry takes two bytes on the wire and a hundred here, so their number is limited too.
MAX_FIELDS = 2_000_000

_SECOND = 1_000_000_000
# Seconds that have a year of four digits (protobuf: timestamp.proto); Go's zero time is the first.
_FIRST_S, _END_S = -62_135_596_800, 253_402_300_800
_VARINT, _FIXED64, _BYTES, _END_GROUP, _FIXED32 = 0, 1, 2, 4, 5
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class _Message:
    """The name of a message, and the names and wire type of its fields."""

    name: str
    fields: dict[int, str]
    kind: int = _BYTES


_REQUEST = _Message("PushRequest", {1: "Streams", 2: "Format"})
_STREAM = _Message("StreamAdapter", {1: "Labels", 2: "Entries"})
_ENTRY = _Message("EntryAdapter", {1: "Timestamp", 2: "Line", 3: "StructuredMetadata", 4: "Parsed"})
_PAIR = _Message("LabelPairAdapter", {1: "Name", 2: "Value"})
_TIMESTAMP = _Message("Timestamp", {1: "Seconds", 2: "Nanos"}, _VARINT)


def decode_request(data: bytes) -> list[tuple[dict[str, str], list[NewEntry]]]:
    """Decode the streams of a push, with their labels and entries.

    Raises:
        Refused: It is no such message, or has more fields than one push may have.
    """
    decoder = _Decoder(data)
    try:
        return [
            decoder.read_stream(start, end)
            for number, start, end in decoder.fields(0, len(data), _REQUEST)
            if number == 1
        ]
    except IndexError:
        raise _cut_off() from None


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._fields_left = MAX_FIELDS
        # Tag and seconds to nanoseconds: most entries of a push are of a few seconds.
        self._seconds: dict[bytes, int] = {}

    def read_stream(self, start: int, end: int) -> tuple[dict[str, str], list[NewEntry]]:
        labels = b""
        entries: list[NewEntry] = []
        for number, first, stop in self.fields(start, end, _STREAM):
            if number == 2:
                entries.append(self._usual_entry(first, stop) or self._entry(first, stop))
            elif number == 1:
                labels = self._data[first:stop]
        return parse_labels(labels), _in_utf8(entries)

    def _usual_entry(self, start: int, end: int) -> NewEntry | None:
        """Decode an entry of a timestamp and a line that fills the rest; None for any other."""
        data = self._data
        if end - start < 4 or data[start] != 0x0A or data[start + 1] > 127:
            return None
        stop = start + 2 + data[start + 1]
        if stop + 1 >= end or data[stop] != 0x12:
            return None
        length, first = self._varint(stop + 1)
        if first + length != end:
            return None
        return NewEntry(self._timestamp(start + 2, stop), data[first:end], None)

    def _entry(self, start: int, end: int) -> NewEntry:
        ts, line = _FIRST_S * _SECOND, b""
        metadata: dict[str, str] = {}
        for number, first, stop in self.fields(start, end, _ENTRY):
            if number == 1:
                ts = self._timestamp(first, stop)
            elif number == 2:
                line = self._data[first:stop]
            elif number == 3:
                name, value = self._pair(first, stop)
                metadata[name] = value
        return NewEntry(ts, line, metadata or None)

    def _pair(self, start: int, end: int) -> tuple[str, str]:
        found = {1: "", 2: ""}
        for number, first, stop in self.fields(start, end, _PAIR):
            found[number] = read_text(self._data[first:stop])
        return found[1], found[2]

    def _timestamp(self, start: int, end: int) -> int:
        # Until the year 3058 seconds take five bytes; the tag of the nanoseconds comes after them.
        head = self._data[start : start + 7]
        known = self._seconds.get(head)
        if known is not None:
            nanos, stop = self._varint(start + 7)
            if stop == end and nanos < _SECOND:
                return known + nanos
        found = {1: 0, 2: 0}
        for number, first, _ in self.fields(start, end, _TIMESTAMP):
            found[number], _ = self._varint(first)
        seconds, nanos = _signed(found[1], 64), _signed(found[2], 32)
        _check_timestamp(seconds, nanos)
        if len(head) == 7 and head[0] == 0x08 and head[5] < 128 <= head[4] and head[6] == 0x10:
            self._seconds[head] = seconds * _SECOND
        return seconds * _SECOND + nanos

    def fields(self, position: int, end: int, message: _Message) -> Iterator[tuple[int, int, int]]:
        """Yield number, start and end of each field of a message."""
        while position < end:
            tag, position = self._varint(position)
            number, kind = tag >> 3, tag & 7
            self._fields_left -= 1
            if self._fields_left < 0:
                raise Refused(f"more than {MAX_FIELDS} fields in one push", status=413)
            if number in message.fields and kind not in {message.kind, _END_GROUP}:
                field = message.fields[number]
                raise Refused(f"proto: wrong wireType = {kind} for field {field}")
            if kind == _BYTES:
                length, position = self._varint(position)
                stop = position + length
            else:
                stop = self._skip(kind, position, message)
            if not 0 < number < 1 << 29:
                raise Refused(f"proto: {message.name}: illegal tag {number} (wire type {tag})")
            if stop > end:
                raise _cut_off()
            yield number, position, stop
            position = stop

    def _skip(self, kind: int, position: int, message: _Message) -> int:
        if kind == _VARINT:
            return self._varint(position)[1]
        if kind == _FIXED64:
            return position + 8
        if kind == _FIXED32:
            return position + 4
        if kind == _END_GROUP:
            raise Refused(f"proto: {message.name}: wiretype end group for non-group")
        raise Refused(f"proto: illegal wireType {kind}")

    def _varint(self, position: int) -> tuple[int, int]:
        data = self._data
        byte = data[position]
        value, shift = byte & 127, 7
        while byte > 127:
            if shift > 63:
                raise Refused("proto: integer overflow")
            position += 1
            byte = data[position]
            value |= (byte & 127) << shift
            shift += 7
        return value & 0xFFFF_FFFF_FFFF_FFFF, position + 1


def read_text(raw: bytes) -> str:
    """Decode UTF-8; each byte that is none becomes U+FFFD, as when Go writes JSON."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _NOT_UTF8.sub("\ufffd", raw.decode(errors="surrogateescape"))


def _in_utf8(entries: list[NewEntry]) -> list[NewEntry]:
    try:
        # All at once: it is nearly always UTF-8, and this is the quickest way to know.
        b"\n".join([entry.line for entry in entries]).decode()
    except UnicodeDecodeError:
        return [entry._replace(line=read_text(entry.line).encode()) for entry in entries]
    return entries


def _check_timestamp(seconds: int, nanos: int) -> None:
    shown = f"timestamp: &types.Timestamp{{Seconds: {seconds},\nNanos: {nanos},\n}}"
    if seconds < _FIRST_S:
        raise Refused(f"{shown} before 0001-01-01")
    if seconds >= _END_S:
        raise Refused(f"{shown} after 10000-01-01")
    if not 0 <= nanos < _SECOND:
        raise Refused(f"{shown}: nanos not in range [0, 1e9)")


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _cut_off() -> Refused:
    return Refused("unexpected EOF")
