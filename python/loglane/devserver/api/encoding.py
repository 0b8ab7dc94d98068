"""Answers of the read API as JSON (loki: pkg/util/marshal/query.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from loglane.devserver.engine.following import Dropped, Followed
from loglane.devserver.engine.query import Matrix
from loglane.devserver.engine.series import Vector
from loglane.devserver.engine.streams import ResultEntry, ResultStream
from loglane.devserver.logql.units import format_float

CATEGORIZE_LABELS = "categorize-labels"


def encode_streams(streams: Sequence[ResultStream], *, categorise: bool) -> bytes:
    """Encode the answer of a log query; categorised entries carry a third element."""
    result = [
        {
            "stream": stream.labels,
            "values": [_entry(entry, categorise=categorise) for entry in stream.entries],
        }
        for stream in streams
    ]
    return _envelope("streams", result, categorise=categorise)


def encode_vector(vector: Vector, ts_ns: int, *, is_sorted: bool = False) -> bytes:
    """Encode an instant answer, sorted by labels unless the query has sorted it by values."""
    samples = vector.items() if is_sorted else sorted(vector.items())
    result = [{"metric": dict(labels), "value": _sample(ts_ns, value)} for labels, value in samples]
    return _envelope("vector", result)


def encode_matrix(matrix: Matrix) -> bytes:
    """Encode a range answer, sorted by labels."""
    result = [
        {"metric": dict(labels), "values": [_sample(ts_ns, v) for ts_ns, v in samples]}
        for labels, samples in sorted(matrix.items())
    ]
    return _envelope("matrix", result)


def encode_scalar(value: float, ts_ns: int) -> bytes:
    """Encode the instant answer of a literal."""
    return _envelope("scalar", _sample(ts_ns, value))


def encode_data(data: object) -> bytes:
    """Encode the answer of the label and series endpoints; Loki leaves out an empty label list."""
    body: dict[str, object] = {"status": "success"}
    if data is not None:
        body["data"] = data
    return orjson.dumps(body)


def encode_stats(streams: int, entries: int, size: int) -> bytes:
    """Encode the answer of the index statistics; a stream counts as one chunk here."""
    return orjson.dumps({"streams": streams, "chunks": streams, "bytes": size, "entries": entries})


def encode_volumes(series: Matrix) -> bytes:
    """Encode volumes, the largest first: a vector unless a series has several samples."""
    ordered = sorted(series.items(), key=lambda item: (-item[1][0][1], item[0]))
    if any(len(samples) > 1 for samples in series.values()):
        matrix = [
            {"metric": dict(labels), "values": [_sample(ts_ns, v) for ts_ns, v in samples]}
            for labels, samples in ordered
        ]
        return _envelope("matrix", matrix)
    vector = [
        {"metric": dict(labels), "value": _sample(*samples[0])} for labels, samples in ordered
    ]
    return _envelope("vector", vector)


def encode_tail(
    entries: Sequence[Followed], dropped: Sequence[Dropped], *, categorise: bool
) -> bytes:
    """Encode a message of a tail, in which every entry is a stream of its own, as in Loki."""
    streams = []
    for ts, line, labels in entries:
        shown = labels.stream if categorise else labels.merged()
        entry = ResultEntry(ts, line, labels.metadata, labels.parsed)
        streams.append({"stream": shown, "values": [_entry(entry, categorise=categorise)]})
    message: dict[str, object] = {"streams": streams}
    if dropped:
        message["dropped_entries"] = [
            {"timestamp": str(ts), "labels": labels} for ts, labels in dropped
        ]
    if categorise:
        message["encodingFlags"] = [CATEGORIZE_LABELS]
    return orjson.dumps(message)


def _envelope(kind: str, result: object, *, categorise: bool = False) -> bytes:
    data: dict[str, object] = {"resultType": kind}
    if categorise:
        data["encodingFlags"] = [CATEGORIZE_LABELS]
    data["result"] = result
    # Grafana and logcli read statistics; absent ones count as zero.
    data["stats"] = {}
    return orjson.dumps({"status": "success", "data": data})


def _entry(entry: ResultEntry, *, categorise: bool) -> list[Any]:
    values: list[Any] = [str(entry.ts), entry.line]
    if categorise:
        extra: dict[str, Mapping[str, str]] = {}
        if entry.metadata:
            extra["structuredMetadata"] = entry.metadata
        if entry.parsed:
            extra["parsed"] = entry.parsed
        values.append(extra)
    return values


def _sample(ts_ns: int, value: float) -> list[object]:
    milliseconds = ts_ns // 1_000_000
    seconds, rest = divmod(milliseconds, 1000)
    return [milliseconds / 1000 if rest else seconds, format_float(value)]
