"""What Loki has of a case: every stored entry is read back, and counted by its number."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx2
import orjson

SERVICE = "loglane-faults"
PAGE = 20_000
# A clock that was set back by ten minutes, and one that goes a little ahead.
_BEFORE_NS = 20 * 60 * 10**9
_AFTER_NS = 60 * 10**9
_TIMEOUT_S = 60.0


class Stored(NamedTuple):
    """One entry in Loki: its stream, its time, who wrote it and its number there.

    `seq` is None on a line that the package wrote of itself.
    """

    stream: str
    timestamp_ns: int
    writer: str
    seq: int | None
    line: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """How the stored entries of one writer compare with what it wrote.

    Attributes:
        written: Numbered lines that the writer handed over.
        missing: Numbers that Loki has not, ascending.
        doubled: Entries beyond the first one of a number.
        disordered: Entries that are stored before a smaller number of their stream.
    """

    written: int
    missing: tuple[int, ...]
    doubled: int
    disordered: int


def read_back(url: str, began_ns: int, line_filter: str = "") -> list[Stored]:
    """Return every entry that a case left in its Loki, in no order.

    Args:
        url: Where Loki is.
        began_ns: When the case began.
        line_filter: LogQL that follows the selector; by default none.
    """
    query = f'{{service="{SERVICE}"}} {line_filter}'
    with httpx2.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False) as client:
        return list(_read(client, query, began_ns - _BEFORE_NS, time.time_ns() + _AFTER_NS))


def tally(stored: Iterable[Stored], writer: str, numbers: range) -> Tally:
    """Compare what is stored of a writer with the numbers that it wrote."""
    own = [entry for entry in stored if entry.writer == writer and entry.seq is not None]
    copies = Counter(entry.seq for entry in own)
    return Tally(
        written=len(numbers),
        missing=tuple(number for number in numbers if number not in copies),
        doubled=len(own) - len(copies),
        disordered=_disordered(own),
    )


def told(stored: Iterable[Stored]) -> int:
    """Return how many lost lines the package's own lines among these tell of."""
    reports = [entry.line.get("lost", {}) for entry in stored if entry.seq is None]
    return sum(count for lost in reports for count in lost.values())


def _read(client: httpx2.Client, query: str, start_ns: int, end_ns: int) -> Iterator[Stored]:
    """Read `[start, end)`; a slice that fills a page is halved, so nothing is read twice."""
    streams = _ask(client, query, start_ns, end_ns)
    if sum(len(stream["values"]) for stream in streams) < PAGE:
        for stream in streams:
            yield from _entries(stream)
        return
    middle_ns = (start_ns + end_ns) // 2
    if middle_ns == start_ns:
        raise AssertionError(f"{PAGE} entries share the nanosecond {start_ns}")
    yield from _read(client, query, start_ns, middle_ns)
    yield from _read(client, query, middle_ns, end_ns)


def _ask(client: httpx2.Client, query: str, start_ns: int, end_ns: int) -> list[dict[str, Any]]:
    params = {"query": query, "start": str(start_ns), "end": str(end_ns), "limit": str(PAGE)}
    # Else each set of ids is a stream of its own in the answer.
    headers = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
    answer = client.get("/loki/api/v1/query_range", params=params, headers=headers)
    if answer.status_code != 200:
        raise AssertionError(f"Loki answered {answer.status_code}: {answer.text[:500]}")
    result: list[dict[str, Any]] = orjson.loads(answer.content)["data"]["result"]
    return result


def _entries(stream: Mapping[str, Any]) -> Iterator[Stored]:
    labels = " ".join(f"{key}={value}" for key, value in sorted(stream["stream"].items()))
    for timestamp, text, *_ in stream["values"]:
        line = orjson.loads(text)
        yield Stored(labels, int(timestamp), str(line.get("writer", "")), line.get("seq"), line)


def _disordered(entries: Iterable[Stored]) -> int:
    """Count entries behind a larger number of their stream; equal times have no order."""
    found = 0
    largest: dict[str, int] = {}
    for entry in sorted(entries, key=lambda one: (one.stream, one.timestamp_ns, one.seq)):
        assert entry.seq is not None
        found += entry.seq < largest.get(entry.stream, 0)
        largest[entry.stream] = max(entry.seq, largest.get(entry.stream, 0))
    return found
