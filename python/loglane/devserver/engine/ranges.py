"""Range aggregations: samples of log lines in a window that ends at each step.

A window is open at its start and closed at its end: `end - range < ts <= end`
(loki: pkg/logql/range_vector.go).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from contextlib import closing
from itertools import accumulate

from loglane.devserver.engine.labels import (
    ERROR,
    PRESERVE_ERROR,
    LabelSet,
)
from loglane.devserver.engine.pipeline import metric_pipeline
from loglane.devserver.engine.series import Labels, Vector, freeze
from loglane.devserver.engine.window import Window
from loglane.devserver.logql.nodes import Grouping, RangeAggregation
from loglane.devserver.logql.units import quote
from loglane.devserver.refusal import Refused
from loglane.devserver.store import Store

_SECOND = 1_000_000_000


def run_range_aggregation(
    store: Store,
    tenant: str,
    node: RangeAggregation,
    window: Window,
    grouping: Grouping | None = None,
) -> list[Vector]:
    """Compute one vector for each step of `window`.

    Args:
        store: Where the entries are.
        tenant: Whose entries.
        node: The aggregation.
        window: The steps.
        grouping: Labels to keep, when an enclosing `sum` will group by them anyway.

    Raises:
        Refused: A line in a window has a pipeline error that the query does not handle.
    """
    ends = [end - node.offset_ns for end in window.ends()]
    counts_bytes = node.op in {"bytes_over_time", "bytes_rate"}
    divisor = node.interval_ns / _SECOND if node.op in {"rate", "bytes_rate"} else 1.0
    vectors: list[Vector] = [{} for _ in ends]
    samples = _samples(store, tenant, node, (ends[0] - node.interval_ns, ends[-1]), grouping)
    for labels, (times, sizes) in samples.items():
        totals = [0, *accumulate(sizes)] if counts_bytes else range(len(times) + 1)
        for vector, end in zip(vectors, ends, strict=True):
            last = bisect_right(times, end)
            first = bisect_right(times, end - node.interval_ns)
            if first == last:
                continue
            _check_error(labels)
            vector[labels] = (totals[last] - totals[first]) / divisor
    return vectors


def _samples(
    store: Store,
    tenant: str,
    node: RangeAggregation,
    bounds: tuple[int, int],
    grouping: Grouping | None,
) -> dict[Labels, tuple[list[int], list[int]]]:
    """Collect the times and sizes of all lines after `bounds[0]`, up to and with `bounds[1]`."""
    pipeline = metric_pipeline(node.query.stages, grouping)
    start, end = bounds[0] + 1, bounds[1] + 1
    found: defaultdict[Labels, list[tuple[int, int]]] = defaultdict(list)
    for stream in store.select(tenant, node.query.matchers, start, end):
        labels = LabelSet(stream.labels, pipeline.hints)
        with closing(store.read(stream, start, end)) as entries:
            for ts, line, metadata in entries:
                labels.reset(metadata)
                if pipeline.process(line, labels):
                    found[_series(labels, grouping)].append((ts, len(line.encode())))
    return {labels: _columns(samples) for labels, samples in found.items()}


def _columns(samples: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    samples.sort()
    return [ts for ts, _ in samples], [size for _, size in samples]


def _series(labels: LabelSet, grouping: Grouping | None) -> Labels:
    if labels.error or grouping is None:
        return freeze(labels.categorised().merged())
    if grouping.single:
        return ()
    return group_labels(freeze(labels.categorised().merged()), grouping)


def group_labels(labels: Labels, grouping: Grouping) -> Labels:
    """Keep the labels that a grouping keeps."""
    return tuple(pair for pair in labels if (pair[0] in grouping.names) != grouping.without)


def _check_error(labels: Labels) -> None:
    named = dict(labels)
    if ERROR not in named or named.get(PRESERVE_ERROR) == "true":
        return
    shown = ", ".join(f"{name}={quote(value)}" for name, value in labels)
    error = named[ERROR]
    raise Refused(
        f"pipeline error: '{error}' for series: '{{{shown}}}'.\n"
        "Use a label filter to intentionally skip this error. "
        f'(e.g | __error__!="{error}").\n'
        "To skip all potential errors you can match empty errors."
        '(e.g __error__="")\n'
        "The label filter can also be specified after unwrap. "
        '(e.g | unwrap latency | __error__="" )\n'
    )
