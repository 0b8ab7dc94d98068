"""Ready-made push requests, as large as the sink's, in both encodings of Loki.

The encoder of the protobuf is the sink's own, which `tests/unit/sinks/loki/test_logproto.py` holds
against the package `protobuf`, and what Loki has stored of it is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import cramjam
import orjson

from benchmarks.shipping.lines import Line
from loglane.sinks.loki import logproto

SIZE = 1024 * 1024


class Batch(NamedTuple):
    """The body of one push."""

    body: bytes
    lines: int


class Encoding(NamedTuple):
    """How a push is written."""

    headers: Mapping[str, str]
    encode: Callable[[Mapping[str, list[Line]], str], bytes]


def make_batches(
    lines: Iterable[Line], service: str, encoding: Encoding, metadata: bool = True
) -> list[Batch]:
    """Pack lines into batches of 1 MiB of text, one stream for each level.

    Args:
        lines: What is packed.
        service: Value of the label `service`.
        encoding: One of `ENCODINGS`.
        metadata: Whether the ids are sent as structured metadata.
    """
    batches = []
    for group in _groups(lines):
        streams: dict[str, list[Line]] = {}
        for line in group:
            kept = line if metadata else line._replace(metadata={})
            streams.setdefault(line.level, []).append(kept)
        batches.append(Batch(encoding.encode(streams, service), len(group)))
    return batches


def _groups(lines: Iterable[Line]) -> Iterator[list[Line]]:
    group: list[Line] = []
    size = 0
    for line in lines:
        group.append(line)
        size += len(line.text)
        if size >= SIZE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _labels(service: str, level: str) -> dict[str, str]:
    return {"env": "dev", "level": level, "log_category": "orders", "service": service}


def _protobuf(streams: Mapping[str, list[Line]], service: str) -> bytes:
    request = b""
    for level, lines in streams.items():
        pairs = ", ".join(f'{key}="{value}"' for key, value in _labels(service, level).items())
        request += logproto.stream(f"{{{pairs}}}", map(_entry, lines))
    return bytes(cramjam.snappy.compress_raw(request))


def _entry(line: Line) -> bytes:
    pairs = b"".join(logproto.pair(name, value) for name, value in line.metadata.items())
    return logproto.entry(line.timestamp_ns, line.text, pairs)


def _json(streams: Mapping[str, list[Line]], service: str) -> bytes:
    body = [
        {"stream": _labels(service, level), "values": [_value(line) for line in lines]}
        for level, lines in streams.items()
    ]
    return orjson.dumps({"streams": body})


def _value(line: Line) -> list[object]:
    value: list[object] = [str(line.timestamp_ns), line.text.decode()]
    return [*value, line.metadata] if line.metadata else value


def _gzip(streams: Mapping[str, list[Line]], service: str) -> bytes:
    return bytes(cramjam.gzip.compress(_json(streams, service), level=1))


_IS_JSON = {"Content-Type": "application/json"}
ENCODINGS = {
    "protobuf": Encoding({"Content-Type": "application/x-protobuf"}, _protobuf),
    "json": Encoding(_IS_JSON, _json),
    "json.gz": Encoding({**_IS_JSON, "Content-Encoding": "gzip"}, _gzip),
}
