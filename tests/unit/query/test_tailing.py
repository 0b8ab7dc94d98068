"""A tail gives everything once, over broken connections and dropped entries."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from unittest.mock import patch

import pytest

from loglane.errors import QueryError, ServiceUnavailable
from loglane.query import AsyncLogService, LogEntry, LogService, tailing
from loglane.query.tailing import Tail
from tests.unit.query.loki_socket import FakeLoki

SECOND = 10**9


def lines(*numbers: int) -> list[LogEntry]:
    return [LogEntry(number * SECOND, f"line {number}", {"a": "b"}) for number in numbers]


def raws(entries) -> list[str]:
    return [entry.raw for entry in entries]


def test_entry_is_given_once():
    """What was given is left out, the same line of another time or stream is not."""
    tail = Tail("{}", 0)
    assert ["line 1", "line 2"] == raws(tail.unseen(lines(1, 2, 1)))
    other = [LogEntry(SECOND, "line 1", {"a": "c"}), LogEntry(SECOND + 1, "line 1", {"a": "b"})]
    assert ["line 1", "line 1"] == raws(tail.unseen([*lines(2), *other]))


def test_memory_is_bounded_and_nothing_forgotten_is_read_again():
    """What was forgotten lies before what is read again after a break."""
    with patch.object(tailing, "REMEMBERED", 10):
        tail = Tail("{}", 0, clock_ns=lambda: 100 * SECOND)
        for number in range(90):
            tail.unseen(lines(number))
    assert len(tail._given) <= 11
    request = next(tail.missed().next_page())
    oldest_given = min(tail._given.values())
    assert int(request.params["start"]) <= oldest_given
    assert 89 * SECOND - tailing.OVERLAP_NS < int(request.params["start"])
    forgotten = [n for n in range(90) if n * SECOND >= int(request.params["start"])]
    assert [] == raws(tail.unseen(lines(*forgotten)))


def test_dropped_entries_are_a_gap():
    """Loki says when it dropped entries of a slow reader."""
    tail = Tail("{}", 0)
    stream = {"stream": {"a": "b"}, "values": [["2", "y"], ["1", "x"]]}
    found = tail.read(json.dumps({"streams": [stream], "dropped_entries": [{"timestamp": "1"}]}))
    assert (["x", "y"], True) == (raws(found), tail.has_gap)
    tail.missed()
    assert not tail.has_gap


faces = pytest.mark.parametrize("face", [LogService, AsyncLogService], ids=["blocking", "async"])


def take(face, url: str, count: int, **options) -> list[str]:
    """Read so many entries of a tail through either face."""
    if face is LogService:
        with LogService(url) as service:
            tail = service.tail(**options)
            found = list(itertools.islice(tail, count))
            tail.close()
            return raws(found)

    async def reading() -> list[str]:
        found = []
        async with AsyncLogService(url) as service:
            async for entry in service.tail(**options):
                found.append(entry.raw)
                if len(found) == count:
                    return found
        raise AssertionError("a tail has no end")

    return asyncio.run(reading())


@faces
def test_broken_connection_loses_and_doubles_nothing(face):
    """What came while nobody was connected is read, what came twice is given once."""
    now_ns = time.time_ns()
    with FakeLoki() as loki:
        loki.entries = [(now_ns + number, f"line {number}") for number in range(8)]
        # 3 and 4 come while nobody is connected; 2 is sent again; 7 is read by no connection.
        loki.sends([0, 1, 2], stored=0, cut=True)
        loki.sends([2, 5, 6], stored=5)
        found = take(face, loki.url, 7, start_time=now_ns)
    assert [f"line {number}" for number in range(7)] == sorted(found)
    assert 2 == len(loki.connections)


@faces
def test_dropped_entries_are_read(face):
    """When Loki drops entries of a slow reader, they are read from what it stored."""
    now_ns = time.time_ns()
    with FakeLoki() as loki:
        loki.entries = [(now_ns + number, f"line {number}") for number in range(4)]
        loki.sends([0, 3], stored=4, dropped=True)
        found = take(face, loki.url, 4, start_time=now_ns)
    assert ["line 0", "line 1", "line 2", "line 3"] == sorted(found)


@faces
def test_what_came_between_the_handshake_and_the_listening_is_read(face):
    """Loki answers the handshake before it listens; one more look finds what it passed over."""
    now_ns = time.time_ns()
    with FakeLoki() as loki:
        loki.entries = [(now_ns + number, f"line {number}") for number in range(2)]
        loki.stored_then = 2
        loki.sends([1], stored=0)
        assert ["line 0", "line 1"] == sorted(take(face, loki.url, 2, start_time=now_ns))


@faces
def test_refused_tail_is_a_query_error(face):
    """A 400 is not tried again."""
    with FakeLoki(status=400, said="parse error") as loki, pytest.raises(QueryError, match="parse"):
        take(face, loki.url, 1)
    assert 1 == len(loki.connections)


@faces
@pytest.mark.parametrize("status", [429, 503])
def test_tail_gives_up_after_its_patience(face, status):
    """A Loki that stays away is an error, with what it said."""
    with (
        FakeLoki(status=status, said="busy") as loki,
        pytest.raises(ServiceUnavailable, match=f"{status}: busy"),
    ):
        take(face, loki.url, 1, patience_s=0.3)
    assert len(loki.connections) > 1


@faces
@pytest.mark.parametrize("away", [0, 1, 3])
def test_outage_is_told_once_and_so_is_its_end(face, away):
    """A connection that is cut and opened again at once is none."""
    now_ns, told = time.time_ns(), []
    with FakeLoki() as loki:
        loki.entries = [(now_ns + number, f"line {number}") for number in range(2)]
        loki.sends([0], stored=0, cut=True)
        loki.sends([1], stored=0)
        loki.away = away
        take(face, loki.url, 2, start_time=now_ns, on_outage=told.append)
        reason = f"Loki at {loki.url} cannot be tailed: it answered 503: not yet"
    assert ([reason, None] if away else []) == told


def test_tail_has_no_end():
    """An end is refused, not ignored."""
    with LogService("http://127.0.0.1:9") as service, pytest.raises(TypeError, match="end_time"):
        service.tail(end_time="1m")
