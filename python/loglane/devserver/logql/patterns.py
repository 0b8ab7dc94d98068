"""Regular expressions of LogQL, with the anchoring and flags that Loki gives each kind.

A stream matcher is anchored and its dot matches a newline, as in Prometheus. A line filter
searches and a label filter is anchored, both after Loki's simplification (see `simplify`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

import re2

from loglane.devserver.logql.line_pattern import LinePattern, parse_filter_pattern
from loglane.devserver.logql.nodes import Matcher
from loglane.devserver.logql.regex_nodes import uncertain
from loglane.devserver.logql.regex_tree import confuses_go
from loglane.devserver.logql.simplify import (
    Simplified,
    StringTest,
    always_true,
    compile_tests,
    either,
    simplify,
)
from loglane.devserver.refusal import Refused

Test: TypeAlias = Callable[[str], bool]

# What RE2 says, in the words of Go's regexp/syntax.
_GO_REASONS = {
    "bad repetition operator": "invalid nested repetition operator",
    "invalid named capture group": "invalid named capture",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid repetition size": "invalid repeat count",
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "trailing \\": "trailing backslash at end of expression",
}

_OPTIONS = re2.Options()
# RE2 would write a refused pattern to stderr; the client gets it in the answer.
_OPTIONS.log_errors = False


class BadRegexpError(ValueError):
    """No regular expression, in the words of Go."""


@lru_cache(maxsize=512)
def compile_matcher(matcher: Matcher) -> Test:
    """Build the test of a stream matcher on a label's value; an absent label has value ``""``."""
    value = matcher.value
    match matcher.op:
        case "=":
            return lambda text: text == value
        case "!=":
            return lambda text: text != value
        case "=~":
            return _fullmatch(value, "(?s:")
        case _:
            return _negated(_fullmatch(value, "(?s:"))


def compile_line_filter(op: str, values: Sequence[str]) -> Test:
    """Build the test of a line filter: any value for `|=`, `|~`, `|>`, none for the others.

    Raises:
        BadRegexpError: A bad regular expression.
        BadPatternError: A bad pattern of `|>` or `!>`.
    """
    if op in {"|>", "!>"}:
        found = _any_pattern_test([parse_filter_pattern(value) for value in values])
        return found if op == "|>" else _negated(found)
    test = _any_line_test(values, is_pattern=op in {"|~", "!~"}, negated=op in {"!=", "!~"})
    return _negated(test) if op in {"!=", "!~"} else test


@lru_cache(maxsize=512)
def compile_label_filter(matcher: Matcher) -> Test:
    """Build the test of a string label filter on a label's value."""
    if matcher.op in {"=", "!="}:
        return compile_matcher(matcher)
    check_pattern(matcher.value)
    tests = simplify(matcher.value, is_label=True)
    test = _fullmatch(matcher.value, "(?:") if tests is None else compile_tests(tests)
    return test if matcher.op == "=~" else _negated(test)


def is_noop_label_filter(matcher: Matcher) -> bool:
    """Tell whether Loki leaves out a label filter because it passes for every value."""
    return matcher.op == "=~" and always_true(simplify(matcher.value, is_label=True))


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> re2._Regexp:
    """Compile an RE2 pattern.

    Raises:
        BadRegexpError: It is none, in the words of Go.
        Refused: It is so unusual that Go may understand it differently.
    """
    if "\\C" in pattern:
        # RE2 knows it as any byte, Go does not.
        raise BadRegexpError("error parsing regexp: invalid escape sequence: `\\C`")
    # Go refuses more than 1,000 levels, RE2 does not.
    if pattern.count("(") > 1000 or confuses_go(pattern):
        raise uncertain(pattern)
    try:
        return re2.compile(pattern, options=_OPTIONS)
    except re2.error as error:
        raise BadRegexpError(_describe(error)) from None


def _describe(error: re2.error) -> str:
    text = error.args[0] if error.args else "bad pattern"
    shown = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    reason, separator, part = shown.partition(": ")
    reason = _GO_REASONS.get(reason, reason)
    part = f": `{part}`" if separator or reason.startswith("trailing") else ""
    return f"error parsing regexp: {reason}{part}"


def _any_pattern_test(patterns: Sequence[LinePattern]) -> Test:
    return lambda line: any(pattern.matches(line) for pattern in patterns)


def replaced_pattern(pattern: str) -> str:
    """Anchor the pattern of `label_replace` as Loki does, without compiling it alone first."""
    return f"^(?:{pattern})$"


def _any_line_test(values: Sequence[str], *, is_pattern: bool, negated: bool) -> Test:
    searches: list[Test] = []
    literal: Simplified | None = None
    for value in values:
        tests = _simplified_line(value, is_pattern=is_pattern)
        if tests is None:
            searches.append(_search(value))
        # Alternatives that must all be absent are separate filters, none of which is forgotten.
        elif literal is None:
            literal = tests
        else:
            literal = literal + tests if negated else either(literal, tests)
    if literal is not None and not (searches and not negated and always_true(literal)):
        searches.insert(0, compile_tests(literal))
    if len(searches) == 1:
        return searches[0]
    return lambda line: any(search(line) for search in searches)


def _simplified_line(value: str, *, is_pattern: bool) -> Simplified | None:
    if not is_pattern:
        return (StringTest("contains", value),) if value else (StringTest("true"),)
    compile_pattern(value)
    return simplify(value, is_label=False)


def _search(pattern: str) -> Test:
    search = compile_pattern(pattern).search
    return lambda line: search(line) is not None


def _fullmatch(pattern: str, group: str) -> Test:
    # Compiled alone first: an unbalanced `a)(b` must not become balanced inside the group.
    check_pattern(pattern)
    fullmatch = compile_pattern(f"{group}{pattern})").fullmatch
    return lambda text: fullmatch(text) is not None


def check_pattern(pattern: str) -> None:
    """Refuse what is no regular expression; raises Refused with Loki's text."""
    try:
        compile_pattern(pattern)
    except BadRegexpError as error:
        raise Refused(f"parse error : {error}") from None


def _negated(test: Test) -> Test:
    return lambda text: not test(text)
