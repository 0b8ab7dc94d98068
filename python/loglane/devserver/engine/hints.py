"""Which labels a parser needs to extract, known from the rest of the query.

Not only an optimisation: a line that is not parsed has no parser error, and a line filtered out
while it is parsed has none either, so answers depend on it (loki: pkg/logql/log/parser_hints.go).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from loglane.devserver.engine.format_templates import fields_of
from loglane.devserver.engine.stage_text import naming
from loglane.devserver.logql.nodes import (
    AllOf,
    AnyOf,
    Grouping,
    LabelFilter,
    LabelFilterStage,
    Matcher,
    Stage,
)
from loglane.devserver.logql.patterns import is_noop_label_filter
from loglane.devserver.logql.stage_nodes import LabelFormatStage, LineFormatStage

if TYPE_CHECKING:
    from loglane.devserver.engine.labels import LabelSet

_SUFFIX = "_extracted"
LabelTest: TypeAlias = "Callable[[LabelSet], bool]"


@dataclass(slots=True)
class Hints:
    """What to extract from a line, and what has been extracted from the current one.

    Attributes:
        nothing: No label is needed at all.
        required: The only labels that are needed; empty means every label.
        tests: Label filters on one label each, run as soon as a parser sets that label.
        preserve_error: The query asks for `__error__` itself.
        extracted: Names that a parser has set on the current line; the first one wins.
    """

    nothing: bool = False
    required: tuple[str, ...] = ()
    tests: tuple[tuple[str, LabelTest], ...] = ()
    preserve_error: bool = False
    extracted: set[str] = field(default_factory=set)

    def reset(self) -> None:
        """Forget what the last line had."""
        if self.extracted:
            self.extracted = set()

    def wants(self, name: str) -> bool:
        """Tell whether a parser should set this label on the current line."""
        if name in self.extracted:
            return False
        return not self.required or name in self.required

    def wants_prefix(self, prefix: str) -> bool:
        """Tell whether a label that begins so may be wanted."""
        return not self.required or any(name.startswith(prefix) for name in self.required)

    def complete(self) -> bool:
        """Tell whether all that is needed has been extracted from the current line."""
        return bool(self.required) and all(name in self.extracted for name in self.required)

    def skips_parser(self) -> bool:
        """Tell whether a parser has nothing to do on the current line."""
        return self.nothing or self.complete()

    def passes(self, name: str, labels: LabelSet) -> bool:
        """Run the first label filter on `name` right after a parser has set it."""
        for tested, test in self.tests:
            if tested == name:
                return test(labels)
        return True


def filter_names(condition: LabelFilter) -> list[str]:
    """List the labels that a label filter reads."""
    if isinstance(condition, AllOf | AnyOf):
        return [name for part in condition.parts for name in filter_names(part)]
    if isinstance(condition, Matcher) and is_noop_label_filter(condition):
        return []
    return [condition.name]


def required_names(stages: Sequence[Stage]) -> list[str]:
    """List the labels that the label filters and templates of a pipeline read."""
    names: list[str] = []
    for stage in stages:
        if isinstance(stage, LabelFilterStage):
            names += filter_names(stage.condition)
        elif isinstance(stage, LineFormatStage | LabelFormatStage):
            with naming(stage):
                names += fields_of(stage)
    return names


def metric_hints(
    required: Sequence[str],
    grouping: Grouping | None,
    tests: tuple[tuple[str, LabelTest], ...],
    unwrapped: str = "",
) -> Hints:
    """Derive hints for a metric query from the labels it filters by, groups by and unwraps."""
    grouped = (grouping or Grouping()).names
    names = tuple(dict.fromkeys(_with_base_names([*required, *grouped, unwrapped])))
    preserve = "__error__" in names
    if grouping is not None and grouping.single:
        if names:
            return Hints(required=names, tests=tests, preserve_error=preserve)
        return Hints(nothing=True)
    if grouping is None or grouping.without or not grouping.names:
        return Hints(tests=tests)
    return Hints(required=names, preserve_error=preserve)


def _with_base_names(names: Sequence[str]) -> list[str]:
    # A parser asks before it knows that the name collides with a stream label.
    expanded = []
    for name in names:
        expanded.append(name)
        if name.endswith(_SUFFIX):
            expanded.append(name.removesuffix(_SUFFIX))
    return [name for name in expanded if name]
