"""The load probe counts what a store has: nothing twice by paging, everything that is twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time

import pytest

from loglane.errors import EnvironmentMissing, QueryError, ServiceUnavailable
from loglane.query import Entry
from loglane.stack import loadprobe, probeapp
from loglane.stack.loadprobe import Store, Watch, latency_of, page_size, tally, tenant_of
from loglane.stack.probeapp import app_labels
from loglane.stack.spec import StackSpec

BEGAN_NS = time.time_ns()


def entry(seq: int, at: int, life: str = "a") -> Entry:
    """Return a stored line; `at` is its nanosecond after the beginning."""
    line = json.dumps({"run": "r", "life": life, "seq": seq})
    return Entry(BEGAN_NS + at, line, {"service": "loglane-probe"})


class StoredLines:
    """Answers range queries as Loki does: from `start` on, oldest first, `limit` at most."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.away = False

    def query_range(self, _query, start_ns, end_ns, *, limit, direction):
        assert "forward" == direction
        if self.away:
            raise ServiceUnavailable("away")
        ordered = sorted(self.entries, key=lambda item: item.timestamp_ns)
        return [item for item in ordered if start_ns <= item.timestamp_ns < end_ns][:limit]


def watch_of(entries: list[Entry], page: int = 4) -> tuple[StoredLines, Watch]:
    loki = StoredLines(entries)
    return loki, Watch(Store(loki, "r", page), BEGAN_NS)


@pytest.mark.parametrize("page", [2, 3, 4, 5, 9, 10, 11])
def test_store_yields_each_entry_once_over_page_ends(page):
    """Entries that share a nanosecond across the end of a page are neither lost nor repeated."""
    entries = [entry(seq, seq - seq % 2 if page > 2 else seq) for seq in range(10)]
    found = list(Store(StoredLines(entries), "r", page).entries(BEGAN_NS))
    assert sorted(item.line for item in entries) == sorted(item.line for item in found)


@pytest.mark.parametrize("page", [3, 4, 100])
def test_store_yields_what_is_doubled_as_often_as_it_is_there(page):
    """A true copy, even one of the same nanosecond, is not taken for an overlap of pages."""
    entries = [entry(0, 0), entry(1, 1), entry(2, 2), entry(2, 2), entry(3, 3), entry(4, 4)]
    assert 6 == len(list(Store(StoredLines(entries), "r", page).entries(BEGAN_NS)))


def test_store_refuses_a_page_that_is_one_nanosecond():
    """No page can end between entries that share a nanosecond."""
    entries = [entry(seq, 0) for seq in range(5)]
    with pytest.raises(QueryError, match="4 entries share one nanosecond"):
        list(Store(StoredLines(entries), "r", 4).entries(BEGAN_NS))


def test_tally_counts_lost_and_doubled_lines():
    """Lost is what is missing; doubled is every entry beyond a line's first."""
    _, watch = watch_of([entry(0, 0), entry(1, 1), entry(1, 7), entry(1, 8), entry(3, 9)])
    outcome = tally("r", 5, watch, 1.5)
    assert (5, 3, 2, 2) == (outcome.written, outcome.found, outcome.lost, outcome.doubled)


def test_tally_tells_the_lives_of_a_restarted_container_apart():
    """After a restart the numbers begin again: the same number of another life is another line."""
    _, watch = watch_of([entry(0, 0), entry(1, 1), entry(0, 2, "b"), entry(1, 3, "b")])
    outcome = tally("r", 4, watch, 1.5)
    assert (4, 0, 0) == (outcome.found, outcome.lost, outcome.doubled)


def test_watch_survives_a_store_that_is_away():
    """While Loki does not answer nothing is new; what it has afterwards is found."""
    loki, watch = watch_of([entry(0, 0)])
    loki.away = True
    watch.look()
    assert {} == watch.seen
    loki.away = False
    watch.look()
    assert [("a", 0)] == list(watch.seen)


def test_watch_finds_a_line_that_came_late(monkeypatch):
    """A line older than the newest one seen is found when nothing new comes."""
    loki, watch = watch_of([entry(5, 50)])
    watch.look()
    loki.entries.append(entry(1, 10))
    watch.look()
    assert [("a", 5)] == list(watch.seen)
    monkeypatch.setattr(loadprobe, "_IDLE_S", -1.0)
    watch.look()
    assert [("a", 5), ("a", 1)] == list(watch.seen)


def test_latency_is_by_nearest_rank():
    """Percentiles are values that were measured, none in between."""
    found = latency_of([number / 100 for number in range(100, 0, -1)], 0.2)
    assert found is not None
    assert (0.5, 0.95, 0.99, 1.0, 0.2) == (
        found.p50, found.p95, found.p99, found.max, found.resolution,
    )  # fmt: skip
    assert latency_of([], 0.2) is None


def spec_of(**keys) -> StackSpec:
    return StackSpec.model_validate({"env": "dev", **keys}, strict=False)


def test_probe_is_the_default_tenants():
    """With tenants the lines are looked for as the one that takes what nobody claims."""
    tenants = {"main": {}, "team-a": {"services": ["orders"]}}
    assert tenant_of(spec_of()) is None
    assert "main" == tenant_of(spec_of(tenants=tenants))
    kept = {"team-a": {"services": ["orders"]}}
    assert "fake" == tenant_of(spec_of(tenants=kept, default_tenant="fake"))


def test_page_size_is_what_loki_is_told_to_answer():
    """A spec with a smaller limit than Loki's default is asked for smaller pages."""
    assert 5000 == page_size(spec_of())
    assert 700 == page_size(spec_of(limits={"max_entries_limit_per_query": 700}))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"apps": {"label": "logging=enabled"}}, {"logging": "enabled"}),
        ({"apps": {"label": "logging"}}, {"logging": ""}),
        (
            {"apps": {"services": ["web", "api"]}, "services": {"web": {"format": "nginx"}}},
            {"com.docker.compose.service": "api"},
        ),
    ],
    ids=["label", "label without value", "first service with our format"],
)
def test_app_labels_pass_for_an_app(keys, expected):
    """The container has the label that the spec collects, or the name of a service of it."""
    assert expected == app_labels(spec_of(**keys))


def test_app_labels_need_a_service_with_our_format():
    """Where every collected service is foreign, the message says what to add."""
    spec = spec_of(apps={"services": ["web"]}, services={"web": {"format": "nginx"}})
    with pytest.raises(EnvironmentMissing, match="name loglane-probe there too"):
        app_labels(spec)


def test_watch_notes_the_first_line_of_each_life():
    """The line without a number says that a container is being collected, and is not counted."""
    hello = Entry(BEGAN_NS, '{"run":"r","life":"a"}', {"service": "loglane-probe"})
    _, watch = watch_of([hello, entry(0, 1)])
    watch.look()
    assert {"a"} == watch.lives
    assert (1, 0) == ((outcome := tally("r", 1, watch, 1.5)).found, outcome.doubled)


def test_script_writes_every_number_once_when_it_is_told():
    """The first line has no number; those after the signal are numbered from 0, all of one life."""
    environment = {
        "LINES": "250", "BATCH": "100", "PAUSE": "0.01", "LINGER": "0", "HEAD": '{"run":"r",',
    }  # fmt: skip
    with subprocess.Popen(
        ["/bin/sh", "-euc", probeapp._SCRIPT],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert {"run", "life"} == set(first)
        process.send_signal(signal.SIGUSR1)
        lines = [json.loads(line) for line in process.communicate(timeout=30)[0].splitlines()]
    assert [{**first, "seq": number} for number in range(250)] == lines


def test_probe_without_loki_says_so_before_anything_is_written():
    """A stack that does not run is said at once, not after the wait for the last line."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        spec = StackSpec.model_validate({"env": "dev", "ports": {"loki": taken.getsockname()[1]}})
        with pytest.raises(ServiceUnavailable, match=r"`loglane up --env dev` starts it"):
            loadprobe.run_probe(object(), spec, probeapp.Load())  # type: ignore[arg-type]
