"""Queries over a store."""

from __future__ import annotations

import math

import pytest

from loglane.devserver.engine import run_instant, run_range
from loglane.devserver.engine.streams import run_log_query
from loglane.devserver.engine.window import Window
from loglane.devserver.logql import parse
from loglane.devserver.logql.nodes import LogQuery
from loglane.devserver.refusal import Refused
from loglane.devserver.store import NewEntry, Store

_SECOND = 10**9
_HOUR = 3600 * _SECOND


@pytest.fixture(autouse=True)
def entries(store: Store) -> None:
    """Two streams: `a` every 10 s and `b` every 20 s, during 100 s."""
    for app, step in (("a", 10), ("b", 20)):
        new = [
            NewEntry(
                second * _SECOND,
                f'{{"n":{second},"even":{second % 20 == 0:d}}}'.encode(),
                {"id": app},
            )
            for second in range(0, 100, step)
        ]
        store.add("t", [({"app": app, "env": "test"}, new)], _HOUR)


def _log(store: Store, text: str, *, limit: int = 100, backward: bool = False) -> list[int]:
    query = parse(text)
    assert isinstance(query, LogQuery)
    streams = run_log_query(
        store, "t", query, start_ns=0, end_ns=_HOUR, limit=limit, backward=backward, categorise=True
    )
    return sorted(entry.ts // _SECOND for stream in streams for entry in stream.entries)


def _instant(store: Store, text: str, at: int = 100) -> dict[str, float] | float:
    query = parse(text)
    assert not isinstance(query, LogQuery)
    result = run_instant(store, "t", query, at * _SECOND)
    if isinstance(result, float):
        return result
    return {",".join(value for _, value in labels): value for labels, value in result.items()}


def test_limit_takes_the_first_entries_of_all_streams(store: Store) -> None:
    """The limit counts over all streams, in the direction of the query."""
    assert _log(store, '{env="test"}', limit=3) == [0, 0, 10]
    assert _log(store, '{env="test"}', limit=3, backward=True) == [80, 80, 90]


def test_limit_counts_after_the_filters(store: Store) -> None:
    """Lines that a filter drops do not count."""
    assert _log(store, '{app="a"} | json | n >= 50', limit=2) == [50, 60]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum by (app) (count_over_time({env='test'}[1h]))", {"a": 10, "b": 5}),
        ("sum(count_over_time({env='test'}[1h]))", {"": 15}),
        ("count_over_time({app='a'}[40s]) > 2", {"a,test,a": 3}),
        ("sum(count_over_time({app='a'}[30s] offset 30s))", {"": 3}),
        ("sum(rate({app='a'}[100s]))", {"": 0.09}),
        ("sum(bytes_over_time({app='a'}[11s]))", {"": 17}),
        ("avg(sum by (app) (count_over_time({env='test'}[1h])))", {"": 7.5}),
        ("max(sum by (app) (count_over_time({env='test'}[1h])))", {"": 10}),
        ("min(sum by (app) (count_over_time({env='test'}[1h])))", {"": 5}),
        ("count(sum by (app) (count_over_time({env='test'}[1h])))", {"": 2}),
        ("topk(1, sum by (app) (count_over_time({env='test'}[1h])))", {"a": 10}),
        ("bottomk(1, sum by (app) (count_over_time({env='test'}[1h])))", {"b": 5}),
        ("sum by (even) (count_over_time({app='a'} | json [1h]))", {"0": 5, "1": 5}),
        ("sum without (id, env) (count_over_time({app='a'}[1h]))", {"a": 10}),
        ("sum(count_over_time({app='a'}[1h])) / 4", {"": 2.5}),
        ("100 - sum(count_over_time({app='a'}[1h]))", {"": 90}),
        ("sum by (app) (count_over_time({env='test'}[1h])) > 5", {"a": 10}),
        ("sum by (app) (count_over_time({env='test'}[1h])) > bool 5", {"a": 1, "b": 0}),
        (
            "sum(count_over_time({app='a'}[1h])) / sum(count_over_time({app='b'}[1h]))",
            {"": 2},
        ),
        ("sum(count_over_time({app='none'}[1h])) or vector(0)", {"": 0}),
        (
            "sum by (app) (count_over_time({env='test'}[1h])) "
            "unless sum by (app) (count_over_time({app='a'}[1h]))",
            {"b": 5},
        ),
        (
            "sum by (app) (count_over_time({env='test'}[1h])) "
            "and sum by (app) (count_over_time({app='a'}[1h]))",
            {"a": 10},
        ),
        ("2 * 3", 6.0),
    ],
)
def test_instant_query_is_computed(
    store: Store, text: str, expected: dict[str, float] | float
) -> None:
    """A metric query has the value of its window at one instant."""
    assert _instant(store, text.replace("'", '"')) == expected


def test_window_is_open_at_its_start_and_closed_at_its_end(store: Store) -> None:
    """A line at the end of the window counts, one at its start does not."""
    assert _instant(store, 'sum(count_over_time({app="a"}[20s]))', at=50) == {"": 2}


def test_division_by_zero_is_not_a_number(store: Store) -> None:
    """Loki gives NaN, where Prometheus gives infinity."""
    result = _instant(store, 'sum(count_over_time({app="a"}[1h])) / 0')
    assert isinstance(result, dict)
    assert math.isnan(result[""])


def test_range_query_has_a_sample_at_each_step_with_lines(store: Store) -> None:
    """A step without lines in its window has no sample."""
    query = parse('sum(count_over_time({app="b"}[10s]))')
    assert not isinstance(query, LogQuery)
    window = Window(0, 60 * _SECOND, 10 * _SECOND)
    expected = {(): [(second * _SECOND, 1.0) for second in (0, 20, 40, 60)]}
    assert run_range(store, "t", query, window) == expected


def test_window_is_aligned_to_its_step() -> None:
    """The start moves back and the end forward to a multiple of the step."""
    assert Window(13, 47, 10).aligned() == Window(10, 50, 10)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ('count_over_time({app="x"} | json [1h])', True),
        ('count_over_time({app="x"} | json | __error__="" [1h])', False),
        ('sum(count_over_time({app="x"} | json [1h]))', False),
        ('sum by (n) (count_over_time({app="x"} | json [1h]))', True),
        ('sum by (__error__) (count_over_time({app="x"} | json | __error__!="" [1h]))', False),
    ],
)
def test_pipeline_error_fails_a_metric_query(store: Store, text: str, refused: bool) -> None:
    """A line with an error in the window fails the query, unless nothing was to be parsed."""
    store.add("t", [({"app": "x"}, [NewEntry(_SECOND, b"broken", None)])], _HOUR)
    if refused:
        with pytest.raises(Refused, match="pipeline error: 'JSONParserErr'"):
            _instant(store, text)
    else:
        _instant(store, text)


def test_series_that_match_twice_are_refused(store: Store) -> None:
    """Vectors match one to one only."""
    many = 'sum by (app) (count_over_time({env="test"}[1h]))'
    with pytest.raises(Refused, match="multiple matches") as caught:
        _instant(store, f"{many} + on () vector(1)")
    assert caught.value.status == 500
    with pytest.raises(Refused, match="duplicate series on the right"):
        _instant(store, f"vector(1) + on () {many}")
