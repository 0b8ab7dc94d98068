"""The query service on a real Loki: any text, any number of entries, and a tail."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from loglane.errors import QueryError, ServiceUnavailable, TooManyResults
from loglane.query import AsyncLogService, LogService, LokiClient, Stream
from tests.contract.query import selecting
from tests.contract.query.selecting import Shelf, any_text, json_writers
from tests.integration.test_same_answers import live_loki  # noqa: F401 - a fixture

pytestmark = pytest.mark.integration

LABELS = {"service": "api", "env": "dev", "level": "info"}
some = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)  # fmt: skip


@pytest.fixture(scope="module")
def loki_url(live_loki):  # noqa: F811
    """Return the address of a real Loki with tenants."""
    return live_loki


@pytest.fixture
def pair(loki_url) -> Iterator[tuple[LokiClient, LogService]]:
    """Return what writes and what reads, as a tenant of their own."""
    tenant = f"query-{uuid.uuid4().hex[:12]}"
    with (
        LokiClient(loki_url, tenant=tenant) as client,
        LogService(loki_url, tenant=tenant) as found,
    ):
        yield client, found


@some
@given(value=any_text)
def test_label_value_selects_its_stream(pair, value):
    """As on the embedded server."""
    selecting.check_label(Shelf(*pair), value)


@some
@given(value=any_text)
def test_metadata_value_selects_its_entry(pair, value):
    """As on the embedded server."""
    selecting.check_metadata(Shelf(*pair), value)


@some
@given(value=any_text, write=json_writers)
def test_body_value_selects_its_entry(pair, value, write):
    """As on the embedded server."""
    selecting.check_body(Shelf(*pair), value, write)


@some
@given(value=any_text, write=json_writers)
def test_contained_text_selects_its_entries(pair, value, write):
    """As on the embedded server."""
    selecting.check_contains(Shelf(*pair), value, write)


@some
@given(value=any_text)
def test_quoted_pattern_selects_its_entry(pair, value):
    """As on the embedded server."""
    selecting.check_matches(Shelf(*pair), value)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_more_than_a_page_in_one_nanosecond_comes_once_each(pair, direction):
    """6,000 entries of one nanosecond, and some around them, are each given once, in order."""
    client, service = pair
    now_ns = time.time_ns()
    numbers = [-2, -1, *[0] * 6_000, 1, 2]
    entries = [(now_ns + at, f"line {number} of many", {}) for number, at in enumerate(numbers)]
    for begin in range(0, len(entries), 4000):
        client.push([Stream(LABELS, entries[begin : begin + 4000])])
    around = {"start_time": now_ns - 10, "end_time": now_ns + 10, "direction": direction}
    found = list(service.iter_logs(**around))
    assert len(entries) == len({entry.raw for entry in found}) == len(found)
    moments = [entry.timestamp_ns for entry in found]
    assert sorted(moments, reverse=direction == "backward") == moments
    middle = found[4000]
    rest = list(service.iter_logs(**around, cursor=middle.cursor))
    assert [entry.raw for entry in found[4001:]] == [entry.raw for entry in rest]
    assert len(entries) == service.get_log_count(start_time=now_ns - 10, end_time=now_ns + 10)


def test_entries_that_nothing_tells_apart_are_refused(pair):
    """A nanosecond that cannot be read in parts is an error, not a loss."""
    client, service = pair
    now_ns = time.time_ns()
    entries = [(now_ns, "the same", {"trace_id": f"{number:032x}"}) for number in range(6000)]
    client.push([Stream(LABELS, entries)])
    with pytest.raises(TooManyResults, match="narrow the query"):
        list(service.iter_logs(start_time=now_ns, end_time=now_ns + 1))


def test_count_is_exact_to_the_nanosecond(pair):
    """A count has the bounds of a query: the first nanosecond, and not the last."""
    client, service = pair
    now_ns = time.time_ns() - 10**10
    client.push([Stream(LABELS, [(now_ns + n, str(n), {}) for n in range(0, 3_000_000, 1000)])])
    for start, end in ((0, 3_000_000), (1, 2_999_000), (500_000, 500_001), (1000, 1_999_999)):
        expected = len([n for n in range(0, 3_000_000, 1000) if start <= n < end])
        around = {"start_time": now_ns + start, "end_time": now_ns + end}
        assert expected == service.get_log_count(**around)
        assert expected == sum(volume.lines for volume in service.stats(**around))


def test_refused_limit_is_lowered(pair):
    """A page size that Loki does not allow is learnt from its refusal."""
    client, service = pair
    url = service._link.connection.url
    now_ns = time.time_ns()
    client.push([Stream(LABELS, [(now_ns + n, str(n), {}) for n in range(10)])])
    with LogService(url, tenant=service._link.connection.tenant, page_size=9000) as greedy:
        assert 10 == len(greedy.query_logs(limit=8000))


def test_months_are_asked_for_in_parts(pair):
    """Loki refuses a query of more than 30 days; a longer range is split."""
    client, service = pair
    client.push([Stream(LABELS, [(time.time_ns() - 10**9, "x", {})])])
    assert 1 == len(service.query_logs(start_time="100d"))
    assert 1 == service.get_log_count(start_time="100d")


def test_query_error_has_lokis_words(pair):
    """A refused query says what Loki said, and the query."""
    with pytest.raises(QueryError, match="parse error") as caught:
        pair[1].raw('{service="api"} |')
    assert ('{service="api"} |', 400) == (caught.value.query, caught.value.status)


@pytest.mark.parametrize(
    "logql",
    ['{service="api"} |~ "("', '{service="no"} | line_format "{{"', '{service="no"} | json a="b["'],
)
def test_query_that_loki_cannot_run_is_refused(pair, logql):
    """Loki looks at expressions when it reads, and answers with nothing instead of an error."""
    with pytest.raises(QueryError, match="parse error"):
        pair[1].raw(logql)
    with pytest.raises(QueryError, match="parse error"):
        list(pair[1].iter_raw(logql, start_time="60d", end_time="1d"))


def write_numbered(client: LokiClient, count: int) -> threading.Thread:
    """Write numbered lines in the background, a little apart."""

    def write() -> None:
        for number in range(count):
            entry = (time.time_ns(), json.dumps({"n": number}), {"trace_id": f"t{number}"})
            client.push([Stream(LABELS, [entry])])
            time.sleep(0.005)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def test_tail_gives_what_is_written_with_its_metadata(pair):
    """Everything since the start comes once, written before or after the tail began."""
    client, service = pair
    thread = write_numbered(client, 300)
    tail = service.tail(start_time="1m")
    found = [next(tail) for _ in range(300)]
    tail.close()
    thread.join()
    assert list(range(300)) == sorted(entry.fields["n"] for entry in found)
    assert {f"t{number}" for number in range(300)} == {
        entry.metadata["trace_id"] for entry in found
    }


def test_async_tail_gives_what_is_written(pair):
    """As the blocking one, with a filter on a field of the body."""
    client, service = pair
    connection = service._link.connection

    async def read() -> list[int]:
        async with AsyncLogService(connection.url, tenant=connection.tenant) as asking:
            found = []
            async for entry in asking.tail(start_time="1m", n=[7, 90]):
                found.append(entry.fields["n"])
                if len(found) == 2:
                    return found
        raise AssertionError("a tail has no end")

    thread = write_numbered(client, 100)
    assert [7, 90] == sorted(asyncio.run(read()))
    thread.join()


def test_tail_of_a_bad_query_is_refused(pair):
    """A tail that Loki does not take is an error at once."""
    with pytest.raises(QueryError, match="parse error"):
        next(pair[1].tail_raw("{"))


def test_loki_that_is_away_ends_a_tail():
    """After its patience a tail gives up."""
    with LogService("http://127.0.0.1:9") as service, pytest.raises(ServiceUnavailable):
        next(service.tail(patience_s=0.5))
