"""The push endpoint."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from typing import Any

import pytest
from starlette.testclient import TestClient

from loglane.devserver.api.validation import clean_metadata, metadata_name, stream_labels
from loglane.devserver.refusal import Refused

_PATH = "/loki/api/v1/push"
_JSON = {"Content-Type": "application/json"}
_SECOND = 10**9


def _body(*values: Any, stream: Any = None) -> dict[str, Any]:
    return {"streams": [{"stream": stream or {"app": "a"}, "values": list(values)}]}


def _now() -> str:
    return str(time.time_ns())


def test_entries_are_accepted(client: TestClient, lines: Any) -> None:
    """A push of valid entries is answered by 204 and can be queried."""
    response = client.post(_PATH, json=_body([_now(), "hello", {"id": "1"}]))
    assert (response.status_code, response.content) == (204, b"")
    assert lines('{app="a"} | id="1"') == ["hello"]


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:])),
        ("gzip", lambda data: gzip.compress(data) + b"rest"),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
    ],
    ids=["gzip", "gzip-members", "gzip-rest", "deflate"],
)
def test_compressed_push_is_accepted(
    client: TestClient, lines: Any, encoding: str, compress: Any
) -> None:
    """Bodies may be compressed by gzip, or by deflate without a header as in Go."""
    content = compress(json.dumps(_body([_now(), "hello"])).encode())
    headers = {**_JSON, "Content-Encoding": encoding}
    assert client.post(_PATH, content=content, headers=headers).status_code == 204
    assert lines('{app="a"}') == ["hello"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param(
            [["-8d", "old"], ["now", "ok"]], "has timestamp too old", id="older-than-a-week"
        ),
        pytest.param([["+11m", "new"], ["now", "ok"]], "has timestamp too new", id="in-the-future"),
        pytest.param(
            [["now", "x" * (256 * 1024 + 1)], ["now", "ok"]],
            "max entry size '262144' bytes exceeded for stream '{app=\"a\", service_name=\"a\"}' "
            "while adding an entry with length '262145' bytes",
            id="long-line",
        ),
        pytest.param(
            [["now", "x", {"id": "x" * 65_535}], ["now", "ok", {"id": "x" * 65_534}]],
            "has structured metadata too large: '65537' bytes, limit: '65536' bytes",
            id="large-metadata",
        ),
        pytest.param(
            [["now", "x", {f"n{i}": "v" for i in range(129)}], ["now", "ok"]],
            "has too many structured metadata labels: '129', limit: '128'",
            id="many-metadata",
        ),
        pytest.param(
            [["now", "ok"], ["-61m", "late"]], "entry too far behind", id="behind-its-stream"
        ),
    ],
)
def test_valid_entries_of_a_refused_push_are_stored(
    client: TestClient, lines: Any, values: list[list[Any]], text: str
) -> None:
    """A push with entries that are not valid is answered by 400, and the others are stored."""
    offsets = {"-8d": -8 * 86_400, "+11m": 660, "-61m": -3660, "now": -1}
    now = time.time_ns()
    timed = [[str(now + offsets[when] * _SECOND), *rest] for when, *rest in values]
    response = client.post(_PATH, json=_body(*timed))
    assert response.status_code == 400
    assert text in response.text
    assert lines('{app="a"}', since="2h") == ["ok"]


def test_errors_of_a_push_are_grouped(client: TestClient) -> None:
    """Equal errors are counted, different ones are joined."""
    now = time.time_ns()
    body = _body(*[[str(now), "x" * 262_145]] * 2, [str(now + 3600 * _SECOND), "x"])
    text = client.post(_PATH, json=body).text
    assert text.startswith("2 errors like: max entry size")
    assert "; 1 errors like: entry for stream" in text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"{", 400, id="broken"),
        pytest.param(b"[" * 100_000, 400, id="deep"),
        pytest.param(b"[]", 400, id="list"),
        pytest.param(b"null", 422, id="null"),
        pytest.param(b"{}", 422, id="no-streams"),
        pytest.param(b'{"streams":[]}', 422, id="empty-streams"),
        pytest.param(b'{"streams":{}}', 400, id="streams-no-list"),
        pytest.param(b'{"streams":[5]}', 400, id="stream-no-object"),
        pytest.param(b'{"streams":[{"stream":5}]}', 400, id="labels-no-object"),
        pytest.param(b'{"streams":[{"stream":{"a":"b"},"values":{}}]}', 400, id="values-no-list"),
        pytest.param(b'{"streams":[{"stream":{"a":"b"},"values":[5]}]}', 400, id="entry-no-list"),
        pytest.param(b'{"streams":[{"stream":{"a":"b"}}]}', 204, id="no-values"),
        pytest.param(b'{"streams":[{"stream":{"a":"b"},"values":[null]}]}', 204, id="null-entry"),
        pytest.param(b'{"streams":[{"stream":{"a-b":"c"},"values":[]}]}', 400, id="label-name"),
        pytest.param(b'{"streams":[{"stream":{"a":["b"]},"values":[]}]}', 400, id="label-value"),
        pytest.param(b'{"streams":[{"stream":{"a":"\xff"},"values":[]}]}', 400, id="not-utf8"),
    ],
)
def test_odd_body_has_the_status_of_loki(client: TestClient, content: bytes, status: int) -> None:
    """What is no push is refused, what holds no entry is accepted."""
    assert client.post(_PATH, content=content, headers=_JSON).status_code == status


@pytest.mark.parametrize(
    ("value", "status"),
    [
        pytest.param([5, "x"], 400, id="timestamp-number"),
        pytest.param(["5x", "x"], 400, id="timestamp-text"),
        pytest.param(["9" * 30, "x"], 400, id="timestamp-too-large"),
        pytest.param(["now", 5], 400, id="line-number"),
        pytest.param(["now", "x", []], 400, id="metadata-list"),
        pytest.param(["now", "x", {"a": 1}], 400, id="metadata-number"),
        pytest.param(["now", "x", {"": "v"}], 500, id="metadata-without-name"),
    ],
)
def test_malformed_entry_refuses_the_whole_push(
    client: TestClient, lines: Any, value: list[Any], status: int
) -> None:
    """A value of the wrong type is no entry, and nothing of the push is stored."""
    value = [_now() if part == "now" else part for part in value]
    assert client.post(_PATH, json=_body([_now(), "ok"], value)).status_code == status
    assert lines('{app="a"}') == []


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"Content-Type": "application/x-protobuf"}, "snappy: corrupt input"),
        ({"Content-Type": "text/plain"}, "snappy: corrupt input"),
        ({"Content-Type": ""}, "no media type"),
        ({**_JSON, "Content-Encoding": "br"}, 'Content-Encoding "br" not supported'),
        ({**_JSON, "Content-Encoding": "gzip"}, "gzip"),
    ],
)
def test_unknown_format_is_refused(client: TestClient, headers: dict[str, str], text: str) -> None:
    """What is not JSON is taken for protobuf, as Loki does, and what is neither is refused."""
    response = client.post(_PATH, content=b"{}", headers=headers)
    assert response.status_code == 400
    assert text in response.text


def test_compressed_body_cannot_grow_without_bound(client: TestClient) -> None:
    """A small body that decompresses to more than the limit is too large."""
    part = gzip.compress(b" " * (51 << 20))
    headers = {**_JSON, "Content-Encoding": "gzip"}
    for bomb in (gzip.compress(b" " * (101 << 20)), part + part):
        assert client.post(_PATH, content=bomb, headers=headers).status_code == 413


def test_number_of_labels_is_limited(client: TestClient) -> None:
    """Fifteen labels are accepted beside `service_name`, sixteen are not."""
    for count, status in ((15, 204), (16, 400)):
        stream = {f"l{number}": "v" for number in range(count)}
        response = client.post(_PATH, json=_body([_now(), "x"], stream=stream))
        assert response.status_code == status
    assert "has 16 label names; limit 15" in response.text


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"job": "j", "app": "a"}, {"app": "a", "job": "j", "service_name": "a"}),
        ({"service": "s", "app": "a"}, {"app": "a", "service": "s", "service_name": "s"}),
        ({"service_name": "x", "app": "a"}, {"app": "a", "service_name": "x"}),
        ({"x": "y", "app": ""}, {"service_name": "unknown_service", "x": "y"}),
        ({}, {"service_name": "unknown_service"}),
    ],
)
def test_stream_gets_a_service_name(labels: dict[str, str], expected: dict[str, str]) -> None:
    """`service_name` comes from the first known label, and empty values are left out."""
    assert stream_labels(labels) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trace_id", "trace_id"),
        ("http.method", "http_method"),
        ("a--b__c", "a_b_c"),
        ("1st", "key_1st"),
        ("__x__", "__x__"),
    ],
)
def test_metadata_name_becomes_a_label_name(name: str, expected: str) -> None:
    """A name of structured metadata is normalised as in OpenTelemetry."""
    assert metadata_name(name) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "label name is empty"),
        ("_", 'normalization for label name "_" resulted in invalid name "_"'),
        ("é.", 'normalization for label name "é." resulted in invalid name "_"'),
    ],
)
def test_metadata_name_without_letters_is_refused(name: str, text: str) -> None:
    """A name of which nothing is left is an error of the server, as in Loki."""
    with pytest.raises(Refused) as caught:
        metadata_name(name)
    assert (500, text) == (caught.value.status, str(caught.value))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"a.b": "1", "a_b": "2"}, {"a_b": "1"}),
        ({"a_b": "2", "a.b": "1"}, {"a_b": "1"}),
        ({"a-b": "1", "a.b": "2", "a_b": "3"}, {"a_b": "2"}),
        ({"a_b": "1", "a.b": ""}, {}),
        ({"a": "", "b": "\ufffd"}, {"b": " "}),
    ],
)
def test_metadata_keeps_the_renamed_value(
    metadata: dict[str, str], expected: dict[str, str]
) -> None:
    """Of names that become the same, the last one that had to be changed keeps its value."""
    assert expected == clean_metadata(metadata)
