"""Loki's push request by the `protobuf` package, from a descriptor of its own.

Source: loki: pkg/push/push.proto.
"""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES = {"string": 9, "int64": 3, "int32": 5}
_MESSAGE = 11
_MESSAGES = {
    "Timestamp": [("seconds", 1, "int64", False), ("nanos", 2, "int32", False)],
    "LabelPair": [("name", 1, "string", False), ("value", 2, "string", False)],
    "Entry": [
        ("timestamp", 1, "Timestamp", False),
        ("line", 2, "string", False),
        ("structured_metadata", 3, "LabelPair", True),
    ],
    "Stream": [("labels", 1, "string", False), ("entries", 2, "Entry", True)],
    "PushRequest": [("streams", 1, "Stream", True)],
}


def _make_pool():
    file = descriptor_pb2.FileDescriptorProto(name="push.proto", package="p", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            one = message.field.add(name=field, number=number, label=3 if repeated else 1)
            one.type = _TYPES.get(kind, _MESSAGE)
            if one.type == _MESSAGE:
                one.type_name = f".p.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _make_pool()


def parse(name, data):
    """Parse a message; no byte of it may be left over."""
    message = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"p.{name}"))()
    message.ParseFromString(data)
    message.DiscardUnknownFields()
    assert message.ByteSize() <= len(data)
    return message


def streams(data):
    """Return what a push request holds: (labels, [(timestamp_ns, line, metadata), ...])."""
    return [
        (
            stream.labels,
            [
                (
                    one.timestamp.seconds * 10**9 + one.timestamp.nanos,
                    one.line,
                    {pair.name: pair.value for pair in one.structured_metadata},
                )
                for one in stream.entries
            ],
        )
        for stream in parse("PushRequest", data).streams
    ]
