"""Range aggregations: samples of log lines in a window that ends at each step.

A window is open at its start and closed at its end: `end - range < ts <= end`
(loki: pkg/logql/range_vector.go).
"""

from __future__ import annotations

from bisect import bisect_right

from loglane.devserver.engine.labels import ERROR, PRESERVE_ERROR
from loglane.devserver.engine.over_time import window_function
from loglane.devserver.engine.samples import compile_extraction, read_samples
from loglane.devserver.engine.series import Labels, Vector, freeze
from loglane.devserver.engine.window import Window
from loglane.devserver.logql.nodes import Grouping, Matcher, RangeAggregation
from loglane.devserver.logql.units import quote
from loglane.devserver.refusal import Refused
from loglane.devserver.store import Store


def run_range_aggregation(
    store: Store,
    tenant: str,
    node: RangeAggregation,
    window: Window,
    outer: Grouping | None = None,
) -> list[Vector]:
    """Compute one vector for each step of `window`.

    Args:
        store: Where the entries are.
        tenant: Whose entries.
        node: The aggregation.
        window: The steps.
        outer: The grouping of an enclosing `sum`, when Loki groups by it while it reads.

    Raises:
        Refused: A line in a window has a pipeline error that the query does not handle.
    """
    ends = _shifted(window.ends(), node.offset_ns)
    vectors: list[Vector] = [{} for _ in ends]
    extraction = compile_extraction(node, outer)
    bounds = (ends[0] - node.interval_ns, ends[-1])
    streams = store.select(tenant, node.query.matchers, bounds[0] + 1, bounds[1] + 1)
    for labels, (times, values) in read_samples(store, streams, node, extraction, bounds).items():
        compute = window_function(node, times, values)
        for step in _steps(ends, times[0], times[-1] + node.interval_ns) if times else ():
            last = bisect_right(times, ends[step])
            first = bisect_right(times, ends[step] - node.interval_ns)
            if first < last:
                _check_error(labels)
                vectors[step][labels] = compute(first, last)
    if node.op == "absent_over_time":
        present = _absent_labels(node.query.matchers)
        return [{} if vector else {present: 1.0} for vector in vectors]
    return vectors


def _shifted(ends: range, offset_ns: int) -> range:
    return range(ends.start - offset_ns, ends.stop - offset_ns, ends.step)


def _steps(ends: range, first_ns: int, last_ns: int) -> range:
    """Return the places of the ends in `first_ns <= end < last_ns`."""
    before = -((ends.start - first_ns) // ends.step)
    after = -((ends.start - last_ns) // ends.step)
    return range(max(before, 0), min(after, len(ends)))


def _absent_labels(matchers: tuple[Matcher, ...]) -> Labels:
    """Label what is absent by the equality matchers; a label that is matched twice has none."""
    labels: dict[str, str] = {}
    unknown: set[str] = set()
    for matcher in matchers:
        if matcher.op == "=" and matcher.name not in labels:
            labels[matcher.name] = matcher.value
        else:
            unknown.add(matcher.name)
    return freeze({name: value for name, value in labels.items() if name not in unknown})


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
