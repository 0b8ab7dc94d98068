"""The client pushes, pages and maps errors; against the embedded server."""

from __future__ import annotations

import time

import pytest

from loglane.devserver import running
from loglane.errors import PushRejected, QueryError, ServiceUnavailable
from loglane.query import Entry, LokiClient, Stream
from loglane.query import client as client_module

LABELS = {"service": "api", "env": "dev", "level": "info"}


@pytest.fixture(scope="module")
def server():
    with running() as url:
        yield url


@pytest.fixture
def client(server, request):
    """Return a client of a tenant of its own."""
    with LokiClient(server, tenant=request.node.name.replace("[", "-").rstrip("]")) as found:
        yield found


@pytest.fixture
def now_ns():
    return time.time_ns()


def test_push_comes_back_with_labels_metadata_and_parsed_fields(client, now_ns):
    """What is pushed is what is found, each kind of field in its place."""
    client.push([Stream(LABELS, [(now_ns, '{"a": 1}', {"trace_id": "t"})])])
    found = client.query_range('{service="api"} | json', now_ns, now_ns + 1)
    labels = {**LABELS, "service_name": "api"}
    assert [Entry(now_ns, '{"a": 1}', labels, {"trace_id": "t"}, {"a": "1"})] == found
    assert {"a": 1} == found[0].fields()


def test_query_range_orders_by_direction_over_streams(client, now_ns):
    """Entries of several streams come as one list, newest or oldest first."""
    for number in range(4):
        labels = {**LABELS, "level": ("info", "error")[number % 2]}
        client.push([Stream(labels, [(now_ns + number, str(number), {})])])
    query = '{service="api"}'
    backward = client.query_range(query, now_ns, now_ns + 10)
    forward = client.query_range(query, now_ns, now_ns + 10, direction="forward")
    assert (["3", "2", "1", "0"], ["0", "1", "2", "3"]) == (
        [entry.line for entry in backward],
        [entry.line for entry in forward],
    )


def test_iter_range_gives_each_entry_once_over_pages(client, now_ns, monkeypatch):
    """Pages overlap in the nanosecond they end in; no entry comes twice or is left out."""
    monkeypatch.setattr(client_module, "MAX_ENTRIES", 7)
    entries = [(now_ns + number // 3, f"line {number}", {}) for number in range(50)]
    client.push([Stream(LABELS, entries)])
    found = [entry.line for entry in client.iter_range('{service="api"}', now_ns, now_ns + 100)]
    assert [line for _, line, _ in entries] == found


def test_iter_range_refuses_a_nanosecond_it_cannot_page_through(client, now_ns, monkeypatch):
    """More entries in one nanosecond than fit a page are an error, not a loss."""
    monkeypatch.setattr(client_module, "MAX_ENTRIES", 3)
    client.push([Stream(LABELS, [(now_ns, str(number), {}) for number in range(4)])])
    with pytest.raises(QueryError, match="share one nanosecond"):
        list(client.iter_range('{service="api"}', now_ns, now_ns + 1))


def test_query_gives_samples_largest_first(client, now_ns):
    """An instant metric query is a list of labels and values."""
    client.push([Stream(LABELS, [(now_ns + n, str(n), {}) for n in range(3)])])
    client.push([Stream({**LABELS, "level": "error"}, [(now_ns, "x", {})])])
    found = client.query(
        'sum by (level) (count_over_time({service="api"}[1m]))', at_ns=now_ns + 10**9
    )
    assert [({"level": "info"}, 3.0), ({"level": "error"}, 1.0)] == [
        (sample.labels, sample.value) for sample in found
    ]


def test_label_values_are_sorted(client, now_ns):
    """Values of a label come sorted."""
    for level in ("info", "debug"):
        client.push([Stream({**LABELS, "level": level}, [(now_ns, "x", {})])])
    assert ["debug", "info"] == client.label_values("level")


def test_refused_query_carries_its_text(client):
    """A query that Loki refuses names itself."""
    with pytest.raises(QueryError) as caught:
        client.query_range("{", 0, 1)
    assert ("{", 400) == (caught.value.query, caught.value.status)


def test_metric_query_as_a_log_query_is_refused(client, now_ns):
    """query_range is for lines."""
    with pytest.raises(QueryError, match="metric query"):
        client.query_range('count_over_time({a="b"}[1m])', now_ns - 10**9, now_ns)


def test_refused_push_says_why(client):
    """Entries that are too old are refused for good."""
    with pytest.raises(PushRejected, match="too old") as caught:
        client.push([Stream(LABELS, [(1, "x", {})])])
    assert 400 == caught.value.status


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(server, monkeypatch):
    """A server on loopback is reached past HTTP_PROXY."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with LokiClient(server) as client:
        assert [] == client.label_values("nope")


def test_unreachable_server_is_service_unavailable():
    """A connection error is not an httpx error."""
    with LokiClient("http://127.0.0.1:9") as client, pytest.raises(ServiceUnavailable, match=":9"):
        client.query("1")
