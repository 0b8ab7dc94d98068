"""Regular expressions with the meaning that Loki gives them; each was measured on Loki 3.7.6."""

from __future__ import annotations

import pytest

from loglane.devserver.logql.nodes import Matcher
from loglane.devserver.logql.patterns import (
    BadRegexpError,
    compile_label_filter,
    compile_line_filter,
    compile_matcher,
)
from loglane.devserver.refusal import Refused


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("corpus", "corpus-api", False),
        ("corpus.*", "corpus-api", True),
        ("a.b", "a\nb", True),
        ("a|b", "xb", False),
        ("(?i)API", "api", True),
        (".*999", "9990", False),
    ],
)
def test_stream_matcher_is_anchored(pattern: str, value: str, expected: bool) -> None:
    """A stream matcher matches the whole value, and its dot matches a newline."""
    assert compile_matcher(Matcher("x", "=~", pattern))(value) is expected
    assert compile_matcher(Matcher("x", "!~", pattern))(value) is not expected


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("999", "9990", False),
        ("9+", "9990", False),
        ("^.*999$", "9990", False),
        ("a.b", "a\nb", False),
        (".*999", "9990", True),
        ("999.*", "1999", True),
        ("warn|warning", "prewarning", True),
        ("warn(ing|ed)", "prewarning", True),
        ("error|info", "an error", False),
        ("500|502", "5020", False),
        (".*|x", "y", False),
        ("", "anything", True),
        (".+", "\n", True),
        (".+", "", False),
        ("(?i)WARN", "Warn", True),
        ("[Ee]rror", "error", True),
        ("[Ee]rror", "errors", False),
    ],
)
def test_label_filter_is_anchored_unless_loki_simplifies_it(
    pattern: str, value: str, expected: bool
) -> None:
    """A label filter is anchored, except for the literals and alternatives that Loki simplifies."""
    assert compile_label_filter(Matcher("x", "=~", pattern))(value) is expected
    assert compile_label_filter(Matcher("x", "!~", pattern))(value) is not expected


@pytest.mark.parametrize(
    ("op", "values", "line", "expected"),
    [
        ("|=", ("b",), "abc", True),
        ("|=", ("x", "c"), "abc", True),
        ("!=", ("x", "c"), "abc", False),
        ("|~", ("^b",), "abc", False),
        ("|~", ("a.c",), "a\nc", False),
        ("|~", ("(?s)a.c",), "a\nc", True),
        ("!~", ("b+",), "abc", False),
        ("|=", ("",), "abc", True),
        ("!=", ("",), "abc", False),
        ("|=", ("", "x"), "abc", False),
        ("|~", ("T.*(after|before)",), "Timeout after", False),
        ("|~", ("(?i)ABC",), "xabcx", True),
    ],
)
def test_line_filter_searches(op: str, values: tuple[str, ...], line: str, expected: bool) -> None:
    """A line filter looks anywhere in the line, with Loki's simplifications."""
    assert compile_line_filter(op, values)(line) is expected


@pytest.mark.parametrize("pattern", ["(", "a)(b", "(?=x)", r"\C", "a**", "(a{1000}){1000}"])
def test_bad_pattern_is_refused(pattern: str) -> None:
    """What RE2 or Go does not know is refused everywhere."""
    for compile_one in (compile_matcher, compile_label_filter):
        with pytest.raises(Refused):
            compile_one(Matcher("x", "=~", pattern))
    with pytest.raises(BadRegexpError, match="error parsing regexp"):
        compile_line_filter("|~", (pattern,))


@pytest.mark.parametrize("pattern", ["a{1}", ".{0,}", "x{0}", "foo(a.*|b.*)", r"\x41", "A|[aA]b"])
def test_pattern_that_loki_may_read_otherwise_is_refused(pattern: str) -> None:
    """Where it is not certain what Loki does, nothing is answered."""
    with pytest.raises(Refused, match="unusual regular expression"):
        compile_label_filter(Matcher("x", "=~", pattern))
