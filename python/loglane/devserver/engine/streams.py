"""Log queries: entries of the selected streams through the pipeline, up to a limit."""

from __future__ import annotations

import heapq
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter

from loglane.devserver.engine.labels import Categorised, LabelSet
from loglane.devserver.engine.pipeline import Pipeline, log_pipeline
from loglane.devserver.engine.pushdown import prefilter
from loglane.devserver.engine.series import Labels
from loglane.devserver.logql.nodes import LogQuery
from loglane.devserver.store import Entry, Store


@dataclass(slots=True)
class ResultEntry:
    """An entry of an answer; `metadata` and `parsed` are empty unless labels are categorised."""

    ts: int
    line: str
    metadata: dict[str, str] = field(default_factory=dict)
    parsed: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ResultStream:
    """Entries of an answer that have the same labels."""

    labels: dict[str, str]
    entries: list[ResultEntry] = field(default_factory=list)


def run_log_query(
    store: Store,
    tenant: str,
    query: LogQuery,
    *,
    start_ns: int,
    end_ns: int,
    limit: int,
    backward: bool,
    categorise: bool,
) -> list[ResultStream]:
    """Answer a log query over `start_ns <= ts < end_ns`.

    Returns:
        Streams sorted by labels, their entries in the direction asked for.
    """
    results: dict[Labels, ResultStream] = {}
    bounds = (start_ns, end_ns)
    with open_log_query(store, tenant, query, bounds, backward=backward) as found:
        for ts, line, labels in islice(found, limit):
            _collect(results, ts, line, labels, categorise)
    return [results[key] for key in sorted(results)]


def open_log_query(
    store: Store, tenant: str, query: LogQuery, bounds: tuple[int, int], *, backward: bool
) -> closing[Generator[tuple[int, str, Categorised], None, None]]:
    """Begin a log query over `bounds[0] <= ts < bounds[1]`.

    Returns:
        What gives, when it is entered, the entries that were stored at this moment, in order of
        time. No stream is read further than they are asked for.

    Raises:
        Refused: A pattern of the query is bad.
    """
    pipeline = log_pipeline(query.stages)
    found = []
    for stream in store.select(tenant, query.matchers, *bounds):
        wanted = prefilter(query.stages, stream)
        entries = store.read(stream, *bounds, backward=backward, wanted=wanted)
        found.append(_entries(entries, LabelSet(stream.labels, pipeline.hints), pipeline))
    return closing(_merged(found, backward=backward))


def _merged(
    streams: list[Generator[tuple[int, str, Categorised], None, None]], *, backward: bool
) -> Generator[tuple[int, str, Categorised], None, None]:
    with ExitStack() as opened:
        found = [opened.enter_context(closing(stream)) for stream in streams]
        yield from heapq.merge(*found, key=itemgetter(0), reverse=backward)


def _collect(
    results: dict[Labels, ResultStream], ts: int, line: str, labels: Categorised, categorise: bool
) -> None:
    shown = labels.stream if categorise else labels.merged()
    # A label that a parser has left empty is a label here, unlike in a metric.
    result = results.setdefault(tuple(sorted(shown.items())), ResultStream(shown))
    if categorise:
        result.entries.append(ResultEntry(ts, line, labels.metadata, labels.parsed))
    else:
        result.entries.append(ResultEntry(ts, line))


def _entries(
    entries: Generator[Entry, None, None], labels: LabelSet, pipeline: Pipeline
) -> Generator[tuple[int, str, Categorised], None, None]:
    repeats = _Repeats()
    with closing(entries):
        for ts, line, metadata in entries:
            labels.reset(metadata)
            shown = run_line(pipeline, ts, line, labels)
            if shown is not None:
                found = labels.categorised()
                if pipeline.is_empty or not repeats.has(ts, shown, found):
                    yield ts, shown, found


def run_line(pipeline: Pipeline, ts_ns: int, line: str, labels: LabelSet) -> str | None:
    """Run a pipeline on one line; return the line as it is shown, None when it is left out."""
    return pipeline.process(ts_ns, line, labels)


class _Repeats:
    """Entries of one instant that came out of the pipeline alike; Loki shows one of them."""

    def __init__(self) -> None:
        self._ts = -1
        self._seen: list[tuple[str, Categorised]] = []

    def has(self, ts: int, line: str, labels: Categorised) -> bool:
        if ts != self._ts:
            self._ts = ts
            self._seen = [(line, labels)]
            return False
        if (line, labels) in self._seen:
            return True
        self._seen.append((line, labels))
        return False
