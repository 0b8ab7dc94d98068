"""Streams and entries in SQLite."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from loglane.devserver.logql.nodes import Matcher
from loglane.devserver.store import NewEntry, Store, Stream, schema
from loglane.errors import LoglaneError

_HOUR = 3600 * 10**9
_ALL = (-(2**63), 2**63 - 1)


def _add(store: Store, app: str, *entries: tuple[int, str], tenant: str = "t") -> None:
    new = [NewEntry(ts, line.encode(), None) for ts, line in entries]
    store.add(tenant, [({"app": app}, new)], _HOUR)


def _streams(store: Store, tenant: str = "t") -> list[Stream]:
    return store.select(tenant, (), *_ALL)


def _lines(store: Store, *, backward: bool = False) -> list[str]:
    (stream,) = _streams(store)
    return [entry.line for entry in store.read(stream, *_ALL, backward=backward)]


def test_entries_come_in_order_of_time_then_of_arrival(store: Store) -> None:
    """Entries of one nanosecond keep the order of their arrival, in both directions."""
    _add(store, "a", (2, "b"), (1, "a"), (2, "a"), (2, "c"))
    assert _lines(store) == ["a", "b", "a", "c"]
    assert _lines(store, backward=True) == ["c", "a", "b", "a"]


def test_entry_pushed_twice_is_stored_once(store: Store) -> None:
    """The same timestamp, line and metadata in one stream is one entry."""
    for metadata in (None, None, {"id": "1"}, {"id": "1"}, {"id": "2"}):
        store.add("t", [({"app": "a"}, [NewEntry(1, b"x", metadata)])], _HOUR)
    (stream,) = _streams(store)
    assert [entry.metadata for entry in store.read(stream, *_ALL)] == [{}, {"id": "1"}, {"id": "2"}]


def test_range_includes_its_start_and_excludes_its_end(store: Store) -> None:
    """A read takes `start <= ts < end`."""
    _add(store, "a", (1, "1"), (2, "2"), (3, "3"))
    (stream,) = _streams(store)
    assert [entry.ts for entry in store.read(stream, 1, 3)] == [1, 2]


def test_entry_far_behind_its_stream_is_left_out(store: Store) -> None:
    """An entry more than the window older than the newest of its stream is reported back."""
    _add(store, "a", (2 * _HOUR, "new"))
    entries = [NewEntry(_HOUR - 1, b"late", None), NewEntry(_HOUR, b"ok", None)]
    behind = store.add("t", [({"app": "a"}, entries)], _HOUR)
    assert [(b.entries, b.total) for b in behind] == [([(_HOUR - 1, _HOUR)], 2)]
    assert _lines(store) == ["ok", "new"]


def test_tenants_are_separate(store: Store) -> None:
    """A tenant sees nothing of another."""
    _add(store, "a", (1, "x"), tenant="one")
    assert _streams(store, "two") == []
    assert [stream.labels for stream in _streams(store, "one")] == [{"app": "a"}]


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        (Matcher("app", "=", "a"), ["a"]),
        (Matcher("app", "=~", "a|b"), ["a", "b"]),
        (Matcher("app", "!=", "a"), ["b", "c"]),
        (Matcher("app", "!~", "a|b"), ["c"]),
        (Matcher("env", "=", ""), ["a", "b", "c"]),
        (Matcher("env", "!=", ""), []),
        (Matcher("env", "=~", ".*"), ["a", "b", "c"]),
    ],
)
def test_index_selects_streams(store: Store, matcher: Matcher, expected: list[str]) -> None:
    """A matcher selects streams by their labels; an absent label counts as empty."""
    for app in "abc":
        _add(store, app, (1, "x"))
    assert [stream.labels["app"] for stream in store.select("t", [matcher], *_ALL)] == expected


def test_stream_outside_of_the_range_is_not_selected(store: Store) -> None:
    """Streams without an entry that could lie in the range are left out."""
    _add(store, "a", (5, "x"))
    assert store.select("t", (), 6, 10) == []
    assert len(store.select("t", (), 5, 6)) == 1


def test_read_that_stops_early_reads_a_portion(store: Store) -> None:
    """A caller that takes a few entries does not read the others."""
    _add(store, "a", *((ts, "x") for ts in range(5000)))
    asked: list[str] = []
    store._connection.set_trace_callback(asked.append)
    (stream,) = _streams(store)
    entries = store.read(stream, *_ALL)
    assert [next(entries).ts for _ in range(3)] == [0, 1, 2]
    assert len(asked) == 1
    assert sum(1 for _ in entries) == 4997
    assert len(asked) == 4


def test_entries_are_measured(store: Store) -> None:
    """Entries and bytes of lines are counted in a range."""
    _add(store, "a", (1, "é"), (2, "xyz"), (3, "x"))
    assert store.measure(_streams(store), 1, 3) == (2, 5)


def test_file_keeps_its_entries(tmp_path: Path) -> None:
    """A database file has its entries when it is opened again, and takes more in order."""
    path = str(tmp_path / "logs.db")
    first = Store(path)
    _add(first, "a", (1, "before"))
    first.close()
    second = Store(path)
    _add(second, "a", (1, "after"), (1, "before"))
    assert _lines(second) == ["before", "after"]
    second.close()


def test_file_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database of another version of the server is not touched."""
    path = str(tmp_path / "logs.db")
    Store(path).close()
    monkeypatch.setattr(schema, "VERSION", 99)
    with pytest.raises(LoglaneError, match=r"version 2, not of version 99"):
        Store(path)


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """A SQLite file with other tables is not touched."""
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (id INTEGER)")
    connection.close()
    with pytest.raises(LoglaneError, match="not of version"):
        Store(str(path))


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file of something else gives an error that names it."""
    path = tmp_path / "notes.txt"
    path.write_text("hello " * 1000, encoding="utf-8")
    with pytest.raises(LoglaneError, match=r"notes\.txt.*not a database"):
        Store(str(path))


@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_file_of_another_server_is_refused(tmp_path: Path, *, used: bool) -> None:
    """A file is open in one server only, for the other would not see what that one stores."""
    path = str(tmp_path / "logs.db")
    if used:
        Store(path).close()
    first = Store(path)
    with pytest.raises(LoglaneError, match=r"logs\.db is open in another server"):
        Store(path)
    _add(first, "a", (1, "kept"))
    first.close()
    second = Store(path)
    assert _lines(second) == ["kept"]
    second.close()


def test_file_in_a_missing_directory_is_refused(tmp_path: Path) -> None:
    """A path that cannot be opened gives an error that says what to do."""
    with pytest.raises(LoglaneError, match="existing, writable directory"):
        Store(str(tmp_path / "missing" / "logs.db"))


def test_failed_push_leaves_nothing_behind(store: Store) -> None:
    """When storing fails, neither the tables nor the index keep a part of the push."""
    broken = [NewEntry(1, b"ok", None), NewEntry(2, 5, None)]  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        store.add("t", [({"app": "a"}, broken)], _HOUR)
    assert _streams(store) == []
    _add(store, "a", (1, "again"))
    assert _lines(store) == ["again"]


def test_threads_may_write_and_read_at_once(store: Store) -> None:
    """Writers and readers in several threads lose nothing."""

    def write(app: str) -> None:
        for ts in range(200):
            _add(store, app, (ts, f"{app}{ts}"))
            for stream in _streams(store):
                next(store.read(stream, *_ALL), None)

    threads = [threading.Thread(target=write, args=(app,)) for app in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.measure(_streams(store), *_ALL)[0] == 800
