"""Regular expressions of LogQL, with the anchoring and flags that Loki gives each kind.

A stream matcher is anchored and its dot matches a newline, as in Prometheus. A line filter
searches and a label filter is anchored, both after Loki's simplification (see `simplify`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

import re2

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

_OPTIONS = re2.Options()
# RE2 would write a refused pattern to stderr; the client gets it in the answer.
_OPTIONS.log_errors = False


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
    """Build the test of a line filter: any value for `|=` and `|~`, none for `!=` and `!~`."""
    test = _any_line_test(values, is_pattern=op in {"|~", "!~"}, negated=op in {"!=", "!~"})
    return _negated(test) if op in {"!=", "!~"} else test


@lru_cache(maxsize=512)
def compile_label_filter(matcher: Matcher) -> Test:
    """Build the test of a string label filter on a label's value."""
    if matcher.op in {"=", "!="}:
        return compile_matcher(matcher)
    compile_pattern(matcher.value)
    tests = simplify(matcher.value, is_label=True)
    test = _fullmatch(matcher.value, "(?:") if tests is None else compile_tests(tests)
    return test if matcher.op == "=~" else _negated(test)


def is_noop_label_filter(matcher: Matcher) -> bool:
    """Tell whether Loki leaves out a label filter because it passes for every value."""
    return matcher.op == "=~" and always_true(simplify(matcher.value, is_label=True))


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> re2._Regexp:
    """Compile an RE2 pattern; raises Refused with RE2's own text."""
    if "\\C" in pattern:
        # RE2 knows it as any byte, Go does not.
        raise Refused(f"parse error : error parsing regexp: invalid escape sequence: `{pattern}`")
    # Go refuses more than 1,000 levels, RE2 does not.
    if pattern.count("(") > 1000 or confuses_go(pattern):
        raise uncertain(pattern)
    try:
        return re2.compile(pattern, options=_OPTIONS)
    except re2.error as error:
        text = error.args[0] if error.args else "bad pattern"
        shown = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise Refused(f"parse error : error parsing regexp: {shown}: `{pattern}`") from None


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
    compile_pattern(pattern)
    fullmatch = compile_pattern(f"{group}{pattern})").fullmatch
    return lambda text: fullmatch(text) is not None


def _negated(test: Test) -> Test:
    return lambda text: not test(text)
