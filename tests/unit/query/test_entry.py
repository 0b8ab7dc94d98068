"""An entry is a mapping, sorts by time, and finds what other loggers call level and message."""

from __future__ import annotations

from datetime import datetime, timezone

import orjson
import pytest

from loglane.query import LogEntry

LINE = '{"message": "m", "level": "debug", "n": 1}'


def test_entry_is_a_mapping_of_its_attributes():
    """Keys and attributes say the same."""
    entry = LogEntry(1_000_001_999, LINE, {"level": "info"}, {"trace_id": "t"})
    assert {
        "timestamp": datetime(1970, 1, 1, 0, 0, 1, 1, timezone.utc),
        "timestamp_ns": 1_000_001_999,
        "level": "info",
        "message": "m",
        "labels": {"level": "info"},
        "metadata": {"trace_id": "t"},
        "fields": {"message": "m", "level": "debug", "n": 1},
        "raw": LINE,
    } == dict(entry)
    assert all(entry[name] == getattr(entry, name) for name in entry)
    assert 8 == len(entry)


def test_other_key_is_a_key_error():
    """An attribute that is no key is not found as one."""
    for name in ("cursor", "_fields", "nope"):
        with pytest.raises(KeyError, match="an entry has timestamp"):
            LogEntry(1, "x")[name]


def test_entries_sort_by_time():
    """Oldest first, by the entry or by its timestamp."""
    entries = [LogEntry(number * 1000, "x") for number in (3, 1, 2)]
    assert [1000, 2000, 3000] == [entry.timestamp_ns for entry in sorted(entries)]
    entries.sort(key=lambda entry: entry["timestamp"])
    assert [1000, 2000, 3000] == [entry.timestamp_ns for entry in entries]


@pytest.mark.parametrize(
    ("line", "labels", "metadata", "level", "message"),
    [
        ('{"msg": "a", "level": "warning"}', {}, {}, "warning", "a"),
        ('{"message": null, "event": "a", "level": null}', {}, {}, None, "a"),
        ('{"event": "a"}', {}, {"detected_level": "error"}, "error", "a"),
        ("plain", {}, {}, None, "plain"),
        ("{broken", {}, {}, None, "{broken"),
        ("[1]", {}, {}, None, "[1]"),
        ('{"message": 5}', {"level": "info"}, {}, "info", "5"),
    ],
    ids=["msg", "null", "event", "plain", "broken", "array", "number"],
)
def test_level_and_message_are_found(line, labels, metadata, level, message):
    """Lines of other loggers, and lines that are no JSON."""
    entry = LogEntry(1, line, labels, metadata)
    assert (level, message) == (entry.level, entry.message)


def test_fields_of_a_line_that_is_no_json_are_what_the_query_parsed():
    """`| logfmt` in raw LogQL gives its fields; names of the builder stay inside."""
    entry = LogEntry(1, "a=1", parsed={"a": "1", "_field_0": "x", "__error__": "y"})
    assert {"a": "1"} == entry.fields


def test_equal_entries():
    """The same line of the same stream at the same time is the same entry."""
    assert LogEntry(1, "x", {"a": "b"}) == LogEntry(1, "x", {"a": "b"})
    assert LogEntry(1, "x", {"a": "b"}) != LogEntry(1, "x", {"a": "c"})
    assert 1 == len({LogEntry(1, "x"), LogEntry(1, "x")})
    assert LogEntry(1, "x") == dict(LogEntry(1, "x"))
    assert LogEntry(1, "x") != 1


def test_entry_of_a_tail_has_no_cursor():
    """A tail has no order to go on in."""
    with pytest.raises(ValueError, match="iter_logs"):
        _ = LogEntry(1, "x").cursor


@pytest.mark.parametrize(("levels", "fields"), [(199, True), (200, False), (900, False)])
def test_entry_can_always_be_written(levels, fields):
    """A line may be nested more deeply than JSON is written; then it is text."""
    line = f'{{"message":"m","a":{"[" * levels}{"]" * levels}}}'
    entry = LogEntry(1, line)
    assert line.encode() in orjson.dumps({**entry, "raw": "", "message": ""}) or not fields
    assert ("m" if fields else line, fields) == (entry.message, bool(entry.fields))
