"""What a query tells the store, and what it answers without reading lines."""

from __future__ import annotations

import pytest

from loglane.devserver.engine import run_instant, samples
from loglane.devserver.engine import streams as log_queries
from loglane.devserver.engine.pushdown import prefilter
from loglane.devserver.engine.streams import run_log_query
from loglane.devserver.logql import parse
from loglane.devserver.logql.nodes import LogQuery
from loglane.devserver.refusal import Refused
from loglane.devserver.store import EVERYTHING, NewEntry, Store, Stream

_STREAM = Stream(1, {"app": "a"})
_HOUR = 3600 * 10**9


def _stages(text: str) -> LogQuery:
    query = parse('{app="a"} ' + text)
    assert isinstance(query, LogQuery)
    return query


@pytest.mark.parametrize(
    ("text", "lines", "metadata"),
    [
        ('|= "x"', ((b"x",),), ()),
        ('|= "x" |= "ä"', ((b"x",), ("ä".encode(),)), ()),
        ('|= "x" or "y"', ((b"x", b"y"),), ()),
        ('|= "x" or ""', (), ()),
        ('!= "x"', (), ()),
        ('|~ "good|bad"', ((b"good", b"bad"),), ()),
        ('|~ "(?i)x"', (), ()),
        ('|~ "x.+"', (), ()),
        ('| json |= "x"', ((b"x",),), ()),
        ('| id="1"', (), ((b'"1"',),)),
        ('| id="1", user=`a"b`', (), ((b'"1"',), (b'"a\\"b"',))),
        ('| id="1" or user="2"', (), ((b'"1"', b'"2"'),)),
        ('| id="1" or user!="2"', (), ()),
        ('| id="1" or app="2"', (), ()),
        ('| id!="1"', (), ()),
        ('| id=""', (), ()),
        ('| app="a"', (), ()),
        ('| json | id="1"', (), ()),
        ('| __error__="x"', (), ()),
    ],
)
def test_query_tells_what_it_needs(
    text: str, lines: tuple[tuple[bytes, ...], ...], metadata: tuple[tuple[bytes, ...], ...]
) -> None:
    """Only what is certain is told: text of the line, and values of the metadata."""
    assert prefilter(_stages(text).stages, _STREAM) == (lines, metadata)


@pytest.fixture
def filled(store: Store) -> Store:
    """Lines of two streams, in many blocks, some with metadata of awkward names."""
    kinds = [None, {"id": "1"}, {"id": "2", "app": "other"}, {"level": "warn"}]
    for number in range(40):
        for app in "ab":
            level = {"level": "info"} if app == "a" else {}
            labels = {"app": app, "env": app * 2, **level}
            line = f'{{"n":{number},"id":"{number % 3}"}} bo{"om" * (number % 2)}'
            entry = NewEntry(number * 10**9, line.encode(), kinds[number % 4])
            store.add("t", [(labels, [entry])], _HOUR)
    return store


@pytest.mark.parametrize(
    "text",
    [
        '|= "boom"',
        '|~ "boom|9"',
        '| id="1"',
        '| id="2" | app_extracted="other"',
        '| level="warn"',
        '|= "boom" | json | id="1"',
        '| id="1" or id="2" |= "boom"',
    ],
)
def test_prefilter_changes_no_answer(
    filled: Store, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A query answers the same when the store leaves nothing out."""

    def ask() -> object:
        query = parse('{app=~"a|b"} ' + text)
        assert isinstance(query, LogQuery)
        return run_log_query(
            filled, "t", query, start_ns=0, end_ns=_HOUR, limit=50, backward=True, categorise=True
        )

    answer = ask()
    monkeypatch.setattr(log_queries, "prefilter", lambda *_: EVERYTHING)
    assert answer == ask()
    assert answer


@pytest.mark.parametrize(
    "text",
    [
        'count_over_time({app=~".+"}[1h])',
        'sum(count_over_time({app=~".+"}[1h]))',
        'sum by (app) (rate({app=~".+"}[1h]))',
        'sum by (level) (bytes_over_time({app=~".+"}[1h]))',
        'sum by (id) (count_over_time({app=~".+"}[1h]))',
        'sum by (app_extracted) (count_over_time({app=~".+"}[1h]))',
        'sum without (id) (count_over_time({app=~".+"}[1h]))',
        'bytes_rate({app=~".+"}[1h])',
        'count(count_over_time({app=~".+"}[1h]))',
        'sum by (env) (count_over_time({app=~".+"} |~ "(?i)" |= "" | drop __error__ [1h]))',
    ],
)
def test_counting_without_lines_changes_no_answer(
    filled: Store, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A count answers the same when every line is read for it."""

    def ask() -> object:
        query = parse(text)
        assert not isinstance(query, LogQuery)
        return run_instant(filled, "t", query, 50 * 10**9)

    answer = ask()
    monkeypatch.setattr(samples, "leaves_lines", lambda _node: False)
    assert answer == ask()
    assert answer


def test_count_by_labels_reads_no_text(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count by stream labels needs the times only, also of lines with metadata."""
    query = parse('sum by (env) (count_over_time({app=~".+"}[1h]))')
    assert not isinstance(query, LogQuery)

    def fail(*_args: object, **_more: object) -> None:
        raise AssertionError("lines were read")

    monkeypatch.setattr(filled, "read", fail)
    assert run_instant(filled, "t", query, 50 * 10**9) == {
        (("env", "aa"),): 40.0,
        (("env", "bb"),): 40.0,
    }


def test_error_in_metadata_is_read(store: Store) -> None:
    """A line that says itself that it has an error fails a count, as when it is read."""
    entry = NewEntry(10**9, b"x", {"__error__": "Mine"})
    store.add("t", [({"app": "a"}, [entry])], _HOUR)
    query = parse('sum(count_over_time({app="a"}[1h]))')
    assert not isinstance(query, LogQuery)
    with pytest.raises(Refused, match="pipeline error: 'Mine'"):
        run_instant(store, "t", query, 2 * 10**9)
