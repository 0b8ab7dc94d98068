"""The functions of metric queries: their names, and which parts each may have.

Source: loki: pkg/logql/syntax/ast.go, whose refusals are repeated here.
"""

from __future__ import annotations

from loglane.devserver.logql.nodes import (
    Grouping,
    LabelFilterStage,
    LogQuery,
    Matcher,
    Metric,
    RangeAggregation,
    Stage,
    Unwrap,
    VectorAggregation,
)
from loglane.devserver.logql.units import parse_float
from loglane.devserver.refusal import Refused, unsupported

# Without `unwrap` they count lines or bytes; the others take the value of a label.
_OVER_LINES = frozenset(
    {"count_over_time", "rate", "bytes_over_time", "bytes_rate", "absent_over_time"}
)
_GROUPED = frozenset(
    {
        "avg_over_time", "stddev_over_time", "stdvar_over_time", "quantile_over_time",
        "max_over_time", "min_over_time", "first_over_time", "last_over_time",
    }
)  # fmt: skip
_OVER_VALUES = _GROUPED | {"sum_over_time", "rate", "rate_counter", "absent_over_time"}
RANGE_FUNCTIONS = _OVER_LINES | _OVER_VALUES
VECTOR_FUNCTIONS = frozenset(
    {
        "sum", "avg", "min", "max", "count", "stddev", "stdvar", "topk", "bottomk",
        "sort", "sort_desc",
    }
)  # fmt: skip
CONVERSIONS = frozenset({"bytes", "duration", "duration_seconds"})


def build_range(
    matchers: tuple[Matcher, ...], stages: tuple[object, ...], interval_ns: int, offset_ns: int
) -> RangeAggregation:
    """Build a range whose function is not known yet, with `unwrap` apart from the stages.

    Raises:
        Refused: There are two `unwrap`, or something else than label filters after one.
    """
    if interval_ns == 0:
        raise unsupported("a range of zero")
    kept, unwrap = _split_unwrap(stages)
    return RangeAggregation("", LogQuery(matchers, kept), interval_ns, offset_ns, unwrap)


def build_range_aggregation(
    op: str, parameter: str | None, log_range: RangeAggregation, grouping: Grouping | None
) -> RangeAggregation:
    """Apply a function to a range; raises Refused for what Loki does not accept together."""
    if op == "quantile_over_time":
        if parameter is None:
            raise _refusal(f"parameter required for operation {op}")
    elif parameter is not None:
        raise _refusal(f"parameter {parameter} not supported for operation {op}")
    if grouping is not None and op not in _GROUPED:
        raise _refusal(f"grouping not allowed for {op} aggregation")
    if log_range.unwrap is not None and op not in _OVER_VALUES:
        raise _refusal(f"invalid aggregation {op} with unwrap")
    if log_range.unwrap is None and op not in _OVER_LINES:
        raise _refusal(f"invalid aggregation {op} without unwrap")
    return RangeAggregation(
        op,
        log_range.query,
        log_range.interval_ns,
        log_range.offset_ns,
        log_range.unwrap,
        grouping,
        None if parameter is None else _float(parameter, op),
    )


def build_vector_aggregation(
    op: str, parameter: str | None, operand: Metric, grouping: Grouping | None, depth: int
) -> VectorAggregation:
    """Aggregate a vector; raises Refused for a wrong parameter or a grouping of `sort`."""
    if op in {"sort", "sort_desc"} and grouping is not None and grouping.names:
        raise _refusal("sort and sort_desc doesn't allow grouping by ")
    k = _number_of_series(op, parameter)
    return VectorAggregation(op, operand, grouping or Grouping(), k, depth)


def check_no_unwrap(stages: tuple[object, ...]) -> tuple[Stage, ...]:
    """Return the stages of a log query; raises Refused when there is an `unwrap`."""
    kept, unwrap = _split_unwrap(stages)
    if unwrap is not None:
        raise _misplaced_unwrap()
    return kept


def _split_unwrap(stages: tuple[object, ...]) -> tuple[tuple[Stage, ...], Unwrap | None]:
    kept: list[Stage] = []
    unwrap: Unwrap | None = None
    for stage in stages:
        if isinstance(stage, Unwrap):
            if unwrap is not None:
                raise _misplaced_unwrap()
            unwrap = stage
        elif unwrap is None:
            kept.append(stage)  # type: ignore[arg-type]
        elif isinstance(stage, LabelFilterStage):
            filters = (*unwrap.filters, stage.condition)
            unwrap = Unwrap(unwrap.label, unwrap.conversion, filters)
        else:
            raise _refusal("syntax error: only label filters may follow unwrap")
    return tuple(kept), unwrap


def _misplaced_unwrap() -> Refused:
    return _refusal("syntax error: unexpected unwrap")


def _number_of_series(op: str, parameter: str | None) -> int | None:
    if op not in {"topk", "bottomk"}:
        if parameter is not None:
            raise _refusal(f"unsupported parameter for operation {op}({parameter},")
        return None
    if parameter is None:
        raise _refusal(f"parameter required for operation {op}")
    if not parameter.isdigit() or len(parameter) > 18:
        raise _refusal(f"invalid parameter {op}({parameter},")
    if int(parameter) == 0:
        raise _refusal(f"invalid parameter (must be greater than 0) {op}({parameter}")
    return int(parameter)


def _float(text: str, op: str) -> float:
    try:
        return parse_float(text)
    except ValueError as error:
        raise _refusal(f"invalid parameter for operation {op}: {error}") from None


def _refusal(message: str) -> Refused:
    return Refused(f"parse error : {message}")
