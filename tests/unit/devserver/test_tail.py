"""The tail over a websocket."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from loglane.devserver import running
from loglane.devserver.engine import following
from loglane.devserver.engine.following import Following
from loglane.devserver.logql import parse
from loglane.devserver.logql.nodes import LogQuery
from loglane.devserver.store import NewEntry, Store

_API = "/loki/api/v1"
_SECOND = 10**9
_CATEGORISE = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}


def _messages(session: Any, count: int) -> list[dict[str, Any]]:
    """Receive messages until they hold so many entries."""
    messages: list[dict[str, Any]] = []
    while sum(len(message["streams"]) for message in messages) < count:
        messages.append(json.loads(session.receive_text()))
    return messages


def _lines(messages: list[dict[str, Any]]) -> list[str]:
    return [stream["values"][0][1] for message in messages for stream in message["streams"]]


def _tail(client: TestClient, query: str = '{app="a"}', **params: Any) -> Any:
    headers = params.pop("headers", {})
    pairs = httpx2.QueryParams({"query": query, **params})
    return client.websocket_connect(f"{_API}/tail?{pairs}", headers=headers)


def test_tail_begins_with_the_newest_entries(client: TestClient, push: Any) -> None:
    """What is stored comes first, the newest ones up to the limit, oldest first; then the new."""
    push("one", "two", "three")
    with _tail(client, limit=2) as session:
        assert _lines(_messages(session, 2)) == ["two", "three"]
        push("four")
        assert _lines(_messages(session, 1)) == ["four"]


def test_tail_selects_and_filters(client: TestClient, push: Any) -> None:
    """Other streams and lines that a stage leaves out do not come."""
    with _tail(client, '{app="a"} |= "boom" | json | n="1"') as session:
        push('{"n":1} boom', stream={"app": "b"})
        push('{"n":2,"t":"boom"}', '{"n":1}', '{"n":1,"t":"boom"}')
        assert _lines(_messages(session, 1)) == ['{"n":1,"t":"boom"}']


def test_tail_merges_labels(client: TestClient, push: Any) -> None:
    """Without the header, labels of every kind are the stream's; each entry is a stream."""
    push(("stored", {"id": "1"}))
    with _tail(client) as session:
        (message,) = _messages(session, 1)
        stored = {"app": "a", "service_name": "a", "id": "1"}
        assert message.keys() == {"streams"}
        assert [stream["stream"] for stream in message["streams"]] == [stored]
        # Without stages, Loki 3.7.6 does not show the metadata of what arrives.
        push(("new", {"id": "2"}))
        (message,) = _messages(session, 1)
        assert message["streams"][0]["stream"] == {"app": "a", "service_name": "a"}


def test_tail_categorises_labels(client: TestClient, push: Any) -> None:
    """With the header, metadata and parsed labels are beside the line."""
    with _tail(client, '{app="a"} | json', headers=_CATEGORISE) as session:
        push(('{"n":1}', {"id": "2"}))
        (message,) = _messages(session, 1)
        assert message["encodingFlags"] == ["categorize-labels"]
        assert message["streams"][0]["stream"] == {"app": "a", "service_name": "a"}
        extra = {"structuredMetadata": {"id": "2"}, "parsed": {"n": "1"}}
        assert message["streams"][0]["values"][0][2] == extra


def test_tail_waits_for_late_entries(client: TestClient, push: Any, now_ns: int) -> None:
    """With `delay_for`, entries that arrive out of order in that time come in order."""
    now = time.time_ns()
    with _tail(client, delay_for=1) as session:
        for offset, line in ((2, "second"), (1, "first")):
            values = [[str(now + offset), line]]
            body = {"streams": [{"stream": {"app": "a"}, "values": values}]}
            assert client.post(f"{_API}/push", json=body).status_code == 204
        assert _lines(_messages(session, 2)) == ["first", "second"]
        assert time.time_ns() >= now + _SECOND


def test_tail_of_a_tenant_sees_its_own(client: TestClient, push: Any) -> None:
    """What another tenant pushes does not come."""
    with _tail(client, headers={"X-Scope-OrgID": "other"}) as session:
        push("mine")
        body = {"streams": [{"stream": {"app": "a"}, "values": [[str(time.time_ns()), "other"]]}]}
        client.post(f"{_API}/push", json=body, headers={"X-Scope-OrgID": "other"})
        assert _lines(_messages(session, 1)) == ["other"]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"delay_for": 6}, "delay_for can't be greater than 5"),
        ({"delay_for": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ({"limit": 0}, "limit must be a positive value"),
        ({"start": "x"}, "could not parse 'start' parameter"),
        ({"query": "{"}, "parse error at line 1, col 2"),
        ({"query": '{app=~".*"}'}, "queries require at least one"),
        ({"headers": {"X-Scope-OrgID": "a|b"}}, "multiple org IDs present"),
    ],
)
def test_bad_tail_is_refused_before_it_begins(
    client: TestClient, params: dict[str, Any], text: str
) -> None:
    """A parameter that Loki refuses gets its answer instead of a websocket."""
    with pytest.raises(WebSocketDenialResponse) as denied, _tail(client, **params):
        pass
    assert denied.value.status_code == 400
    assert text in denied.value.text


def test_tail_of_a_metric_query_is_closed(client: TestClient) -> None:
    """A metric query cannot be followed, which Loki says when it closes."""
    with _tail(client, 'rate({app="a"}[1m])') as session:
        with pytest.raises(WebSocketDisconnect) as closed:
            session.receive_text()
        assert (closed.value.code, closed.value.reason) == (
            1011,
            "only log selector is supported",
        )


def test_tail_without_a_websocket_is_a_bad_request(client: TestClient) -> None:
    """A plain request is answered as by Loki."""
    response = client.get(f"{_API}/tail", params={"query": '{app="a"}'})
    assert (response.status_code, response.text) == (400, "Bad Request\n")


def _follow(store: Store, notify: Any = lambda: None) -> Following:
    query = parse('{app="a"}')
    assert isinstance(query, LogQuery)
    return Following(store, "t", query, categorise=True, notify=notify)


def test_slow_client_is_told_what_it_missed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a bound entries are dropped, and named with the next message, up to a bound."""
    monkeypatch.setattr(following, "MAX_WAITING", 3)
    monkeypatch.setattr(following, "MAX_DROPPED", 2)
    followed = _follow(store)
    followed.start(0, 10, 10)
    store.add("t", [({"app": "a"}, [NewEntry(ts, b"x", None) for ts in range(9)])], _SECOND)
    entries, dropped = followed.take(100, 10)
    assert [entry.ts for entry in entries] == [0, 1, 2]
    assert [(one.ts, one.labels) for one in dropped] == [(3, {"app": "a"}), (4, {"app": "a"})]
    assert followed.take(100, 10) == ([], [])


def test_entries_of_the_future_wait(store: Store) -> None:
    """An entry is taken when its time has come."""
    followed = _follow(store)
    followed.start(0, 10, 10)
    store.add("t", [({"app": "a"}, [NewEntry(50, b"x", None)])], _SECOND)
    assert followed.take(50, 10) == ([], [])
    assert followed.next_ns() == 50
    assert [entry.ts for entry in followed.take(51, 10)[0]] == [50]


def test_each_entry_comes_once_when_it_arrives_at_the_start(store: Store) -> None:
    """Pushes while a tail begins are either in what was stored or follow it, never both."""
    stop = threading.Event()
    pushed = 0

    def push() -> None:
        nonlocal pushed
        while not stop.is_set():
            pushed += 1
            store.add("t", [({"app": "a"}, [NewEntry(pushed, b"x", None)])], _SECOND)

    thread = threading.Thread(target=push)
    thread.start()
    tails = []
    while len(tails) < 20:
        tails.append(_follow(store))
        tails[-1].start(0, 2**62, 5000)
    stop.set()
    thread.join()
    for tail in tails:
        taken = [entry.ts for entry in tail.take(2**62, 10**6)[0]]
        assert taken == list(range(taken[0], pushed + 1))


def test_server_stops_while_a_tail_is_open(caplog: pytest.LogCaptureFixture) -> None:
    """An open tail does not keep the server from stopping, nor does it log an error."""
    with ExitStack() as opened:
        with running() as url:
            address = f"ws{url[4:]}{_API}/tail?query=%7Bapp%3D%22a%22%7D"
            session = opened.enter_context(connect(address))
        with pytest.raises(ConnectionClosed):
            session.recv(timeout=30)
    assert caplog.records == []


def test_refused_tail_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal is no error of the server."""
    with (
        running() as url,
        pytest.raises(InvalidStatus, match="HTTP 400"),
        connect(f"ws{url[4:]}{_API}/tail?query=x"),
    ):
        pass
    assert caplog.records == []
