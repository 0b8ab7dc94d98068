"""What the store keeps in blocks is what a plain list would have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from loglane.devserver.store import EVERYTHING, Entry, NewEntry, Prefilter, Store, Stream
from loglane.devserver.store.block import MAX_BYTES, MAX_ENTRIES

_ALL = (-(2**63), 2**63 - 1)
_FOREVER = 2**62

_WORDS = st.sampled_from(["boom", "bo", "om", "ok", "", "ä☃", "x\ny"])
_ENTRIES = st.lists(
    st.builds(
        lambda ts, words, trace: NewEntry(ts, " ".join(words).encode(), trace),
        st.integers(0, 40),
        st.lists(_WORDS, max_size=3),
        st.sampled_from([None, None, {"id": "1"}, {"id": "2", "user": 'a"b'}]),
    ),
    max_size=60,
)
_PUSHES = st.lists(_ENTRIES, max_size=8)


def _fill(store: Store, pushes: Sequence[Sequence[NewEntry]]) -> Stream | None:
    for entries in pushes:
        store.add("t", [({"app": "a"}, entries)], _FOREVER)
    found = store.select("t", (), *_ALL)
    return found[0] if found else None


def _expected(pushes: Sequence[Sequence[NewEntry]]) -> list[Entry]:
    """Sort by time, stably, without what came before."""
    seen: list[Entry] = []
    for ts, line, metadata in (entry for entries in pushes for entry in entries):
        entry = Entry(ts, line.decode(), dict(metadata or {}))
        if entry not in seen:
            seen.append(entry)
    return sorted(seen, key=lambda entry: entry.ts)


@given(_PUSHES, st.integers(0, 40), st.integers(0, 41))
@settings(deadline=None)
def test_blocks_hold_what_was_pushed(
    pushes: list[list[NewEntry]], start_ns: int, end_ns: int
) -> None:
    """Any pushes, out of order and repeated, are read in order of time, each entry once."""
    store = Store()
    stream = _fill(store, pushes)
    expected = [entry for entry in _expected(pushes) if start_ns <= entry.ts < end_ns]
    if stream is None:
        assert expected == []
        return
    assert list(store.read(stream, start_ns, end_ns)) == expected
    assert list(store.read(stream, start_ns, end_ns, backward=True)) == expected[::-1]
    sizes = [len(entry.line.encode()) for entry in expected]
    assert list(store.times(stream, start_ns, end_ns)) == [entry.ts for entry in expected]
    assert sorted(zip(*store.sizes(stream, start_ns, end_ns), strict=True)) == sorted(
        (entry.ts, size) for entry, size in zip(expected, sizes, strict=True)
    )
    assert store.measure([stream], start_ns, end_ns) == (len(expected), sum(sizes))
    store.close()


@given(_PUSHES, st.lists(st.lists(_WORDS, min_size=1, max_size=2), max_size=2))
@settings(deadline=None)
def test_prefilter_leaves_out_only_what_it_may(
    pushes: list[list[NewEntry]], words: list[list[str]]
) -> None:
    """Of the lines, those with the words come, and no other."""
    store = Store()
    stream = _fill(store, pushes)
    wanted = Prefilter(tuple(tuple(word.encode() for word in group) for group in words))
    expected = [
        entry
        for entry in _expected(pushes)
        if all(any(word in entry.line for word in group) for group in words)
    ]
    found = [] if stream is None else list(store.read(stream, *_ALL, wanted=wanted))
    assert found == expected
    store.close()


def test_metadata_prefilter_skips_blocks(store: Store) -> None:
    """A block without the value in its metadata is not unpacked; the others are read whole."""
    first = [NewEntry(ts, b"x", {"id": "1"}) for ts in range(MAX_ENTRIES)]
    second = [NewEntry(MAX_ENTRIES + ts, b"x", {"id": "2"}) for ts in range(MAX_ENTRIES)]
    stream = _fill(store, [first, second])
    assert stream is not None
    found = store.read(stream, *_ALL, wanted=Prefilter(metadata=((b'"2"', b'"3"'),)))
    assert {entry.metadata["id"] for entry in found} == {"2"}


def test_pushes_of_one_line_become_few_blocks(store: Store) -> None:
    """However small the pushes, blocks that are not full fall in size, so there are ten at most."""
    stream = _fill(store, [[NewEntry(ts, b"x", None)] for ts in range(2 * MAX_ENTRIES + 700)])
    assert stream is not None
    counts = [block.count for block in stream.blocks]
    assert counts[:2] == [MAX_ENTRIES, MAX_ENTRIES]
    rest = counts[2:]
    assert (sum(rest), sorted(set(rest), reverse=True)) == (700, rest)


def test_long_lines_make_short_blocks(store: Store) -> None:
    """A block ends when it has enough bytes, too."""
    line = b"x" * (MAX_BYTES // 4)
    stream = _fill(store, [[NewEntry(ts, line, None) for ts in range(10)]])
    assert stream is not None
    assert [block.count for block in stream.blocks] == [4, 4, 2]


def test_reader_goes_on_with_blocks_that_were_merged(store: Store) -> None:
    """A read that has begun is not disturbed by pushes that pack its blocks again."""
    stream = _fill(store, [[NewEntry(0, b"0", None), NewEntry(1, b"1", None)]])
    assert stream is not None
    reading = store.read(stream, *_ALL)
    for ts in range(2, 50):
        store.add("t", [({"app": "a"}, [NewEntry(ts, b"later", None)])], _FOREVER)
    assert [entry.line for entry in reading] == ["0", "1"]


def test_file_is_opened_again_with_its_blocks(tmp_path: Path) -> None:
    """Full and other blocks, their metadata and what may come late are as before a restart."""
    path = str(tmp_path / "logs.db")
    pushes = [
        [NewEntry(ts, b"x", None) for ts in range(MAX_ENTRIES)],
        [NewEntry(MAX_ENTRIES + ts, b"y", {"id": "1"}) for ts in range(10)],
    ]
    store = Store(path)
    _fill(store, pushes)
    store.close()
    store = Store(path)
    late = [NewEntry(5, b"x", None), NewEntry(5, b"new", None), NewEntry(2000, b"z", None)]
    stream = _fill(store, [late])
    assert stream is not None
    expected = _expected([*pushes, late])
    assert list(store.read(stream, *_ALL)) == expected
    assert store.metadata_names(stream, *_ALL) == {"id"}
    assert store.metadata_names(stream, 0, 100) == frozenset()
    store.close()


def test_streams_of_one_push_with_equal_labels_are_one(store: Store) -> None:
    """The second part of a push sees the first: order and duplicates are as if it were one."""
    parts = [[NewEntry(2, b"b", None)], [NewEntry(2, b"b", None), NewEntry(1, b"a", None)]]
    store.add("t", [({"app": "a"}, part) for part in parts], _FOREVER)
    (stream,) = store.select("t", (), *_ALL)
    assert [entry.line for entry in store.read(stream, *_ALL, wanted=EVERYTHING)] == ["a", "b"]


def test_listener_gets_new_entries_only(store: Store) -> None:
    """What was stored before is not announced again, and nothing after the end."""
    heard: list[tuple[str, str, list[bytes]]] = []
    end = store.subscribe(
        lambda tenant, stream, new: heard.append(
            (tenant, stream.labels["app"], [entry.line for entry in new])
        )
    )
    _fill(store, [[NewEntry(1, b"a", None)], [NewEntry(1, b"a", None), NewEntry(0, b"b", None)]])
    end()
    _fill(store, [[NewEntry(9, b"later", None)]])
    assert heard == [("t", "a", [b"a"]), ("t", "a", [b"b"])]
