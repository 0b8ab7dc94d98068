"""Samples of a range aggregation: what lines are worth, by series.

This is the one place where metric queries read the store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import TypeAlias

from loglane.devserver.engine.filters import compile_part
from loglane.devserver.engine.hints import LabelTest
from loglane.devserver.engine.labels import ERROR_DETAILS, LabelSet
from loglane.devserver.engine.pipeline import Pipeline, metric_pipeline
from loglane.devserver.engine.pushdown import prefilter
from loglane.devserver.engine.series import Labels, freeze_all, without_empty
from loglane.devserver.engine.stage_order import may_merge_streams, without_idle_line_formats
from loglane.devserver.engine.tally import keeps_metadata, leaves_lines
from loglane.devserver.logql.nodes import (
    AllOf,
    Grouping,
    LabelFilter,
    RangeAggregation,
    Stage,
    Unwrap,
)
from loglane.devserver.logql.units import parse_bytes, parse_float, parse_go_duration
from loglane.devserver.store import Store, Stream

SAMPLE_ERROR = "SampleExtractionErr"
_SECOND = 1_000_000_000

# The times in nanoseconds and the values of one series, oldest first; no values when only the
# number of samples counts.
Column: TypeAlias = tuple[Sequence[int], Sequence[float]]
# The value of a line that has passed the stages; None leaves it out.
_Extract: TypeAlias = "Callable[[str, LabelSet], float | None]"


@dataclass(frozen=True, slots=True)
class Extraction:
    """How lines become samples: a pipeline, the value of a line, and the labels that stay.

    `is_merged` is for labels that Loki builds anew, and which lose their empty ones by that.
    """

    pipeline: Pipeline
    extract: _Extract
    grouping: Grouping | None
    stages: tuple[Stage, ...] = ()
    is_merged: bool = False

    def series(self, labels: LabelSet) -> Labels:
        """Return the series of the current line; one with an error keeps every label."""
        grouping = self.grouping
        if labels.error or grouping is None:
            found = freeze_all(labels.categorised().merged())
            return without_empty(found) if self.is_merged else found
        if not grouping.without:
            pairs = [(name, labels.get(name)) for name in grouping.names]
            return tuple((name, value) for name, value in pairs if value is not None)
        named = labels.categorised().merged()
        # Details of an error that was dropped are no label once Loki groups.
        named.pop(ERROR_DETAILS, None)
        return group_labels(freeze_all(named), grouping)


def compile_extraction(node: RangeAggregation, outer: Grouping | None) -> Extraction:
    """Compile the stages and `unwrap` of an aggregation.

    Args:
        node: The aggregation.
        outer: The grouping of an enclosing `sum`, when Loki groups by it while it reads.

    Raises:
        Refused: A pattern is bad.
    """
    grouping = _grouping(node, outer)
    if grouping is not None:
        grouping = Grouping(tuple(sorted(set(grouping.names))), grouping.without)
    is_size = node.op in {"bytes_over_time", "bytes_rate"}
    stages = node.query.stages if is_size else without_idle_line_formats(node.query.stages)
    if node.unwrap is None:
        pipeline = metric_pipeline(stages, grouping)
        is_merged = may_merge_streams(stages)
        return Extraction(pipeline, _size if is_size else _one, grouping, stages, is_merged)
    condition = _condition(node.unwrap)
    pipeline = metric_pipeline(stages, grouping, node.unwrap.label, condition)
    return Extraction(pipeline, _unwrapper(node.unwrap, condition), grouping, stages)


def read_samples(
    store: Store,
    streams: list[Stream],
    node: RangeAggregation,
    extraction: Extraction,
    bounds: tuple[int, int],
) -> dict[Labels, Column]:
    """Collect the samples of streams after `bounds[0]`, up to and with `bounds[1]`.

    Raises:
        Refused: A line needs what this server does not know.
    """
    start, end = bounds[0] + 1, bounds[1] + 1
    found: defaultdict[Labels, list[Column]] = defaultdict(list)
    for stream in streams:
        names = store.metadata_names(stream, start, end)
        if leaves_lines(node) and not keeps_metadata(stream, names, extraction.grouping):
            labels = LabelSet(stream.labels, extraction.pipeline.hints)
            if node.op in {"bytes_over_time", "bytes_rate"}:
                column: Column = store.sizes(stream, start, end)
            else:
                column = store.times(stream, start, end), ()
            found[extraction.series(labels)].append(column)
        else:
            for series, column in _read(store, stream, extraction, start, end).items():
                found[series].append(column)
    return {labels: _merge(columns) for labels, columns in found.items()}


def _read(
    store: Store, stream: Stream, extraction: Extraction, start: int, end: int
) -> dict[Labels, Column]:
    pipeline, extract = extraction.pipeline, extraction.extract
    labels = LabelSet(stream.labels, pipeline.hints)
    wanted = prefilter(extraction.stages, stream)
    found: defaultdict[Labels, tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
    with closing(store.read(stream, start, end, wanted=wanted)) as entries:
        for ts, line, metadata in entries:
            labels.reset(metadata)
            shown = pipeline.process(ts, line, labels)
            if shown is None:
                continue
            value = extract(shown, labels)
            if value is not None:
                times, values = found[extraction.series(labels)]
                times.append(ts)
                # Plus zero: Loki's protocol has no negative one.
                values.append(value + 0.0)
    return dict(found)


def _merge(columns: list[Column]) -> Column:
    if len(columns) == 1:
        return columns[0]
    if any(len(values) < len(times) for times, values in columns):
        return sorted(chain.from_iterable(times for times, _ in columns)), ()
    samples = [sample for times, values in columns for sample in zip(times, values, strict=True)]
    # Stable: samples of one instant stay in the order of arrival.
    samples.sort(key=itemgetter(0))
    return [ts for ts, _ in samples], [value for _, value in samples]


def group_labels(labels: Labels, grouping: Grouping) -> Labels:
    """Keep the labels that a grouping keeps."""
    return tuple(pair for pair in labels if (pair[0] in grouping.names) != grouping.without)


def _grouping(node: RangeAggregation, outer: Grouping | None) -> Grouping | None:
    if node.op == "absent_over_time":
        return Grouping()
    grouping = node.grouping if node.grouping is not None else outer
    if node.unwrap is None or (grouping is not None and grouping.single):
        return grouping
    if grouping is None or grouping.without:
        # The value of a sample is no label of its series.
        names = () if grouping is None else grouping.names
        return Grouping((*names, node.unwrap.label), without=True)
    return grouping


def _condition(unwrap: Unwrap) -> LabelFilter | None:
    if len(unwrap.filters) > 1:
        return AllOf(unwrap.filters)
    return unwrap.filters[0] if unwrap.filters else None


def _one(_line: str, _labels: LabelSet) -> float:
    return 1.0


def _size(line: str, _labels: LabelSet) -> float:
    return len(line) if line.isascii() else len(line.encode())


def _unwrapper(unwrap: Unwrap, condition: LabelFilter | None) -> _Extract:
    convert = _CONVERSIONS[unwrap.conversion]
    test: LabelTest | None = None if condition is None else compile_part(condition)

    def extract(_line: str, labels: LabelSet) -> float | None:
        text = labels.get(unwrap.label)
        if not text:
            return None
        value = 0.0
        try:
            value = convert(text)
        except ValueError as error:
            labels.error, labels.error_details = SAMPLE_ERROR, str(error)
        return value if test is None or test(labels) else None

    return extract


def _seconds(text: str) -> float:
    return parse_go_duration(text) / _SECOND


_CONVERSIONS: dict[str, Callable[[str], float]] = {
    "": parse_float,
    "bytes": parse_bytes,
    "duration": _seconds,
    "duration_seconds": _seconds,
}
