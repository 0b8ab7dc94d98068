"""From the text of a query to its syntax tree."""

from __future__ import annotations

import pytest

from loglane.devserver.logql import longest_range, parse, parse_matchers
from loglane.devserver.logql.nodes import (
    AllOf,
    AnyOf,
    Binary,
    Comparison,
    Grouping,
    JsonStage,
    LabelFilterStage,
    LineFilter,
    LogfmtStage,
    LogQuery,
    Matcher,
    Matching,
    RangeAggregation,
    Scalar,
    Stage,
    VectorAggregation,
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
from loglane.devserver.refusal import Refused

_APP = Matcher("app", "=", "a")
_MINUTE = 60 * 10**9


def _condition(text: str) -> object:
    query = parse(f'{{app="a"}} | {text}')
    assert isinstance(query, LogQuery)
    stage = query.stages[0]
    assert isinstance(stage, LabelFilterStage)
    return stage.condition


def _eq(name: str) -> Matcher:
    return Matcher(name, "=", "x")


def test_log_query_is_parsed_to_matchers_and_stages() -> None:
    """A log query becomes its matchers and its stages in order."""
    actual = parse('{app="a", env!~"dev|test"} |= "x" or `y` | json | logfmt --strict')
    expected = LogQuery(
        (_APP, Matcher("env", "!~", "dev|test")),
        (LineFilter("|=", ("x", "y")), JsonStage(), LogfmtStage(strict=True)),
    )
    assert expected == actual


def test_metric_query_is_parsed_to_nested_nodes() -> None:
    """An aggregation holds its operand, its grouping and its range."""
    actual = parse('sum by (env) (rate({app="a"} |= "x" [5m] offset 1m))')
    inner = RangeAggregation(
        "rate", LogQuery((_APP,), (LineFilter("|=", ("x",)),)), 5 * _MINUTE, _MINUTE
    )
    assert VectorAggregation("sum", inner, Grouping(("env",))) == actual


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('a="x" and b="x"', AllOf((_eq("a"), _eq("b"))), id="and"),
        pytest.param('a="x", b="x"', AllOf((_eq("a"), _eq("b"))), id="comma"),
        pytest.param('a="x" b="x"', AllOf((_eq("a"), _eq("b"))), id="nothing"),
        pytest.param('a="x" or b="x"', AnyOf((_eq("a"), _eq("b"))), id="or"),
        pytest.param(
            'a="x" or b="x" and c="x"',
            AnyOf((_eq("a"), AllOf((_eq("b"), _eq("c"))))),
            id="and-before-or",
        ),
        pytest.param(
            'a="x", b="x" or c="x"',
            AllOf((_eq("a"), AnyOf((_eq("b"), _eq("c"))))),
            id="comma-takes-all-that-follows",
        ),
        pytest.param(
            '(a="x" or b="x") and c="x"',
            AllOf((AnyOf((_eq("a"), _eq("b"))), _eq("c"))),
            id="parentheses",
        ),
        pytest.param("a > 1.5", Comparison("a", ">", 1.5, "number"), id="number"),
        pytest.param("a >= -2", Comparison("a", ">=", -2.0, "number"), id="negative"),
        pytest.param("a < 5ms", Comparison("a", "<", 5_000_000, "duration"), id="duration"),
        pytest.param("a != 1KB", Comparison("a", "!=", 1000, "bytes"), id="bytes"),
    ],
)
def test_label_filter_is_grouped_as_loki_groups_it(text: str, expected: object) -> None:
    """`and` binds tighter than `or`, and a comma takes everything after it."""
    assert expected == _condition(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("2 ^ 3 ^ 2", 512), ("10 - 4 - 3", 3), ("2 > 1", 1)],
)
def test_numbers_are_computed_while_parsing(text: str, expected: float) -> None:
    """An operation on two numbers becomes a number, with the usual order of operators."""
    assert Scalar(expected) == parse(text)


def test_modifiers_of_an_operation_are_kept() -> None:
    """`bool` and `on` stay with their operation."""
    actual = parse('count_over_time({app="a"}[1m]) > bool on (env) count_over_time({app="a"}[1m])')
    assert isinstance(actual, Binary)
    assert Matching(returns_bool=True, on=True, names=("env",)) == actual.matching


@pytest.mark.parametrize(
    "text",
    ['{rate="x"}', '{count!="", app="a"}', '{app="a"} | sum > 5', '{app="a"} | vector="1"'],
)
def test_function_name_may_be_a_label(text: str) -> None:
    """The name of a function is a label where no parenthesis follows."""
    parse(text)


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ('"a\\tb"', "a\tb"),
        ('"\\u00e9\\x41\\101"', "éAA"),
        ("`a\\tb`", "a\\tb"),
        ('"\\""', '"'),
        ('`"\n`', '"\n'),
    ],
)
def test_string_is_unquoted_as_go_does(literal: str, expected: str) -> None:
    """Escapes count in double quotes and not in backticks."""
    assert LogQuery((Matcher("app", "=", expected),)) == parse(f"{{app={literal}}}")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("{}", id="empty-selector"),
        pytest.param('{app=~".*"}', id="only-empty-compatible"),
        pytest.param('{app="a"', id="unclosed-brace"),
        pytest.param('{app="a}', id="unclosed-string"),
        pytest.param('{app="\\d"}', id="unknown-escape"),
        pytest.param('{app="\\ud800"}', id="surrogate"),
        pytest.param("{app='a'}", id="single-quotes"),
        pytest.param('{app="a",}', id="trailing-comma"),
        pytest.param('{by="a"}', id="keyword-as-label"),
        pytest.param('{app=~"("}', id="bad-pattern"),
        pytest.param('{app="a"} |= x', id="filter-without-string"),
        pytest.param('{app="a"} | a > x', id="comparison-with-name"),
        pytest.param('{app="a"}[5m]', id="range-outside-function"),
        pytest.param('rate({app="a"})', id="function-without-range"),
        pytest.param('rate({app="a"}[0s])', id="range-of-zero"),
        pytest.param('rate({app="a"}[5m)', id="unclosed-range"),
        pytest.param('sum({app="a"})', id="log-query-in-sum"),
        pytest.param('topk(0, rate({app="a"}[5m]))', id="topk-of-none"),
        pytest.param('sum(2, rate({app="a"}[5m]))', id="sum-with-parameter"),
        pytest.param('rate({app="a"}[5m]) or 1', id="set-with-number"),
        pytest.param('{app="a"} @', id="unknown-character"),
        pytest.param("1e999", id="number-too-large"),
        pytest.param("012", id="octal"),
        pytest.param('{app="a"} /* x', id="unclosed-comment"),
    ],
)
def test_text_that_is_no_query_is_refused(text: str) -> None:
    """What Loki refuses is refused with 400."""
    with pytest.raises(Refused) as caught:
        parse(text)
    assert caught.value.status == 400


def test_refusal_names_the_place() -> None:
    """A syntax error says where it is."""
    with pytest.raises(Refused, match=r"parse error at line 2, col 4: syntax error: unexpected"):
        parse('{app="a"}\n |=|= "x"')


@pytest.mark.parametrize(
    "stage",
    [
        '|= "a" or ip("10.0.0.1")',
        '|= ip("10.0.0.1") or "a"',
        '| logfmt a="x", b="x"',
    ],
)
def test_stage_that_loki_answers_oddly_is_refused_as_not_supported(stage: str) -> None:
    """Where Loki forgets what was written, or answers by chance, nothing is answered."""
    with pytest.raises(Refused, match="not supported by the development server"):
        parse(f'{{app="a"}} {stage}')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('|> "<_>x" or "y"', LineFilter("|>", ("<_>x", "y"))),
        ('!> "x"', LineFilter("!>", ("x",))),
        ('!= ip("::1")', IpLineFilter("!=", "::1")),
        ("| json a", JsonExpressionStage((Extraction("a", "a"),))),
        (
            '| json a="b.c", d',
            JsonExpressionStage((Extraction("a", "b.c"), Extraction("d", "d"))),
        ),
        (
            '| logfmt --keep-empty --strict a="b"',
            LogfmtExpressionStage((Extraction("a", "b"),), strict=True, keep_empty=True),
        ),
        ('| regexp "(?P<a>x)"', RegexpStage("(?P<a>x)")),
        ('| pattern "<a>"', PatternStage("<a>")),
        ("| unpack", UnpackStage()),
        ("| decolorize", DecolorizeStage()),
        ('| line_format "x"', LineFormatStage("x")),
        (
            '| label_format a=b, c="d"',
            LabelFormatStage((LabelFormat("a", "b", True), LabelFormat("c", "d", False))),
        ),
        ('| ip != ip("::1")', LabelFilterStage(IpComparison("ip", "!=", "::1"))),
    ],
)
def test_stage_is_parsed_to_its_node(text: str, expected: Stage) -> None:
    """Every stage has a node of its own."""
    query = parse(f'{{app="a"}} {text}')
    assert LogQuery((_APP,), (expected,)) == query


@pytest.mark.parametrize(
    "text",
    [
        "sum(" * 5000 + 'rate({app="a"}[1m])' + ")" * 5000,
        'rate({app="a"}[1m])' + " + 1" * 5000,
        '{app="a"} | ' + 'a="b" or (c="d" and (' * 2000 + 'a="b"' + "))" * 2000,
        '{app="a"} | ' + ",".join(['a="b"'] * 5000),
        '{app="a"} |= "' + "x" * 200_000 + '"',
        "(" * 60_000,
        '{app=~"' + "(" * 5000 + "a" + ")" * 5000 + '"}',
    ],
    ids=["sums", "sum-of-many", "conditions", "conditions-in-a-row", "long", "open", "pattern"],
)
def test_hostile_query_is_refused(text: str) -> None:
    """Depth and length are bounded, so no query exhausts the stack."""
    with pytest.raises(Refused):
        parse(text)


def test_parentheses_may_nest_deeply() -> None:
    """Parentheses alone cost no depth."""
    assert LogQuery((_APP,)) == parse("(" * 10_000 + '{app="a"}' + ")" * 10_000)


def test_longest_range_is_without_offset() -> None:
    """An offset moves what a query reads, and makes it no longer."""
    query = parse('rate({app="a"}[5m]) / rate({app="a"}[2m] offset 10m)')
    assert longest_range(query) == 5 * _MINUTE


def test_matchers_are_parsed_alone() -> None:
    """The label endpoints take a selector without a pipeline."""
    assert parse_matchers('{app="a"}') == (_APP,)
    with pytest.raises(Refused, match="only label matchers"):
        parse_matchers('{app="a"} |= "x"')
