"""Metric queries over values of labels, their operations, and what Loki makes of them."""

from __future__ import annotations

import math

import pytest

from loglane.devserver.engine import query as query_module
from loglane.devserver.engine import run_instant, run_range
from loglane.devserver.engine.query import is_sorted
from loglane.devserver.engine.window import Window
from loglane.devserver.logql import parse
from loglane.devserver.logql.nodes import Grouping, LogQuery, Matcher, RangeAggregation, Unwrap
from loglane.devserver.refusal import Refused
from loglane.devserver.store import NewEntry, Store

_SECOND = 10**9
_HOUR = 3600 * _SECOND
_VALUES = (4, 1, 9, 2, 2)


@pytest.fixture(autouse=True)
def entries(store: Store) -> None:
    """Five values a stream, ten seconds apart; stream `b` has them doubled, and lines without."""
    for app, factor in (("a", 1), ("b", 2)):
        new = [
            NewEntry(
                (number + 1) * 10 * _SECOND,
                f"v={value * factor} took={value}ms size={value}KB".encode(),
                {"id": f"{number % 2}"},
            )
            for number, value in enumerate(_VALUES)
        ]
        if app == "b":
            new.append(NewEntry(55 * _SECOND, b"nothing", None))
        store.add("t", [({"app": app, "env": "test"}, new)], _HOUR)


def _instant(store: Store, text: str, at: int = 60) -> dict[str, float]:
    query = parse(text.replace("'", '"'))
    assert not isinstance(query, LogQuery)
    result = run_instant(store, "t", query, at * _SECOND)
    assert isinstance(result, dict)
    return {",".join(value for _, value in labels): value for labels, value in result.items()}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("sum_over_time", 18),
        ("min_over_time", 1),
        ("max_over_time", 9),
        ("first_over_time", 4),
        ("last_over_time", 2),
        ("stdvar_over_time", 8.24),
        ("stddev_over_time", math.sqrt(8.24)),
        ("rate", 18 / 60),
    ],
)
def test_values_of_a_window_are_aggregated(store: Store, function: str, expected: float) -> None:
    """A range aggregation computes over the values that `unwrap` takes from a label."""
    found = _instant(store, f"{function}({{app='a'}} | logfmt | keep app, v | unwrap v [1m])")
    assert found == {"a": pytest.approx(expected)}


@pytest.mark.parametrize(
    ("quantile", "expected"), [("0", 1), ("0.5", 2), ("0.75", 4), ("0.9", 7), ("1.1", math.inf)]
)
def test_quantile_lies_between_two_values(store: Store, quantile: str, expected: float) -> None:
    """A quantile weights the two values around it; one above 1 is infinite."""
    query = f"quantile_over_time({quantile}, {{app='a'}} | logfmt | unwrap v [1m]) by (app)"
    assert _instant(store, query) == {"a": pytest.approx(expected)}


@pytest.mark.parametrize(
    ("unwrap", "expected"),
    [("duration(took)", 0.009), ("duration_seconds(took)", 0.009), ("bytes(size)", 9000)],
)
def test_units_are_converted(store: Store, unwrap: str, expected: float) -> None:
    """A duration counts in seconds and a size in bytes."""
    query = f"max_over_time({{app='a'}} | logfmt | unwrap {unwrap} [1m]) by (app)"
    assert _instant(store, query) == {"a": expected}


def test_line_without_the_label_is_left_out(store: Store) -> None:
    """A line that lacks the label gives no sample, and is no error."""
    query = "sum by (app) (sum_over_time({env='test'} | logfmt | unwrap v [1m]))"
    assert _instant(store, query) == {"a": 18, "b": 36}
    store.add("t", [({"app": "c"}, [NewEntry(50 * _SECOND, b"v=", None)])], _HOUR)
    empty = "sum_over_time({app='c'} | logfmt --keep-empty | unwrap v [1m])"
    assert _instant(store, empty) == {}


def test_value_that_is_no_number_fails_the_query(store: Store) -> None:
    """A value that cannot be converted is an error, unless a filter after `unwrap` drops it."""
    query = "sum(sum_over_time({app='a'} | logfmt | unwrap took [1m]))"
    with pytest.raises(Refused, match="pipeline error: 'SampleExtractionErr'"):
        _instant(store, query)
    assert _instant(store, query.replace(" [", " | __error__='' [")) == {}


def test_filter_after_unwrap_chooses_samples(store: Store) -> None:
    """Label filters after `unwrap` all have to pass."""
    query = "sum(sum_over_time({env='test'} | logfmt | unwrap v | id='0' | app='b' [1m]))"
    assert _instant(store, query) == {"": 30}


def test_average_of_groups_counts_every_line(store: Store) -> None:
    """Grouped, Loki divides by all lines; alone or in a sum, by those with the label."""
    average = "avg_over_time({app='b'} | logfmt | unwrap v [1m]) by (app)"
    assert _instant(store, average) == {"b": pytest.approx(36 / 6)}
    assert _instant(store, f"sum by (app) ({average})") == {"b": pytest.approx(36 / 5)}


def test_counter_that_starts_again_keeps_its_rate(store: Store) -> None:
    """A fall of a counter counts as a start at zero."""
    lines = [
        NewEntry((n + 1) * 10 * _SECOND, f"v={v}".encode(), None) for n, v in enumerate((5, 8, 2))
    ]
    store.add("t", [({"app": "counter"}, lines)], _HOUR)
    query = "rate_counter({app='counter'} | logfmt | unwrap v [1m])"
    # Five more from 5 to 8 and 0 to 2; nearly nothing is added for the 60 s before the first.
    assert _instant(store, query) == {"counter": pytest.approx(5 / 60, rel=1e-5)}


def test_absence_is_labelled_by_equality(store: Store) -> None:
    """What is absent has the labels that the selector asks to be equal, each once."""
    query = "absent_over_time({app='none', env='x', env!='y', x='1', x='2'}[1m])"
    assert _instant(store, query) == {"none": 1}
    assert _instant(store, "absent_over_time({app='a'}[1m])") == {}


def test_deviation_of_a_vector_is_grouped(store: Store) -> None:
    """`stdvar` and `stddev` aggregate the series of a group."""
    query = "({env='test'} | logfmt | keep app, v, env | unwrap v [1m])"
    assert _instant(store, f"stdvar by (env) (sum_over_time{query})") == {"test": 81}
    assert _instant(store, f"stddev by (env) (sum_over_time{query})") == {"test": 9}


def test_sort_gives_series_in_order_of_values(store: Store) -> None:
    """The order of an instant answer is that of the values when the query sorts."""
    series = "sum by (app) (sum_over_time({env='test'} | logfmt | unwrap v [1m]))"
    assert list(_instant(store, f"sort({series})")) == ["a", "b"]
    assert list(_instant(store, f"sort_desc({series})")) == ["b", "a"]
    assert is_sorted(parse(f"sort({series.replace(chr(39), chr(34))}) * 2"))  # type: ignore[arg-type]
    assert not is_sorted(parse(series.replace("'", '"')))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("replacement", "pattern", "expected"),
    [
        ("$1", "(.).*", {"a,a": 5, "b,b": 6}),
        ("<${name}>", "(?P<name>a)", {"a,<a>": 5, "b": 6}),
        ("$$$1x", "(a)", {"a,$": 5, "b": 6}),
        ("", ".*", {"a": 5, "b": 6}),
    ],
    ids=["group", "name", "longest-name", "empty"],
)
def test_label_is_replaced(
    store: Store, replacement: str, pattern: str, expected: dict[str, float]
) -> None:
    """Groups are put into the new label; series that do not match stay."""
    counted = "sum by (app) (count_over_time({env='test'}[1m]))"
    query = f"label_replace({counted}, 'new', '{replacement}', 'app', '{pattern}')"
    assert _instant(store, query) == expected


def test_label_replace_that_joins_series_is_refused(store: Store) -> None:
    """Two series of the same labels are never answered."""
    counted = "sum by (app) (count_over_time({env='test'}[1m]))"
    with pytest.raises(Refused, match="development server"):
        _instant(store, f"label_replace({counted}, 'app', 'x', 'app', '.*')")


@pytest.mark.parametrize(
    ("query", "allowed"),
    [
        ("count_over_time({env='test'}[1m])", False),
        ("topk(1, count_over_time({env='test'}[1m]))", False),
        ("stddev(count_over_time({env='test'}[1m]))", False),
        ("sum(count_over_time({env='test'}[1m]))", True),
        ("count(count_over_time({env='test'}[1m]))", True),
        ("sum by (app) (rate({env='test'}[1m])) or sum by (id) (rate({env='test'}[1m]))", False),
    ],
)
def test_series_are_limited_where_loki_limits_them(
    store: Store, monkeypatch: pytest.MonkeyPatch, query: str, allowed: bool
) -> None:
    """The limit counts for the answer and for each part that Loki runs on its own."""
    monkeypatch.setattr(query_module, "MAX_SERIES", 3)
    if allowed:
        assert len(_instant(store, query)) == 1
    else:
        with pytest.raises(Refused, match=r"maximum number of series \(3\) reached"):
            _instant(store, query)


def test_long_instant_query_is_cut_into_hours(store: Store) -> None:
    """The maximum of counts over two hours is the sum of both hours' maxima, as in Loki."""
    later = [NewEntry(_HOUR + n * _SECOND, b"x", {"id": "late"}) for n in range(1, 9)]
    store.add("t", [({"app": "a", "env": "test"}, later)], 2 * _HOUR)
    counts = "count_over_time({app='a'}[2h])"
    assert _instant(store, f"max({counts})", at=3660) == {"": 3 + 8}
    assert _instant(store, f"sum({counts})", at=3660) == {"": 13}
    matrix = run_range(store, "t", parse(f"max({counts})".replace("'", '"')), Window.at(_HOUR * 2))  # type: ignore[arg-type]
    assert matrix == {(): [(_HOUR * 2, 8.0)]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum by (app) (count_over_time({env='test'} | drop __error__ [1m]))", {"a": 5, "b": 6}),
        ("sum without (id) (count_over_time({env='test'}[1m]))", {"a,test": 5, "b,test": 6}),
        ("sum(rate({env='test'}[1m]))", {"": 11 / 60}),
        ("sum by (app) (bytes_over_time({env='test'}[20s]))", {"a": 21, "b": 28}),
    ],
    ids=["log-volume", "without-metadata", "rate", "bytes"],
)
def test_lines_are_counted_unread(
    store: Store, monkeypatch: pytest.MonkeyPatch, query: str, expected: dict[str, float]
) -> None:
    """A count by labels of the streams reads no line, also behind Grafana's `drop __error__`."""
    monkeypatch.setattr(store, "read", None)
    assert _instant(store, query) == expected


@pytest.mark.parametrize(
    "text",
    ["vector(0) ^ -1", "vector(10) ^ 400", "vector(1e300) * 1e300"],
)
def test_operation_that_overflows_is_infinite(store: Store, text: str) -> None:
    """Python raises where Go's floats go on."""
    assert _instant(store, text) == {"": math.inf}


def test_root_of_a_negative_number_is_no_number(store: Store) -> None:
    """A negative base has no fractional power."""
    assert math.isnan(_instant(store, "(vector(1) - 5) ^ 0.5")[""])


def test_range_of_values_is_parsed() -> None:
    """`unwrap`, the filters after it, the parameter and the grouping belong to the range."""
    actual = parse(
        'quantile_over_time(0.9, {app="a"} | unwrap bytes(size) | x="1" | y="2" [5m]) by (app)'
    )
    filters = (Matcher("x", "=", "1"), Matcher("y", "=", "2"))
    expected = RangeAggregation(
        "quantile_over_time",
        LogQuery((Matcher("app", "=", "a"),)),
        300 * _SECOND,
        unwrap=Unwrap("size", "bytes", filters),
        grouping=Grouping(("app",)),
        parameter=0.9,
    )
    assert expected == actual


@pytest.mark.parametrize(
    "text",
    [
        '{app="a"} | unwrap v',
        'sum_over_time({app="a"} | unwrap v | unwrap v [1m])',
        'sum_over_time({app="a"} | unwrap v | logfmt [1m])',
        'sum_over_time(({app="a"} | logfmt)[1m] | unwrap v)',
        'sum_over_time(({app="a"})[1m] | logfmt)',
        'sum_over_time({app="a"}[1m])',
        'bytes_rate({app="a"} | unwrap v [1m])',
        'sum_over_time({app="a"} | unwrap v [1m]) by (app)',
        'quantile_over_time({app="a"} | unwrap v [1m])',
        'rate(1, {app="a"}[1m])',
        'sort by (app) (rate({app="a"}[1m]))',
        'sort(1, rate({app="a"}[1m]))',
        'label_replace(vector(1), "a", "b", "c", "(")',
        'label_replace(vector(1), "a", "b", "c")',
    ],
)
def test_parts_that_do_not_go_together_are_refused(text: str) -> None:
    """What Loki refuses of a metric query is refused with 400."""
    with pytest.raises(Refused) as caught:
        parse(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "text",
    [
        'approx_topk(2, rate({app="a"}[1m]))',
        'rate({app="a"}[1m]) * on (x) group_left rate({app="a"}[1m])',
        'variants(rate({app="a"}[1m])) of ({app="a"}[1m])',
    ],
)
def test_rare_operations_are_refused_as_not_supported(text: str) -> None:
    """What this server does not know, it says so."""
    with pytest.raises(Refused, match="not supported by the development server"):
        parse(text)
