"""The body of a push, decompressed and decoded (loki: pkg/loghttp/push/push.go)."""

from __future__ import annotations

import re
import zlib
from typing import Any

import cramjam
import orjson

from loglane.devserver.api.protobuf import decode_request
from loglane.devserver.refusal import Refused, unsupported
from loglane.devserver.store import NewEntry

# loki: distributor.max_recv_msg_size. Loki allows 50 times as much once decompressed; here the
# same size, so that a small compressed body cannot take all of a laptop's memory.
MAX_BODY_BYTES = 100 << 20

_GZIP_MAGIC = b"\x1f\x8b"
_TIMESTAMP = re.compile(r"-?[0-9]+\Z", re.ASCII)
_BAD_STRING = "Value is string, but can't find closing '\"' symbol"
_BAD_OBJECT = "Value looks like object, but can't find closing '}' symbol"
_BAD_NUMBER = "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"

PushedStream = tuple[dict[str, str], list[NewEntry]]


def decode_push(body: bytes, content_type: str, encoding: str) -> list[PushedStream]:
    """Decode a push.

    Args:
        body: The body as sent.
        content_type: Its `Content-Type`; what is not `application/json` is protobuf in snappy.
        encoding: Its `Content-Encoding`: nothing, `snappy`, `gzip` or `deflate`.

    Returns:
        Streams with their labels and entries, not validated yet.

    Raises:
        Refused: Anything of that is wrong; nothing must be stored then.
    """
    if encoding not in {"", "gzip", "deflate", "snappy"}:
        raise Refused(f'Content-Encoding "{encoding}" not supported')
    kind = content_type.partition(";")[0].strip().lower()
    if not kind:
        raise Refused("mime: no media type")
    if len(body) > MAX_BODY_BYTES:
        raise Refused("request body too large", status=413)
    if encoding in {"gzip", "deflate"}:
        body = _decompress(body, encoding)
    if kind != "application/json":
        return decode_request(_from_snappy(body))
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(f"loghttp.PushRequest: {error}") from None
    return _streams(document)


def _decompress(body: bytes, encoding: str) -> bytes:
    data = b""
    while True:
        # Negative window bits: Go's `flate` is a raw stream, without zlib's header.
        decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS if encoding == "gzip" else -15)
        try:
            data += decompressor.decompress(body, MAX_BODY_BYTES + 1 - len(data))
        except zlib.error as error:
            raise Refused(f"{encoding}: {error}") from None
        if len(data) > MAX_BODY_BYTES:
            raise Refused("request body too large", status=413)
        if not decompressor.eof:
            raise Refused("unexpected EOF")
        body = decompressor.unused_data
        # A gzip file may have several members (RFC 1952, 2.2); other bytes are left alone.
        if encoding != "gzip" or not body.startswith(_GZIP_MAGIC):
            return data


def _from_snappy(body: bytes) -> bytes:
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > MAX_BODY_BYTES:
            raise Refused(
                f"decompressed message size too large than max ({size} vs {MAX_BODY_BYTES})",
                status=413,
            )
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError:
        raise Refused("snappy: corrupt input") from None


def _streams(document: Any) -> list[PushedStream]:
    if document is None:
        return []
    if not isinstance(document, dict):
        raise Refused("loghttp.PushRequest: expect an object")
    streams = document.get("streams")
    if streams is None:
        return []
    if not isinstance(streams, list):
        raise Refused("loghttp.PushRequest.Streams: expect an array")
    return [_stream(stream) for stream in streams]


def _stream(stream: Any) -> PushedStream:
    if not isinstance(stream, dict):
        raise _malformed(_BAD_OBJECT)
    labels = stream.get("stream", {})
    if not isinstance(labels, dict):
        raise _malformed(_BAD_OBJECT)
    values = stream.get("values")
    if values is None:
        values = []
    if not isinstance(values, list):
        raise _malformed("Value is array, but can't find closing ']' symbol")
    return (
        {name: _label_value(value) for name, value in labels.items()},
        [_entry(value) for value in values if value is not None],
    )


def _label_value(value: Any) -> str:
    if isinstance(value, str):
        return value
    # Loki takes the text of any value; of these it is certain what that text was.
    if value is None or isinstance(value, bool | int):
        return orjson.dumps(value).decode()
    raise unsupported("a label whose value is not a string")


def _entry(value: Any) -> NewEntry:
    if not isinstance(value, list) or not value:
        raise _malformed("Value is array, but can't find closing ']' symbol")
    timestamp = value[0]
    line = value[1] if len(value) > 1 else ""
    if not isinstance(timestamp, str) or not isinstance(line, str):
        raise _malformed(_BAD_STRING)
    if not _TIMESTAMP.match(timestamp):
        raise _malformed(_BAD_NUMBER)
    if len(timestamp) > 20 or not -(2**63) <= (ts := int(timestamp)) < 2**63:
        raise _malformed("Value is number, but overflowed while parsing")
    if len(value) < 3:
        return NewEntry(ts, line.encode(), None)
    metadata = value[2]
    if not isinstance(metadata, dict):
        raise _malformed(_BAD_OBJECT)
    for item in metadata.values():
        if not isinstance(item, str):
            raise _malformed(_BAD_STRING)
    return NewEntry(ts, line.encode(), metadata)


def _malformed(text: str) -> Refused:
    return Refused(
        f"loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: {text}"
    )
