"""From rendered lines to the streams of a push request: labels, ids beside the line, one body."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from cramjam import snappy

from loglane.fields import LEVELS, STRUCTURED_METADATA
from loglane.rendering import render
from loglane.settings.loki import LINE_LABELS
from loglane.sinks.loki import logproto
from loglane.sinks.loki.record import Record

# Loki's default `max_label_value_length` is 2048 bytes (loki: pkg/validation/limits.go).
_LONGEST_LABEL = 512
# Loki's default `max_structured_metadata_size` is 64 KB for all of a line.
_LONGEST_METADATA = 1024
# Loki's parser of labels refuses what stands for bytes that are no UTF-8, and with it the whole
# push (prometheus: promql/parser/lex.go).
_NOT_UTF8 = "\N{REPLACEMENT CHARACTER}"
_CUT = b"...[cut]"
# Of gzip: the first one takes a third of the time of the usual one.
_COMPRESSION = 1
_MAX_KNOWN = 10_000

Labels = tuple[tuple[str, str], ...]
# An encoded line: what a stream of the request holds one of for each.
_Item = Any
# Texts and None only: to Python, 1 and True would be the same key.
_Key = tuple[str | None, ...]
_LEVEL = LINE_LABELS.index("level")
_BEFORE_IDS = tuple((name, logproto.before_pair(name)) for name in STRUCTURED_METADATA)


@dataclass(frozen=True, slots=True)
class Body:
    """One push request, ready to be sent, and the records in it."""

    data: bytes
    headers: Mapping[str, str]
    records: Sequence[Record]


class Encoder:
    """Turns records into push requests; remembers the labels that it has seen."""

    def __init__(
        self,
        static: Mapping[str, str],
        encoding: Literal["protobuf", "json"] = "protobuf",
        max_line_bytes: int = 262_144,
    ) -> None:
        """Set what all requests have.

        Args:
            static: Labels on each stream besides those that a line gives.
            encoding: Of the request.
            max_line_bytes: Longer lines are cut, with a mark.
        """
        self._static = {name: _label(value) for name, value in static.items() if value}
        self._item, self._finish = {
            "protobuf": (_protobuf_item, _protobuf_body),
            "json": (_json_item, _json_body),
        }[encoding]
        self._max_line_bytes = max_line_bytes
        self._labels: dict[_Key, Labels] = {}

    def body(self, records: Sequence[Record]) -> Body:
        """Make one request of records, one stream for each set of labels."""
        return self._finish(records, self._streams(records))

    def _streams(self, records: Sequence[Record]) -> dict[Labels, list[_Item]]:
        streams: dict[Labels, list[_Item]] = {}
        found: dict[_Key, list[_Item]] = {}
        loads, longest, item = orjson.loads, self._max_line_bytes, self._item
        for timestamp_ns, rank, whole in records:
            line = whole if len(whole) <= longest else cut(whole, longest)
            try:
                fields = loads(line)
                get = fields.get
                lines = found.get((get("service"), get("env"), get("level"), get("log_category")))
            except (ValueError, AttributeError, TypeError):
                # No JSON, no object, or one with a list where a label should be.
                lines = None
                fields = _fields(line)
            if lines is None:
                key = tuple(_plain(fields.get(name)) for name in LINE_LABELS)
                if key[_LEVEL] is None:
                    key = (*key[:_LEVEL], LEVELS[rank], *key[_LEVEL + 1 :])
                lines = found[key] = streams.setdefault(self._labels_of(key), [])
            # At once, so that the fields of thousands of lines need not live together.
            lines.append(item(timestamp_ns, line, fields))
        return streams

    def _labels_of(self, key: _Key) -> Labels:
        known = self._labels.get(key)
        if known is None:
            given = zip(LINE_LABELS, key, strict=True)
            labels = {name: _label(value) for name, value in given if value}
            known = tuple(sorted({**self._static, **labels}.items()))
            if len(self._labels) >= _MAX_KNOWN:
                self._labels.clear()
            self._labels[key] = known
        return known


def cut(line: bytes, max_bytes: int) -> bytes:
    """Shorten a line that is too long; JSON stays JSON, and the line shows that it was cut."""
    record = _fields(line)
    if record:
        return render({**record, "truncated_bytes": len(line) - max_bytes}, max_bytes)
    kept = line[: max_bytes - len(_CUT)].decode(errors="ignore").encode()
    return kept + _CUT


def _protobuf_item(timestamp_ns: int, line: bytes, fields: Mapping[str, Any]) -> _Item:
    # As `_metadata`, without a dict for each line.
    metadata = b""
    get = fields.get
    for name, before in _BEFORE_IDS:
        value = get(name)
        if value is not None and value != "":
            data = _text(value).encode()
            metadata += before[len(data)] + data
    return logproto.entry(timestamp_ns, line, metadata)


def _protobuf_body(records: Sequence[Record], streams: Mapping[Labels, list[_Item]]) -> Body:
    encoded = [logproto.stream(_selector(labels), lines) for labels, lines in streams.items()]
    data = bytes(snappy.compress_raw(b"".join(encoded)))
    return Body(data, {"Content-Type": "application/x-protobuf"}, records)


def _json_item(timestamp_ns: int, line: bytes, fields: Mapping[str, Any]) -> _Item:
    return [str(timestamp_ns), line.decode(errors="replace"), _metadata(fields)]


def _json_body(records: Sequence[Record], streams: Mapping[Labels, list[_Item]]) -> Body:
    body = {
        "streams": [{"stream": dict(labels), "values": lines} for labels, lines in streams.items()]
    }
    data = gzip.compress(orjson.dumps(body), compresslevel=_COMPRESSION, mtime=0)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return Body(data, headers, records)


def _metadata(fields: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: _text(value)
        for name in STRUCTURED_METADATA
        if (value := fields.get(name)) not in (None, "")
    }


def _selector(labels: Labels) -> str:
    # JSON's escapes are Go's too, as long as nothing beyond ASCII is escaped.
    pairs = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels]
    return f"{{{', '.join(pairs)}}}"


def _fields(line: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _plain(value: Any) -> str | None:
    return None if value in (None, "") else _text(value)


def _label(value: str) -> str:
    return value[:_LONGEST_LABEL].replace(_NOT_UTF8, "?")


def _text(value: Any) -> str:
    text = value if type(value) is str else orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST_METADATA else text[:_LONGEST_METADATA]
