"""From the grammar's rules to nodes: one method a rule, called while lark parses."""

# ruff: noqa: D102 - a method builds the node of the rule that it is named after

from __future__ import annotations

from lark import Token, v_args

from loglane.devserver.logql.arithmetic import apply_operator
from loglane.devserver.logql.depth import deeper
from loglane.devserver.logql.functions import (
    build_range,
    build_range_aggregation,
    build_vector_aggregation,
    check_no_unwrap,
)
from loglane.devserver.logql.nodes import (
    Binary,
    ConstantVector,
    Grouping,
    LabelReplace,
    LogQuery,
    Matcher,
    Matching,
    Metric,
    RangeAggregation,
    Scalar,
    Stage,
    Unwrap,
    VectorAggregation,
)
from loglane.devserver.logql.patterns import check_pattern, replaced_pattern
from loglane.devserver.logql.stage_tree import StageBuilder
from loglane.devserver.logql.units import parse_float
from loglane.devserver.refusal import Refused

_SETS = frozenset({"and", "or", "unless"})


@v_args(inline=True)
class TreeBuilder(StageBuilder):
    """Build nodes bottom-up, so that nesting costs no stack while parsing."""

    def log_query(self, matchers: tuple[Matcher, ...], stages: tuple[Stage, ...] = ()) -> LogQuery:
        return LogQuery(matchers, check_no_unwrap(stages))

    def unwrap(self, label: Token) -> Unwrap:
        return Unwrap(label.value)

    def unwrap_converted(self, conversion: Token, label: Token) -> Unwrap:
        return Unwrap(label.value, conversion.value)

    def selector(self, *matchers: Matcher | None) -> tuple[Matcher, ...]:
        return tuple(matcher for matcher in matchers if matcher is not None)

    def binary(self, left: Metric, op: Token, matching: Matching, right: Metric) -> Metric:
        symbol = op.value.lower()
        if symbol in _SETS:
            _check_no_literal("left", symbol, left)
            _check_no_literal("right", symbol, right)
        if isinstance(left, Scalar) and isinstance(right, Scalar):
            return Scalar(apply_operator(symbol, left.value, right.value))
        return Binary(symbol, left, right, matching, deeper(left, right))

    def matching(
        self, returns_bool: Token | None, kind: Token | None, names: tuple[str, ...] | None
    ) -> Matching:
        on = kind is not None and kind.type == "ON"
        return Matching(returns_bool is not None, on, names or ())

    def names(self, *names: Token | None) -> tuple[str, ...]:
        return tuple(name.value for name in names if name is not None)

    def range_aggregation(
        self,
        op: Token,
        parameter: Token | None,
        log_range: RangeAggregation,
        grouping: Grouping | None,
    ) -> RangeAggregation:
        return build_range_aggregation(op.value, _text(parameter), log_range, grouping)

    def range_first(
        self,
        matchers: tuple[Matcher, ...],
        interval: Token,
        offset: int | None,
        stages: tuple[Stage, ...] | None,
    ) -> RangeAggregation:
        return build_range(matchers, stages or (), interval.value, offset or 0)

    def range_last(
        self,
        matchers: tuple[Matcher, ...],
        stages: tuple[Stage, ...],
        interval: Token,
        offset: int | None,
    ) -> RangeAggregation:
        return build_range(matchers, stages, interval.value, offset or 0)

    def range_unwrapped(
        self,
        matchers: tuple[Matcher, ...],
        interval: Token,
        offset: int | None,
        stages: tuple[Stage, ...] | None,
    ) -> RangeAggregation:
        if stages and not isinstance(stages[0], Unwrap):
            raise Refused("parse error : syntax error: only unwrap may follow this range")
        return self.range_first(matchers, interval, offset, stages)

    def offset(self, duration: Token) -> int:
        return int(duration.value)

    def vector_aggregation(
        self, op: Token, k: Token | None, operand: Metric, grouping: Grouping | None
    ) -> VectorAggregation:
        return build_vector_aggregation(op.value, _text(k), operand, grouping, deeper(operand))

    def grouped_first(
        self, op: Token, grouping: Grouping, k: Token | None, operand: Metric
    ) -> VectorAggregation:
        return self.vector_aggregation(op, k, operand, grouping)

    def grouping(self, kind: Token, names: tuple[str, ...]) -> Grouping:
        return Grouping(names, kind.type == "WITHOUT")

    def label_replace(
        self, operand: Metric, target: Token, replacement: Token, source: Token, pattern: Token
    ) -> LabelReplace:
        check_pattern(replaced_pattern(pattern.value))
        return LabelReplace(
            operand, target.value, replacement.value, source.value, pattern.value, deeper(operand)
        )

    def constant_vector(self, value: Token) -> ConstantVector:
        return ConstantVector(_number(value.value))

    def scalar(self, sign: Token | None, value: Token) -> Scalar:
        number = _number(value.value)
        return Scalar(-number if sign is not None and sign.type == "SUB" else number)


def _check_no_literal(side: str, symbol: str, leg: Metric) -> None:
    if isinstance(leg, Scalar):
        raise Refused(
            f"parse error : unexpected literal for {side} leg of logical/set binary operation "
            f"({symbol}): {leg.value:f}"
        )


def _number(text: str) -> float:
    try:
        return parse_float(text)
    except ValueError as error:
        raise Refused(f"parse error : unable to parse literal as a float: {error}") from None


def _text(token: Token | None) -> str | None:
    return None if token is None else token.value
