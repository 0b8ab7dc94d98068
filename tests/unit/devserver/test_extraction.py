"""Stages that take labels from parts of a line, and addresses in lines."""

from __future__ import annotations

import pytest

from loglane.devserver.engine.ip import BadAddressError, compile_ip
from loglane.devserver.engine.json_paths import find_paths
from loglane.devserver.engine.stage_order import reorder, without_idle_line_formats
from loglane.devserver.logql import parse
from loglane.devserver.logql.extraction_paths import BadExpressionError, parse_json_path
from loglane.devserver.logql.line_pattern import (
    BadPatternError,
    parse_extraction_pattern,
    parse_filter_pattern,
)
from loglane.devserver.logql.nodes import LogQuery, Stage


def _stages(text: str) -> tuple[Stage, ...]:
    query = parse(f'{{app="a"}} {text}')
    assert isinstance(query, LogQuery)
    return query.stages


@pytest.mark.parametrize(
    ("pattern", "line", "expected"),
    [
        ("<a>", "x y", ["x y"]),
        ("<a> <b>", "x y z", ["x", "y z"]),
        ("<a> <_> <b>", "x y z", ["x", "z"]),
        ("<a>, <b>", "x y", ["x y"]),
        ("k=<a> <_>", "k=1 2", ["1"]),
        ("k=<a>", "x k=1", []),
        ("<a>", "", []),
    ],
)
def test_pattern_captures_what_is_between_its_literals(
    pattern: str, line: str, expected: list[str]
) -> None:
    """A literal that is missing ends the captures; the first one has to be at the start."""
    assert expected == parse_extraction_pattern(pattern).captures(line)


@pytest.mark.parametrize(
    ("pattern", "line", "expected"),
    [
        ("<_>", "x", True),
        ("<_>", "", False),
        ("", "", True),
        ("a", "a", True),
        ("a", "ab", False),
        ("<_>b", "ab", True),
        ("<_>b", "b", False),
        ("a<_>c", "abbc", True),
        ("a<_>", "ba1", True),
    ],
)
def test_pattern_filter_is_about_the_whole_line(pattern: str, line: str, expected: bool) -> None:
    """No capture is empty; only a literal in front is not held to the start, as in Loki."""
    assert expected == parse_filter_pattern(pattern).matches(line)


@pytest.mark.parametrize("pattern", ["", "abc", "<_>", "<a><b>", "<a> <a>"])
def test_bad_extraction_pattern_is_refused(pattern: str) -> None:
    """It names something, nothing twice, and has a literal between two captures."""
    with pytest.raises(BadPatternError):
        parse_extraction_pattern(pattern)


@pytest.mark.parametrize(
    ("path", "line", "expected"),
    [
        ("a", '{"a":1}', "1"),
        ("a.b", '{"a":{"b":"x"}}', '"x"'),
        ("a[1]", '{"a":[1,2]}', "2"),
        ("a[1].b", '{"a":[{"b":1},{"b":2}]}', "2"),
        ("[0].a", '[{"a":1}]', "1"),
        ('["a b"]', '{"a b":1}', "1"),
        ("b", '{"a":{"b":1}}', None),
        ("b", '{"a":{"b":1},"b":2}', "2"),
        ("a", '{"a":1', "1"),
        ("a", '{"a":{"b":1', "Value looks like object, but can't find closing '}' symbol"),
        ("a", "text", None),
        ("a[5]", '{"a":[1,2]}', None),
    ],
)
def test_path_finds_its_value(path: str, line: str, expected: str | None) -> None:
    """The first value at the path counts; what broke after it does not matter."""
    found: list[str] = []
    find_paths(
        line,
        [parse_json_path(path)],
        lambda _number, value: found.append(
            value
            if isinstance(value, str)
            else f'"{value.raw}"'
            if value.kind == "string"
            else value.raw
        ),
    )
    assert ([] if expected is None else [expected]) == found


@pytest.mark.parametrize("expression", ["", "a.", "[", "a b", "a[x]", "a[1.5]", ".a", "a-b"])
def test_bad_json_path_is_refused(expression: str) -> None:
    """The text names the expression, as Loki's does."""
    with pytest.raises(BadExpressionError, match="cannot parse expression"):
        parse_json_path(expression)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("10.0.0.1", "from 10.0.0.1:80", True),
        ("10.0.0.1", "from 10.0.0.12:80", False),
        ("10.0.0.0/8", "x 10.9.9.9 y", True),
        ("10.0.0.0/8", "x 11.9.9.9 y", False),
        ("10.0.0.1-10.0.0.5", "10.0.0.5 ", True),
        ("10.0.0.1-10.0.0.5", "10.0.0.6 ", False),
        ("2001:db8::/32", "a 2001:db8::5 b", True),
        ("::1", "a ::1 bc", True),
        ("10.0.0.1", "", False),
        ("10.0.0.1", "10.0.0.1.1 and 10.0.0.1", True),
    ],
)
def test_address_is_found_in_a_text(pattern: str, text: str, expected: bool) -> None:
    """One address, a range or a prefix is looked for where a text has an address."""
    assert expected == compile_ip(pattern)(text)


@pytest.mark.parametrize("pattern", ["", "x", "10.0.0.1/33", "10.0.0.9-10.0.0.1", "10.0.0"])
def test_bad_address_is_refused(pattern: str) -> None:
    """What Go does not read as an address, a range or a prefix is none."""
    with pytest.raises(BadAddressError, match="ip: invalid pattern"):
        compile_ip(pattern)


def test_line_filters_go_in_front_of_what_leaves_the_line() -> None:
    """A filter passes parsers, but no stage that rewrites the line and no label filter."""
    stages = _stages('| json |= "1" | line_format "x" | logfmt |= "2" | a="b" | decolorize |= "3"')
    json, one, line_format, logfmt, two, condition, decolorize, three = stages
    expected = [one, json, line_format, two, logfmt, condition, three, decolorize]
    assert expected == reorder(stages)


def test_line_format_that_nothing_reads_is_left_out() -> None:
    """Loki does so in metric queries, where only the labels of the line count."""
    read = _stages('| line_format "x" |= "x" | line_format "y"')
    assert read[:2] == without_idle_line_formats(read)
