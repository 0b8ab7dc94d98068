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
from loglane.devserver.engine.series import Labels, freeze
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
    pipeline = log_pipeline(query.stages)
    streams = store.select(tenant, query.matchers, start_ns, end_ns)
    results: dict[Labels, ResultStream] = {}
    with ExitStack() as opened:
        found = [
            opened.enter_context(
                closing(
                    _entries(
                        store.read(
                            stream,
                            start_ns,
                            end_ns,
                            backward=backward,
                            wanted=prefilter(query.stages, stream),
                        ),
                        LabelSet(stream.labels, pipeline.hints),
                        pipeline,
                    )
                )
            )
            for stream in streams
        ]
        # Merged lazily: no stream is read further than the limit needs.
        merged = heapq.merge(*found, key=itemgetter(0), reverse=backward)
        for ts, line, labels in islice(merged, limit):
            _collect(results, ts, line, labels, categorise)
    return [results[key] for key in sorted(results)]


def _collect(
    results: dict[Labels, ResultStream], ts: int, line: str, labels: Categorised, categorise: bool
) -> None:
    shown = labels.stream if categorise else labels.merged()
    result = results.setdefault(freeze(shown), ResultStream(shown))
    if categorise:
        result.entries.append(ResultEntry(ts, line, labels.metadata, labels.parsed))
    else:
        result.entries.append(ResultEntry(ts, line))


def _entries(
    entries: Generator[Entry, None, None], labels: LabelSet, pipeline: Pipeline
) -> Generator[tuple[int, str, Categorised], None, None]:
    with closing(entries):
        for ts, line, metadata in entries:
            labels.reset(metadata)
            if pipeline.process(line, labels):
                yield ts, line, labels.categorised()
