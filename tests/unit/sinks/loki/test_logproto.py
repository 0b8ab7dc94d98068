"""The push request is what the `protobuf` package reads back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loglane.sinks.loki import logproto
from tests.unit.sinks.loki import push_messages

# Lone surrogates are no UTF-8; orjson, which reads the lines, refuses them.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LONG = st.integers(0, 3).map(lambda number: "x" * [0, 127, 128, 20_000][number])
# Until the year 2262, as Go has them.
TIMES = st.integers(0, 2**63 - 1)
ENTRIES = st.tuples(TIMES, TEXT | LONG, st.dictionaries(TEXT, TEXT | LONG, max_size=4))


def encoded(entry):
    at, line, metadata = entry
    pairs = b"".join(logproto.pair(name, value) for name, value in metadata.items())
    return logproto.entry(at, line.encode(), pairs)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(TEXT, st.lists(ENTRIES, max_size=4)), max_size=3))
def test_a_request_is_read_back_as_it_was(streams):
    """Any timestamps, lines, metadata and labels, also empty ones and long ones."""
    data = b"".join(
        logproto.stream(labels, [encoded(entry) for entry in entries])
        for labels, entries in streams
    )
    assert streams == push_messages.streams(data)


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_read_back(number):
    """The low seven bits first; all but the last byte say that more follow."""
    data = logproto.varint(number)
    assert number == sum((byte & 127) << 7 * place for place, byte in enumerate(data))
    assert [True] * (len(data) - 1) + [False] == [bool(byte & 128) for byte in data]


@pytest.mark.parametrize("seconds", [0, 2**31 - 1, 2**31, 2**32, 2**33])
def test_seconds_beyond_32_bits_are_right(seconds):
    """2038 and 2106 are no end."""
    data = logproto.stream("{}", [logproto.entry(seconds * 10**9 + 999_999_999, b"")])
    ((_, ((at, _, _),)),) = push_messages.streams(data)
    assert seconds * 10**9 + 999_999_999 == at
