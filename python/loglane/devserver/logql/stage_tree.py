"""From the grammar's rules of log stages to nodes; `tree` does the same for all other rules."""

# ruff: noqa: D102 - a method builds the node of the rule that it is named after

from __future__ import annotations

from typing import Any

from lark import Token, Transformer, v_args

from loglane.devserver.logql.depth import deeper
from loglane.devserver.logql.nodes import (
    AllOf,
    AnyOf,
    Comparison,
    DropStage,
    JsonStage,
    KeepStage,
    LabelFilter,
    LabelFilterStage,
    LineFilter,
    LogfmtStage,
    Matcher,
    Scalar,
    Stage,
)
from loglane.devserver.logql.stage_nodes import (
    DecolorizeStage,
    Extraction,
    IpComparison,
    IpLineFilter,
    JsonExpressionStage,
    LabelFormat,
    LabelFormatStage,
    LineFormatStage,
    LogfmtExpressionStage,
    PatternStage,
    RegexpStage,
    UnpackStage,
)
from loglane.devserver.refusal import unsupported

MAX_CONDITIONS = 500


@v_args(inline=True)
class StageBuilder(Transformer[Token, Any]):
    """Build the nodes of selectors and stages."""

    def matcher(self, name: Token, op: Token, value: Token) -> Matcher:
        return Matcher(name.value, op.value, value.value)

    def pipeline(self, *stages: Stage) -> tuple[Stage, ...]:
        return stages

    def line_filter(self, op: Token, *values: Token | IpLineFilter) -> LineFilter | IpLineFilter:
        addresses = [value.pattern for value in values if isinstance(value, IpLineFilter)]
        texts = [v.value for v in values if isinstance(v, Token) and v.type == "STRING"]
        if addresses and len(addresses) + len(texts) > 1:
            # Loki looks for the text of the pattern there, as if `ip` were not written.
            raise unsupported("`ip()` beside `or` in a line filter")
        if addresses:
            return IpLineFilter(op.value, addresses[0])
        return LineFilter(op.value, tuple(texts))

    def ip(self, pattern: Token) -> IpLineFilter:
        return IpLineFilter("", pattern.value)

    def ip_comparison(self, name: Token, op: Token, pattern: Token) -> IpComparison:
        return IpComparison(name.value, op.value, pattern.value)

    def json(self) -> JsonStage:
        return JsonStage()

    def json_expressions(self, extractions: tuple[Extraction, ...]) -> JsonExpressionStage:
        return JsonExpressionStage(extractions)

    def logfmt(self, *flags: Token) -> LogfmtStage:
        return LogfmtStage("--strict" in flags, "--keep-empty" in flags)

    def logfmt_expressions(self, *parts: Any) -> LogfmtExpressionStage:
        *flags, extractions = parts
        if len({found.expression for found in extractions}) < len(extractions):
            # Loki fills one of the names, a different one each time.
            raise unsupported("one `| logfmt` expression under two names")
        return LogfmtExpressionStage(extractions, "--strict" in flags, "--keep-empty" in flags)

    def extractions(self, *extractions: Extraction) -> tuple[Extraction, ...]:
        return extractions

    def extraction(self, name: Token, _eq: Token | None, expression: Token | None) -> Extraction:
        return Extraction(name.value, name.value if expression is None else expression.value)

    def regexp(self, pattern: Token) -> RegexpStage:
        return RegexpStage(pattern.value)

    def pattern(self, pattern: Token) -> PatternStage:
        return PatternStage(pattern.value)

    def unpack(self) -> UnpackStage:
        return UnpackStage()

    def decolorize(self) -> DecolorizeStage:
        return DecolorizeStage()

    def line_format(self, template: Token) -> LineFormatStage:
        return LineFormatStage(template.value)

    def label_formats(self, *formats: LabelFormat) -> LabelFormatStage:
        return LabelFormatStage(formats)

    def label_format(self, name: Token, _eq: Token, value: Token) -> LabelFormat:
        return LabelFormat(name.value, value.value, value.type == "IDENTIFIER")

    def label_filter_stage(self, condition: LabelFilter) -> LabelFilterStage:
        return LabelFilterStage(condition)

    def drop(self, labels: tuple[str | Matcher, ...]) -> DropStage:
        return DropStage(labels)

    def keep(self, labels: tuple[str | Matcher, ...]) -> KeepStage:
        return KeepStage(labels)

    def label_list(self, *labels: Token | Matcher) -> tuple[str | Matcher, ...]:
        return tuple(x.value if isinstance(x, Token) else x for x in labels)

    def any_of(self, left: LabelFilter, _or: Token, right: LabelFilter) -> AnyOf:
        parts = (*left.parts, right) if isinstance(left, AnyOf) else (left, right)
        return AnyOf(_counted(parts), deeper(*parts))

    def all_of(self, left: LabelFilter, _and: Token, right: LabelFilter) -> AllOf:
        return self.all_of_list(left, right)

    def all_of_list(self, left: LabelFilter, right: LabelFilter) -> AllOf:
        first = left.parts if isinstance(left, AllOf) else (left,)
        second = right.parts if isinstance(right, AllOf) else (right,)
        parts = (*first, *second)
        return AllOf(_counted(parts), deeper(*parts))

    def comparison(self, name: Token, op: Token, value: Scalar | Token) -> Comparison:
        if isinstance(value, Scalar):
            return Comparison(name.value, op.value, value.value, "number")
        return Comparison(name.value, op.value, value.value, value.type.lower())


def _counted(parts: tuple[LabelFilter, ...]) -> tuple[LabelFilter, ...]:
    if len(parts) > MAX_CONDITIONS:
        raise unsupported(f"a label filter of more than {MAX_CONDITIONS} conditions")
    return parts
