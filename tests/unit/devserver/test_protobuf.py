"""Pushes as protobuf, written by Google's library and taken apart by the server."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import cramjam
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from loglane.devserver.api import protobuf
from loglane.devserver.api.label_text import parse_labels
from loglane.devserver.api.protobuf import decode_request, read_text
from loglane.devserver.refusal import Refused
from loglane.devserver.store import NewEntry

_PATH = "/loki/api/v1/push"
_HEADERS = {"Content-Type": "application/x-protobuf"}
_SECOND = 10**9
_KINDS = {"string": 9, "bytes": 12, "int64": 3, "int32": 5, "uint64": 4}


def _messages() -> dict[str, Any]:
    """Build the messages of loki: pkg/push/push.proto."""
    layout = {
        "Time": {"seconds": "int64", "nanos": "int32"},
        "Pair": {"name": "bytes", "value": "bytes"},
        "Entry": {"ts": "Time", "line": "bytes", "metadata": "Pair*", "parsed": "Pair*"},
        "Stream": {"labels": "bytes", "entries": "Entry*", "hash": "uint64"},
        "Request": {"streams": "Stream*", "format": "string"},
    }
    file = descriptor_pb2.FileDescriptorProto(name="push.proto", package="p", syntax="proto3")
    for name, fields in layout.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            is_list = kind.endswith("*")
            label = 3 if is_list else 1
            plain = kind.rstrip("*")
            if plain in _KINDS:
                message.field.add(name=field, number=number, label=label, type=_KINDS[plain])
            else:
                added = message.field.add(name=field, number=number, label=label, type=11)
                added.type_name = f".p.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"p.{name}"))
        for name in layout
    }


_TYPES = _messages()


def _request(*entries: NewEntry, labels: bytes = b'{app="a"}', stream_hash: int = 0) -> bytes:
    request = _TYPES["Request"]()
    stream = request.streams.add(labels=labels, hash=stream_hash)
    for ts, line, metadata in entries:
        entry = stream.entries.add(line=line)
        entry.ts.seconds, entry.ts.nanos = divmod(ts, _SECOND)
        for name, value in (metadata or {}).items():
            entry.metadata.add(name=name.encode(), value=value.encode())
    encoded: bytes = request.SerializeToString()
    return encoded


def _post(client: TestClient, request: bytes) -> Any:
    content = bytes(cramjam.snappy.compress_raw(request))
    return client.post(_PATH, content=content, headers=_HEADERS)


_ENTRIES = st.lists(
    st.builds(
        NewEntry,
        st.integers(-10 * _SECOND, 4 * 10**18),
        st.text(max_size=300).map(str.encode),
        st.none() | st.dictionaries(st.text(min_size=1), st.text(), min_size=1, max_size=3),
    )
)


@given(_ENTRIES, st.integers(0, 2**64 - 1))
def test_decoder_reads_what_was_written(entries: list[NewEntry], stream_hash: int) -> None:
    """Any entries come out as they were put in, and what is not stored is passed over."""
    request = _request(*entries, stream_hash=stream_hash)
    assert decode_request(request) == [({"app": "a"}, entries)]


@given(_ENTRIES.filter(bool), st.data())
def test_damaged_request_is_refused_or_read(entries: list[NewEntry], data: st.DataObject) -> None:
    """A push that was cut off or changed anywhere never fails in another way than a refusal."""
    request = bytearray(_request(*entries))
    request[data.draw(st.integers(0, len(request) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Refused):
        decode_request(bytes(request[: data.draw(st.integers(0, len(request)))]))


def test_long_lines_and_long_metadata_are_read() -> None:
    """Lengths of one, two and three bytes are read alike."""
    entries = [
        NewEntry(1_700_000_000 * _SECOND + size, b"x" * size, metadata)
        for size in (0, 1, 127, 128, 16_383, 16_384, 200_000)
        for metadata in (None, {"id": "y" * size} if size else {"id": ""})
    ]
    assert decode_request(_request(*entries)) == [({"app": "a"}, entries)]


def test_protobuf_push_is_stored(client: TestClient, lines: Any) -> None:
    """A push in protobuf can be queried as one in JSON, with its metadata."""
    now = time.time_ns() - _SECOND
    request = _request(NewEntry(now, "hällo".encode(), {"http.method": "GET"}))
    response = _post(client, request)
    assert (response.status_code, response.content) == (204, b"")
    assert lines('{app="a"} | http_method="GET"') == ["hällo"]


def test_limits_of_a_json_push_apply(client: TestClient, lines: Any) -> None:
    """An entry that is too old is refused with Loki's text, and the others are stored."""
    now = time.time_ns() - _SECOND
    response = _post(client, _request(NewEntry(now, b"ok", None), NewEntry(5, b"old", None)))
    assert response.status_code == 400
    assert "has timestamp too old: 1970-01-01T00:00:00Z" in response.text
    assert lines('{app="a"}') == ["ok"]


def test_entry_without_a_timestamp_is_too_old(client: TestClient) -> None:
    """Go's zero time is the year one."""
    request = b"\x0a\x10" + b'\x0a\x09{app="a"}' + b"\x12\x03\x12\x01x"
    response = _post(client, request)
    assert "has timestamp too old: 0001-01-01T00:00:00Z" in response.text


def test_bytes_that_are_no_text_are_replaced(client: TestClient, lines: Any) -> None:
    """Each byte that is not UTF-8 is shown as U+FFFD, as Loki shows it."""
    now = time.time_ns() - _SECOND
    assert _post(client, _request(NewEntry(now, b"a\xff\xe2\x82b", None))).status_code == 204
    assert lines('{app="a"}') == ["a\ufffd\ufffd\ufffdb"]
    assert read_text(b"\xe2\x98\x83\xff") == "☃\ufffd"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        pytest.param(_request(NewEntry(1, b"hello", None))[:-3], "unexpected EOF", id="cut-off"),
        pytest.param(b"\x0a", "unexpected EOF", id="no-length"),
        pytest.param(b"\x0a" + b"\xff" * 11, "proto: integer overflow", id="long-varint"),
        pytest.param(b"\x0f", "proto: wrong wireType = 7 for field Streams", id="wire-type"),
        pytest.param(b"\x08\x05", "proto: wrong wireType = 0 for field Streams", id="number"),
        pytest.param(b"\x7b\x7c", "proto: illegal wireType 3", id="group"),
        pytest.param(
            b"\x0c", "proto: PushRequest: wiretype end group for non-group", id="end-of-group"
        ),
        pytest.param(
            b"\x02\x00", "proto: PushRequest: illegal tag 0 (wire type 2)", id="field-zero"
        ),
        pytest.param(
            b"\x0a\x04\x12\x02\x08\x05",
            "proto: wrong wireType = 0 for field Timestamp",
            id="number-as-timestamp",
        ),
        pytest.param(
            b"\x0a\x0c\x12\x0a\x0a\x08\x10\x80\xa8\xd6\xb9\x07\x08\x01",
            "timestamp: &types.Timestamp{Seconds: 1,\nNanos: 2000000000,\n}: "
            "nanos not in range [0, 1e9)",
            id="nanoseconds",
        ),
        pytest.param(
            b"\x0a\x0e\x12\x0c\x0a\x0a\x08" + b"\x80" * 8 + b"\x40",
            "after 10000-01-01",
            id="far-future",
        ),
        pytest.param(_request(labels=b'{app="a"'), "couldn't parse labels: 1:9", id="labels"),
    ],
)
def test_malformed_request_has_the_text_of_loki(request_: bytes, text: str) -> None:
    """What is no push is refused as Loki refuses it."""
    with pytest.raises(Refused) as refused:
        decode_request(request_)
    assert text in str(refused.value)
    assert refused.value.status == 400


def test_unknown_fields_are_passed_over() -> None:
    """A newer client may send more: numbers of any width and bytes are skipped."""
    extra = b"\x78\x05" + b"\x79" + b"\0" * 8 + b"\x7d" + b"\0" * 4 + b"\x7a\x01x"
    request = _request(NewEntry(1, b"x", None)) + extra
    assert decode_request(request) == [({"app": "a"}, [NewEntry(1, b"x", None)])]


def test_number_of_fields_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A push of very many empty entries is too large, however few bytes it has."""
    monkeypatch.setattr(protobuf, "MAX_FIELDS", 1000)
    with pytest.raises(Refused, match="more than 1000 fields") as refused:
        decode_request(_request(*[NewEntry(0, b"", None)] * 1001))
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        pytest.param(b"", 400, "snappy: corrupt input", id="nothing"),
        pytest.param(b"hello world", 400, "snappy: corrupt input", id="text"),
        pytest.param(
            b"\xff\xff\xff\xff\x0f",
            413,
            "decompressed message size too large than max (4294967295 vs 104857600)",
            id="header-of-4-GiB",
        ),
        pytest.param(
            bytes(cramjam.snappy.compress_raw(b"\0" * (101 << 20))), 413, "too large", id="bomb"
        ),
    ],
)
def test_bad_snappy_is_refused(client: TestClient, content: bytes, status: int, text: str) -> None:
    """Snappy that is broken, or grows beyond the limit, is refused before it is unpacked."""
    response = client.post(_PATH, content=content, headers=_HEADERS)
    assert (response.status_code, text in response.text) == (status, True)


def test_empty_request_has_no_stream(client: TestClient) -> None:
    """An empty message is a push without a stream."""
    assert _post(client, b"").status_code == 422


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", {}),
        (b"{}", {}),
        (b'{app="a",}', {"app": "a"}),
        (b"{ app = \"a\" , b=`c\\d`, e='f' }", {"app": "a", "b": "c\\d", "e": "f"}),
        (b'{app="a\\n\\"b\\""}', {"app": 'a\n"b"'}),
        (b'# note\n{app="a"}', {"app": "a"}),
        ('{app="ä☃"}'.encode(), {"app": "ä☃"}),
    ],
)
def test_labels_are_parsed(text: bytes, expected: dict[str, str]) -> None:
    """Labels are written as Prometheus writes a series."""
    assert parse_labels(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b'{app="a"', "couldn't parse labels: 1:9: parse error: unexpected end of input"),
        (b'app="a"', 'couldn\'t parse labels: 1:1: parse error: unexpected "a"'),
        (b'{app="a"} x', 'unexpected "x"'),
        (b'{app=~"a"}', 'expected "="'),
        (b'{a-b="c"}', "couldn't parse labels: 1:3"),
        (b'{app="\\x"}', "bad escape sequence"),
        (b'{app="\xff"}', "invalid UTF-8 rune"),
        (b'{app="a",app="b"}', "has duplicate label name: 'app'"),
        (b"{,}", "unexpected"),
        (b"{app", "unexpected end of input"),
        (b"{app=", "unexpected end of input"),
        (b'm{app="a"}', "not supported by the development server"),
        (b'{"a.b"="c"}', "not supported by the development server"),
        (b"{app='\\n'}", "not supported by the development server"),
    ],
)
def test_bad_labels_are_refused(text: bytes, problem: str) -> None:
    """Labels that Loki refuses are refused with the place; what is unknown here is named."""
    with pytest.raises(Refused) as refused:
        parse_labels(text)
    assert problem in str(refused.value)
