"""The counting of the fault tests finds every lost and every doubled line."""

from __future__ import annotations

import httpx2
import orjson
import pytest

from benchmarks.faults import counting
from benchmarks.faults.bench import judge
from benchmarks.faults.counting import Stored, Tally, read_back, tally, told


def entry(seq, *, writer="app", at=None, stream="level=info"):
    return Stored(stream, seq if at is None else at, writer, seq, {"seq": seq})


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([entry(0), entry(1), entry(2)], Tally(3, (), 0, 0)),
        ([entry(2), entry(0)], Tally(3, (1,), 0, 0)),
        ([], Tally(3, (0, 1, 2), 0, 0)),
        ([entry(0), entry(1), entry(1, at=7, stream="level=error"), entry(2)], Tally(3, (), 1, 0)),
        ([entry(0), entry(1), entry(1), entry(1), entry(2)], Tally(3, (), 2, 0)),
        ([entry(0), entry(1, writer="other"), entry(2)], Tally(3, (1,), 0, 0)),
        ([entry(0), entry(1, at=9), entry(2)], Tally(3, (), 0, 1)),
        ([entry(0, at=5), entry(1, at=4, stream="b"), entry(2, at=5)], Tally(3, (), 0, 0)),
    ],
    ids=[
        "all", "one-lost", "all-lost", "doubled-in-another-stream", "identical-ones",
        "of-another-writer", "out-of-order", "streams-have-orders-of-their-own",
    ],
)  # fmt: skip
def test_tally_counts_what_is_stored(stored, expected):
    """A tally has each missing number, each further copy, and each entry out of its order."""
    assert expected == tally(stored, "app", range(3))


def test_lines_without_a_number_are_the_packages_own():
    """What the package says of itself counts as nobody's line; lost lines it tells of add up."""
    own = [{"lost": {"loki.a": 2, "loki.b": 1}}, {"lost": {"loki.a": 4}}, {"message": "hello"}]
    stored = [*(Stored("s", 1, "", None, line) for line in own), entry(0)]
    assert 7 == told(stored)
    assert Tally(1, (), 0, 0) == tally(stored, "app", range(1))


@pytest.mark.parametrize(
    ("tallies", "said", "expected"),
    [
        ([Tally(9, (), 0, 0), Tally(5, (), 0, 0)], 0, ()),
        ([Tally(9, (1,), 0, 0), Tally(5, (2, 3), 0, 0)], 3, ()),
        ([Tally(9, (1,), 0, 0)], 0, ("1 lines are missing, 0 were said to be dropped",)),
        ([Tally(9, (), 0, 0)], 1, ("0 lines are missing, 1 were said to be dropped",)),
        ([Tally(9, (), 2, 0)], 0, ("2 entries are doubled",)),
        ([Tally(9, (), 0, 4)], 0, ("4 entries are not in the order they were written in",)),
    ],
    ids=["all-well", "lost-and-said", "lost", "said-and-stored", "doubled", "disordered"],
)
def test_outcome_is_well_when_what_is_lost_was_said(tallies, said, expected):
    """Missing lines must be as many as the sinks named, and nothing is doubled."""
    assert expected == judge(tallies, said, 1.0).problems


@pytest.mark.parametrize("page", [2, 3, 100], ids=lambda size: f"page-{size}")
def test_reading_back_reads_every_entry_once(monkeypatch, page):
    """Pages of any size give every entry, and none twice."""
    values = [[str(at), orjson.dumps({"writer": "app", "seq": at % 7}).decode()]
              for at in (5, 6, 7, 900, 901, 5000, 5001, 5003)]  # fmt: skip
    asked = []

    def answer(request):
        start, end, limit = (int(request.url.params[key]) for key in ("start", "end", "limit"))
        found = [value for value in values if start <= int(value[0]) < end][:limit]
        asked.append(len(found))
        streams = [{"stream": {"level": "info"}, "values": found}] if found else []
        return httpx2.Response(200, json={"data": {"result": streams}})

    monkeypatch.setattr(counting, "PAGE", page)
    with httpx2.Client(base_url="http://loki", transport=httpx2.MockTransport(answer)) as client:
        found = list(counting._read(client, "{}", 0, 10_000))
    assert [int(at) for at, _ in values] == sorted(one.timestamp_ns for one in found)
    assert max(asked) <= page


def test_reading_back_says_so_when_loki_refuses(loki_that_refuses):
    """An answer that is no list of entries is never taken for an empty one."""
    with pytest.raises(AssertionError, match="Loki answered 400: too many"):
        read_back(loki_that_refuses, 0)


@pytest.fixture
def loki_that_refuses(monkeypatch):
    def get(self, *_arguments, **_more):
        return httpx2.Response(400, text="too many")

    monkeypatch.setattr(httpx2.Client, "get", get)
    return "http://127.0.0.1:1"
