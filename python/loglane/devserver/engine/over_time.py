"""What a range aggregation computes from the samples of one series in a window.

Samples are added one after another, oldest first, as Loki does, so that sums of floats agree
(loki: pkg/logql/range_vector.go).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate
from operator import add
from typing import TypeAlias

from loglane.devserver.logql.nodes import RangeAggregation

_SECOND = 1_000_000_000

# From the first index of a window and the index after its last to the value; never empty.
WindowFunction: TypeAlias = Callable[[int, int], float]
_Reduce: TypeAlias = Callable[[Sequence[float]], float]


def window_function(
    node: RangeAggregation, times: Sequence[int], values: Sequence[float]
) -> WindowFunction:
    """Build the function that aggregates the windows of one series.

    Args:
        node: The aggregation.
        times: Nanoseconds of the samples, in order.
        values: Their values: 1 for a line, its size, or what `unwrap` found.
    """
    seconds = node.interval_ns / _SECOND
    if node.op in {"bytes_over_time", "bytes_rate"}:
        totals = [0, *accumulate(int(value) for value in values)]
        divisor = seconds if node.op == "bytes_rate" else 1.0
        return lambda first, last: (totals[last] - totals[first]) / divisor
    if node.op == "count_over_time" or (node.op == "rate" and node.unwrap is None):
        divisor = seconds if node.op == "rate" else 1.0
        return lambda first, last: (last - first) / divisor
    if node.op == "rate_counter":
        return lambda first, last: _counter_rate(
            times[first:last], values[first:last], node.interval_ns
        )
    reducer = _quantiles(node.parameter) if node.parameter is not None else _REDUCERS[node.op]
    divisor = seconds if node.op == "rate" else 1.0
    return lambda first, last: reducer(values[first:last]) / divisor


def _variance(values: Sequence[float]) -> float:
    # Welford's method, of at least one value.
    mean = total = 0.0
    for count, value in enumerate(values, start=1):
        delta = value - mean
        mean += delta / count
        total += delta * (value - mean)
    return total / len(values)


def square_root(value: float) -> float:
    """Take a square root; of a negative number it is NaN."""
    return math.sqrt(value) if value >= 0 else math.nan


def _sum(values: Sequence[float]) -> float:
    # Not the built-in: it keeps the digits that plain additions lose.
    return reduce(add, values, 0.0)


def _average(values: Sequence[float]) -> float:
    mean = 0.0
    for count, value in enumerate(values, start=1):
        if math.isinf(mean) and not math.isnan(value) and value != -mean:
            continue
        mean += value / count - mean / count
    return mean


def _numbers(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _quantiles(quantile: float) -> _Reduce:
    return lambda values: _quantile(quantile, values)


def _quantile(quantile: float, values: Sequence[float]) -> float:
    if quantile > 1:
        return math.inf
    # NaN is the smallest.
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = quantile * (len(ordered) - 1)
    lower = math.floor(rank)
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - lower
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def _counter_rate(times: Sequence[int], values: Sequence[float], interval_ns: int) -> float:
    """Extrapolate the rate of a counter as Prometheus does.

    Loki gives nanoseconds to a formula that reads milliseconds: the distances between samples
    count a million times too much, the range does not. That is repeated here.
    """
    if len(times) < 2:
        return 0.0
    increase = values[-1] - values[0]
    previous = 0.0
    for value in values:
        if value < previous:
            increase += previous
        previous = value
    sampled = (times[-1] - times[0]) / 1000
    if not sampled:
        return math.nan
    average = sampled / (len(times) - 1)
    to_start = interval_ns // 1_000_000 / 1000
    if increase > 0 and values[0] >= 0:
        to_zero = sampled * (values[0] / increase)
        to_start = min(to_start, to_zero)
    # The last sample is taken as the end of the range, so nothing is added after it.
    extrapolated = sampled + (to_start if to_start < average * 1.1 else average / 2)
    return increase * (extrapolated / sampled) / (interval_ns / _SECOND)


_REDUCERS: dict[str, _Reduce] = {
    "sum_over_time": _sum,
    "rate": _sum,
    "avg_over_time": _average,
    "min_over_time": lambda values: min(_numbers(values), default=math.nan),
    "max_over_time": lambda values: max(_numbers(values), default=math.nan),
    "stdvar_over_time": _variance,
    "stddev_over_time": lambda values: square_root(_variance(values)),
    "first_over_time": lambda values: values[0],
    "last_over_time": lambda values: values[-1],
    "absent_over_time": lambda _values: 1.0,
}
