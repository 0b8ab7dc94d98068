"""Label filters, compiled to tests on a `LabelSet`.

A comparison that cannot read its label as a number sets `__error__` and lets the line pass, as in
Loki (pkg/logql/log/label_filter.go).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loglane.devserver.engine.hints import LabelTest
from loglane.devserver.engine.ip import BadAddressError, compile_ip
from loglane.devserver.engine.labels import ERROR, LabelSet
from loglane.devserver.engine.stage_text import naming
from loglane.devserver.logql.arithmetic import compare
from loglane.devserver.logql.nodes import (
    AllOf,
    AnyOf,
    Comparison,
    LabelFilter,
    LabelFilterStage,
    Matcher,
    Stage,
)
from loglane.devserver.logql.patterns import compile_label_filter, is_noop_label_filter
from loglane.devserver.logql.stage_nodes import IpComparison
from loglane.devserver.logql.units import parse_bytes, parse_float, parse_go_duration

LABEL_FILTER_ERROR = "LabelFilterErr"
_READERS: dict[str, Callable[[str], float]] = {
    "number": parse_float,
    "duration": parse_go_duration,
    "bytes": parse_bytes,
}


def compile_filter(condition: LabelFilter) -> LabelTest:
    """Build the test of a label filter.

    Raises:
        Refused: A bad regular expression.
        ValueError: A bad address, in Loki's words.
    """
    match condition:
        case Matcher():
            return _matcher_test(condition)
        case Comparison():
            return _comparison_test(condition)
        case IpComparison():
            return _ip_test(condition)
        case AllOf(parts=parts):
            # Every side is evaluated, also after a false one: it may set an error.
            all_tests = [compile_part(part) for part in parts]
            return lambda labels: False not in [test(labels) for test in all_tests]
        case AnyOf(parts=parts):
            any_tests = [compile_part(part) for part in parts]
            return lambda labels: any(test(labels) for test in any_tests)


def single_label_tests(stages: Sequence[Stage]) -> tuple[tuple[str, LabelTest], ...]:
    """List the label filters on one label each, for `Hints.tests`.

    Loki keeps names and filters in two lists and adds no name for a filter that is always true, so
    that every later name gets the filter before its own; the same happens here.
    """
    names: list[str] = []
    tests: list[LabelTest] = []
    for stage in stages:
        if isinstance(stage, LabelFilterStage):
            condition = stage.condition
            if isinstance(condition, Matcher | Comparison | IpComparison):
                with naming(stage):
                    tests.append(compile_filter(condition))
                if not _is_noop(condition):
                    names.append(condition.name)
    return tuple(zip(names, tests, strict=False))


def _is_noop(condition: LabelFilter) -> bool:
    return isinstance(condition, Matcher) and is_noop_label_filter(condition)


def _matcher_test(matcher: Matcher) -> LabelTest:
    name = matcher.name
    test = compile_label_filter(matcher)
    if name == ERROR:
        return lambda labels: test(labels.error)
    return lambda labels: test(labels.get(name) or "")


def _comparison_test(comparison: Comparison) -> LabelTest:
    name, op, wanted = comparison.name, comparison.op, comparison.value
    read = _READERS[comparison.unit]

    def test(labels: LabelSet) -> bool:
        text = labels.get(name)
        if text is None:
            return False
        try:
            value = read(text)
        except ValueError as error:
            if not labels.error:
                labels.error = LABEL_FILTER_ERROR
                labels.error_details = str(error)
            return True
        return compare(op, value, wanted)

    return test


def compile_part(condition: LabelFilter) -> LabelTest:
    """Build the test of a label filter that is not a stage of its own."""
    try:
        return compile_filter(condition)
    except BadAddressError:
        # Loki notices a bad address only where it stands alone.
        return lambda labels: labels.error != ""


def _ip_test(comparison: IpComparison) -> LabelTest:
    name, wanted = comparison.name, comparison.op == "="
    contains = compile_ip(comparison.pattern)

    def test(labels: LabelSet) -> bool:
        if labels.error:
            # Only a filter of strings drops a line that has an error.
            return True
        text = labels.get(name)
        return text is not None and contains(text) == wanted

    return test
