"""Queries are rendered in the order that reads least, and refuse what cannot be asked."""

from __future__ import annotations

from enum import Enum
from uuid import UUID

import pytest

from loglane.query import Query
from loglane.query.filters import Filters, Places
from loglane.query.logql import is_log_query
from loglane.query.quoting import quote, quote_pattern

ID = "550e8400-e29b-41d4-a716-446655440000"


class Colour(Enum):
    """An enumeration of an app."""

    RED = "red"


def rendered(**filters) -> str:
    named = {
        name: filters.pop(name) for name in ("level", "contains", "matches") if name in filters
    }
    return str(Filters(**named, fields=filters).query(Places(), Query()))


def test_stages_stand_in_the_order_that_reads_least():
    """Selector, text of the line, structured metadata, and only then the line's JSON."""
    query = (
        Query().field("portfolio_id", "p 1").metadata("trace_id", "t").matches("a+").contains("b")
        .label("service", "api").label("level", "error", "critical")
    )  # fmt: skip
    assert (
        '{service="api", level=~"error|critical"} |= "p 1" |~ "a+" |= "b" | trace_id="t" '
        '| json _field_0="[\\"portfolio_id\\"]" | _field_0="p 1"'
    ) == str(query)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, '{service=~".+"}'),
        ({"level": "ERROR"}, '{level="error"}'),
        ({"level": ["warn", "FATAL"]}, '{level=~"warning|critical"}'),
        ({"env": None}, '{env=""}'),
        ({"container_name": "a.b"}, '{container_name="a.b"}'),
        ({"container_name": ["a.b", "c"]}, '{container_name=~"a\\\\.b|c"}'),
        ({"trace_id": ["a", "b"]}, '{service=~".+"} | trace_id="a" or trace_id="b"'),
        ({"user_id": 7}, '{service=~".+"} | user_id="7"'),
        ({"request_id": None}, '{service=~".+"} | request_id=""'),
        ({"contains": ["a", "b"]}, '{service=~".+"} |= "a" |= "b"'),
        ({"contains": ()}, '{service=~".+"}'),
    ],
    ids=str,
)
def test_contract_field_goes_to_its_place(filters, expected):
    """Labels are selected, ids are structured metadata, text is the line's."""
    assert expected == rendered(**filters)


@pytest.mark.parametrize(
    ("value", "stages"),
    [
        ("a b", '|= "a b" {json} | _field_0="a b"'),
        (UUID(ID), f'|= "{ID}" {{json}} | _field_0="{ID}"'),
        (Colour.RED, '|= "red" {json} | _field_0="red"'),
        ("é/", '{json} | _field_0="é/"'),
        (["a", "b"], '|~ "a|b" {json} | _field_0="a" or _field_0="b"'),
        (["a", 1], '{json} | _field_0="a" or _field_0="1" or _field_0 == 1'
                   ' | __error__!="LabelFilterErr"'),
        (True, '|= "true" {json} | _field_0="true"'),
        (5, '{json} | _field_0="5" or _field_0 == 5 | __error__!="LabelFilterErr"'),
        (2**60, f'{{json}} | _field_0="{2**60}" | __error__!="LabelFilterErr"'),
        (-0.5, '{json} | _field_0 == -0.5 | __error__!="LabelFilterErr"'),
        (None, '|~ "(?:\\"x\\")\\\\s*:\\\\s*null" {json} | _field_0="" | __error__=""'),
        ("", '|~ "(?:\\"x\\")\\\\s*:\\\\s*\\"\\"" {json} | _field_0="" | __error__=""'),
    ],
    ids=str,
)  # fmt: skip
def test_body_field_compares_as_json_gives_it(value, stages):
    """Text that JSON never escapes is looked for in the line before anything is parsed."""
    stages = stages.replace("{json}", '| json _field_0="[\\"x\\"]"')
    assert f'{{service=~".+"}} {stages}' == rendered(x=value)


def test_dotted_field_is_a_key_or_a_path():
    """`a.b` is asked for as both, by names of its own that no other field can take."""
    assert (
        '{service=~".+"} |= "v" | json _field_0="[\\"a.b\\"]", _field_0_path="[\\"a\\"][\\"b\\"]" '
        '| _field_0="v" or _field_0_path="v"'
    ) == rendered(**{"a.b": "v"})


@pytest.mark.parametrize(
    ("filters", "error"),
    [
        ({'a"b': 1}, ValueError), ({"a]": 1}, ValueError), ({"": 1}, ValueError),
        ({"x": float("nan")}, ValueError), ({"x": []}, ValueError), ({"x": [None, 1]}, ValueError),
        ({"x": "\ud800"}, ValueError), ({"env": "\udfff"}, ValueError),
        ({"contains": "\ud800"}, ValueError), ({"matches": "\ud800"}, ValueError),
        ({"x\ud800": "a"}, ValueError), ({"x": b"a"}, TypeError), ({"x": {"a": 1}}, TypeError),
        ({"x": object()}, TypeError), ({"level": 40}, TypeError),
    ],
    ids=ascii,
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(filters, error):
    """Nothing is sent that would be answered wrongly."""
    with pytest.raises(error):
        rendered(**filters)


def test_name_of_a_label_is_checked():
    """A name is never quoted, so it must be one."""
    for make in (Query().label, Query().metadata):
        with pytest.raises(ValueError, match="no name of a label"):
            make('a="b"} | x', "v")
    with pytest.raises(ValueError, match="no name of a label"):
        Query().count(1000, ["a) or vector(1"])


def test_metric_wrappers():
    """Counts and bytes are sums over a range, by group."""
    query = Query().label("env", "dev")
    assert 'sum (count_over_time({env="dev"} [1000ms]))' == query.count(1000)
    assert 'sum by (a, b) (bytes_over_time({env="dev"} [5ms]))' == query.measure(5, ["a", "b"])


def test_query_is_never_changed():
    """Each step gives a new query."""
    base = Query().label("env", "dev")
    base.contains("x").field("y", 1)
    assert '{env="dev"}' == str(base)


@pytest.mark.parametrize(
    ("logql", "expected"),
    [
        ('{a="b"}', True), (' # c\n ({a="b"} |= "x")', True),
        ('count_over_time({a="b"}[1m])', False),
        ("(1)", False), ("# {", False), ("", False),
    ],
    ids=str,
)  # fmt: skip
def test_kind_of_a_query_is_told_by_its_beginning(logql, expected):
    """Only what selects lines begins with a selector."""
    assert expected == is_log_query(logql)


def test_quoting():
    """Control characters and what does not print are escaped, other text is left as it is."""
    assert '"a\\"\\\\\\n\\u0000\\u2028é😀"' == quote('a"\\\n\0\u2028é😀')
    assert r"a\.b\|c-d" == quote_pattern("a.b|c-d")
