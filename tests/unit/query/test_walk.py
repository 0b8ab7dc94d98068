"""A walk gives each entry exactly once and in order, whatever shares a nanosecond."""

from __future__ import annotations

import time
import uuid
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loglane.devserver import running
from loglane.devserver.api import params
from loglane.errors import QueryError, TooManyResults
from loglane.query import LogService, LokiClient, Stream
from loglane.query import walk as walk_module

# Few nanoseconds, so that many entries share one; the line tells one from another.
moments = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["info", "error"]), st.integers(0, 2)),
    max_size=40,
)
directions = st.sampled_from(["forward", "backward"])
page_sizes = st.integers(2, 9)


@pytest.fixture(scope="module")
def url():
    with running() as found:
        yield found


def put(url, entries) -> tuple[str, int]:
    """Store `(offset in ns, level, kind)` each in a tenant of its own; return it and the start."""
    tenant, start_ns = uuid.uuid4().hex, time.time_ns() - 10**9
    with LokiClient(url, tenant=tenant) as client:
        streams: dict[str, list] = {}
        for number, (offset, level, kind) in enumerate(entries):
            metadata = {"user_id": f"u{kind}"} if kind else {}
            entry = (start_ns + offset, f"line {number}", metadata)
            streams.setdefault(level, []).append(entry)
        if streams:
            client.push(
                Stream({"service": "api", "level": level}, found)
                for level, found in streams.items()
            )
    return tenant, start_ns


def in_order(entries, direction: str) -> bool:
    moments_ns = [entry.timestamp_ns for entry in entries]
    return sorted(moments_ns, reverse=direction == "backward") == moments_ns


@settings(max_examples=60, deadline=None)
@given(entries=moments, direction=directions, page_size=page_sizes, few=st.sampled_from([0, 2, 32]))
def test_iter_logs_gives_each_entry_once_in_order(url, entries, direction, page_size, few):
    """Any page size, any number of entries in a nanosecond, both directions."""
    tenant, start_ns = put(url, entries)
    around = {"start_time": start_ns, "end_time": start_ns + 7, "direction": direction}
    with (
        patch.object(walk_module, "FEW", few),
        LogService(url, tenant=tenant, page_size=page_size) as service,
    ):
        found = list(service.iter_logs(**around))
    assert sorted(f"line {number}" for number in range(len(entries))) == sorted(
        entry.raw for entry in found
    )
    assert in_order(found, direction)


@settings(max_examples=60, deadline=None)
@given(
    entries=moments, direction=directions, page_size=page_sizes, few=st.sampled_from([0, 2, 32]),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4),
)  # fmt: skip
def test_pages_give_each_entry_once_in_order(url, entries, direction, page_size, few, sizes):
    """A page goes on where the one before ended, however many entries either has."""
    tenant, start_ns = put(url, entries)
    around = {"start_time": start_ns, "end_time": start_ns + 7, "direction": direction}
    found, cursor = [], None
    with (
        patch.object(walk_module, "FEW", few),
        LogService(url, tenant=tenant, page_size=page_size) as service,
    ):
        for number in range(len(entries) + 1):
            limit = sizes[number % len(sizes)]
            page = service.page(**around, limit=limit, cursor=cursor)
            found += page.entries
            if page.cursor is None:
                break
            assert limit == len(page.entries)
            cursor = page.cursor
    assert sorted(f"line {number}" for number in range(len(entries))) == sorted(
        entry.raw for entry in found
    )
    assert in_order(found, direction)


@settings(max_examples=40, deadline=None)
@given(
    entries=moments, direction=directions, page_size=page_sizes,
    offset=st.integers(0, 20), limit=st.integers(0, 20),
)  # fmt: skip
def test_offset_and_limit_cut_the_whole_list(url, entries, direction, page_size, offset, limit):
    """A part is as many entries as asked for, from the place that it has in the whole."""
    tenant, start_ns = put(url, entries)
    around = {"start_time": start_ns, "end_time": start_ns + 7, "direction": direction}
    with LogService(url, tenant=tenant, page_size=page_size) as service:
        part = service.query_logs(**around, offset=offset, limit=limit)
        whole = service.query_logs(**around, limit=100)
    assert [entry.timestamp_ns for entry in whole[offset : offset + limit]] == [
        entry.timestamp_ns for entry in part
    ]
    assert len(part) == len({entry.raw for entry in part})


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_pages_shorter_than_asked_for_are_gone_on_from(url, monkeypatch, direction):
    """A Loki that gives less at once than is asked for still gives every entry."""
    monkeypatch.setattr(params, "MAX_LIMIT", 4)
    tenant, start_ns = put(url, [(at % 9, "info", 0) for at in range(30)])
    around = {"start_time": start_ns, "end_time": start_ns + 9, "direction": direction}
    with LogService(url, tenant=tenant) as service:
        assert 30 == len({entry.raw for entry in service.iter_logs(**around)})
        assert 30 == len({entry.raw for entry in service.query_logs(**around)})
        page = service.page(**around, limit=20)
        after = service.page(**around, limit=20, cursor=page.cursor)
    assert (20, 10, None) == (len(page.entries), len(after.entries), after.cursor)


def test_resumed_walk_finds_what_was_written_since(url):
    """A cursor going forward goes on with newer entries, as a job does that runs again."""
    tenant, start_ns = put(url, [(0, "info", 0), (1, "info", 0)])
    with LogService(url, tenant=tenant) as service, LokiClient(url, tenant=tenant) as client:
        seen = list(service.iter_logs(start_time=start_ns))
        client.push([Stream({"service": "api"}, [(time.time_ns(), "later", {})])])
        rest = list(service.iter_logs(start_time=start_ns, cursor=seen[-1].cursor))
    assert ["later"] == [entry.raw for entry in rest]


def test_backward_cursor_keeps_the_start_of_its_range(url):
    """A start like '1h' does not move while somebody reads page after page."""
    tenant, start_ns = put(url, [(0, "info", 0), (5, "info", 0)])
    with LogService(url, tenant=tenant) as service:
        page = service.page(start_time=start_ns, limit=1)
        rest = service.page(start_time="1ms", limit=1, cursor=page.cursor)
    assert ["line 0"] == [entry.raw for entry in rest.entries]


@pytest.mark.parametrize(
    ("cursor", "options"),
    [
        ("", {}), ("nonsense", {}), ("ä", {}), (None, {"level": "error"}),
        (None, {"direction": "forward"}),
    ],
    ids=["empty", "damaged", "not ascii", "other query", "other direction"],
)  # fmt: skip
def test_cursor_of_something_else_is_refused(url, cursor, options):
    """A cursor that does not belong to the question is an error, not another answer."""
    tenant, start_ns = put(url, [(0, "info", 0), (5, "info", 0)])
    with LogService(url, tenant=tenant) as service:
        given_one = service.page(start_time=start_ns, limit=1).cursor if cursor is None else cursor
        with pytest.raises(ValueError, match="cursor"):
            service.page(start_time=start_ns, cursor=given_one, **options)


def test_nanosecond_that_cannot_be_parted_is_refused(url):
    """Entries that differ by an id alone are too many when they do not fit a page."""
    tenant, start_ns = uuid.uuid4().hex, time.time_ns()
    entries = [(start_ns, "same", {"trace_id": f"t{number}"}) for number in range(30)]
    with LokiClient(url, tenant=tenant) as client:
        client.push([Stream({"service": "api"}, entries)])
    with (
        LogService(url, tenant=tenant, page_size=20) as service,
        pytest.raises(TooManyResults, match=rf"nanosecond {start_ns} .*narrow the query"),
    ):
        service.query_logs(start_time=start_ns)


def test_metric_query_is_no_walk(url):
    """iter_raw says where numbers are asked for."""
    with LogService(url) as service, pytest.raises(QueryError, match=r"raw\(\)"):
        list(service.iter_raw('count_over_time({service="api"}[1m])'))
