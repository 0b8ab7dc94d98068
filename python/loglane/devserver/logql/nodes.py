"""The syntax tree of LogQL: frozen dataclasses, built by `parser`, read by `engine`.

Durations are nanoseconds, sizes are bytes. `depth` counts nesting, so that a hostile query is
refused while it is parsed and cannot exhaust the stack while it is evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from loglane.devserver.logql.stage_nodes import (
    DecolorizeStage,
    IpComparison,
    IpLineFilter,
    JsonExpressionStage,
    LabelFormatStage,
    LineFormatStage,
    LogfmtExpressionStage,
    PatternStage,
    RegexpStage,
    UnpackStage,
)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One `name op "value"`; `op` is one of `=`, `!=`, `=~`, `!~`."""

    name: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class LineFilter:
    """`|= "a" or "b"`: any of `values` for `|=`, `|~` and `|>`, none for `!=`, `!~` and `!>`."""

    op: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JsonStage:
    """`| json` without expressions."""


@dataclass(frozen=True, slots=True)
class LogfmtStage:
    """`| logfmt` with its flags `--strict` and `--keep-empty`."""

    strict: bool = False
    keep_empty: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """A label filter against a number; `unit` is `number`, `duration` (ns) or `bytes`."""

    name: str
    op: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """Label filters joined by `and`, `,` or nothing."""

    parts: tuple[LabelFilter, ...]
    depth: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Label filters joined by `or`."""

    parts: tuple[LabelFilter, ...]
    depth: int = field(default=1, compare=False)


LabelFilter: TypeAlias = "Matcher | Comparison | IpComparison | AllOf | AnyOf"


@dataclass(frozen=True, slots=True)
class LabelFilterStage:
    """`| <label filter>`."""

    condition: LabelFilter


@dataclass(frozen=True, slots=True)
class DropStage:
    """`| drop a, b="c"`: names, or matchers for labels that go only with that value."""

    labels: tuple[str | Matcher, ...]


@dataclass(frozen=True, slots=True)
class KeepStage:
    """`| keep a, b="c"`."""

    labels: tuple[str | Matcher, ...]


@dataclass(frozen=True, slots=True)
class Unwrap:
    """`| unwrap duration(took)`: the label whose value is the sample.

    `conversion` is `bytes`, `duration` or `duration_seconds`, empty for a plain number. The parser
    sees it among the stages; a range aggregation holds it apart, with the label filters after it.
    """

    label: str
    conversion: str = ""
    filters: tuple[LabelFilter, ...] = ()


Stage: TypeAlias = (
    LineFilter
    | IpLineFilter
    | JsonStage
    | JsonExpressionStage
    | LogfmtStage
    | LogfmtExpressionStage
    | RegexpStage
    | PatternStage
    | UnpackStage
    | LabelFilterStage
    | LineFormatStage
    | LabelFormatStage
    | DecolorizeStage
    | DropStage
    | KeepStage
)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A stream selector and its pipeline."""

    matchers: tuple[Matcher, ...]
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by (...)` or `without (...)`; the default groups everything into one."""

    names: tuple[str, ...] = ()
    without: bool = False

    @property
    def single(self) -> bool:
        """Whether everything falls into one group without labels."""
        return not self.names and not self.without


@dataclass(frozen=True, slots=True)
class RangeAggregation:
    """`quantile_over_time(0.9, {...} | unwrap x [5m] offset 1h) by (level)`.

    `grouping` is None when there is none, which keeps every label; `parameter` is the quantile.
    """

    op: str
    query: LogQuery
    interval_ns: int
    offset_ns: int = 0
    unwrap: Unwrap | None = None
    grouping: Grouping | None = None
    parameter: float | None = None


@dataclass(frozen=True, slots=True)
class VectorAggregation:
    """`sum by (level) (...)`; `k` is the parameter of `topk` and `bottomk`, else None."""

    op: str
    operand: Metric
    grouping: Grouping
    k: int | None = None
    depth: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Matching:
    """Modifiers of a binary operation: `bool`, and `on (...)` or `ignoring (...)`."""

    returns_bool: bool = False
    on: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operation in which at least one side is a vector."""

    op: str
    left: Metric
    right: Metric
    matching: Matching
    depth: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class LabelReplace:
    """`label_replace(..., "target", "$1", "source", "(.*)")`."""

    operand: Metric
    target: str
    replacement: str
    source: str
    pattern: str
    depth: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class ConstantVector:
    """`vector(1)`: one sample without labels at each step."""

    value: float


@dataclass(frozen=True, slots=True)
class Part:
    """A query inside another that counts as one of its own; the parser makes none."""

    query: Metric
    depth: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Concatenation:
    """The vectors of queries behind one another, to be aggregated; the parser makes none."""

    queries: tuple[Metric, ...]
    depth: int = field(default=1, compare=False)


Metric: TypeAlias = (
    "RangeAggregation | VectorAggregation | Binary | LabelReplace | Scalar | ConstantVector "
    "| Part | Concatenation"
)
Query: TypeAlias = "LogQuery | Metric"
