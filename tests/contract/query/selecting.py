"""Any text is found where it stands, and nothing else is: checks for any Loki, real or embedded."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from hypothesis import strategies as st

from loglane.query import LogService, LokiClient, Stream
from loglane.query.quoting import quote_pattern

# What breaks out of quotes, ends lines, means something to LogQL, RE2 or JSON, or looks alike.
_NASTY = "\"`'\\\n\r\t\0{}|=~!^$.*+?()[]<>&%#,;:/ \x1b\x7f\x85\xa0\u2028\ufeff\ufffdéß😀aA0_"

any_text = st.text(
    st.one_of(
        st.sampled_from(_NASTY),
        st.characters(exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=40,
)
json_writers = st.sampled_from(
    [
        json.dumps,
        lambda value: json.dumps(value, ensure_ascii=False),
        lambda v: orjson.dumps(v).decode(),
    ]
)


def others(value: str) -> list[str]:
    """Return texts that differ a little from a value, and none that has it in itself."""
    made = {
        value[:-1], value[1:], value.swapcase(), value[::-1], value.replace("\\", "\\\\"),
        json.dumps(value), repr(value), re.escape(value), value.strip(), "x", value[:1] * 2,
    }  # fmt: skip
    forms = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    return sorted(text for text in made if text and not any(form in text for form in forms))


class Shelf:
    """A stream of its own for one example, with some entries."""

    def __init__(self, client: LokiClient, service: LogService) -> None:
        self._name = f"s-{uuid.uuid4().hex}"
        self._client, self._service = client, service
        self._now_ns = time.time_ns()

    def put(self, entries: Iterable[tuple[dict[str, str], str, dict[str, str]]]) -> None:
        """Store `(labels, line, metadata)` each, a nanosecond apart."""
        self._client.push(
            Stream({"service": self._name, **labels}, [(self._now_ns + number, line, metadata)])
            for number, (labels, line, metadata) in enumerate(entries)
        )

    def found(self, **options: Any) -> list[str]:
        """Return the lines that a question finds among those that were put."""
        around = {"start_time": self._now_ns - 10**9, "end_time": self._now_ns + 10**9}
        entries = self._service.query_logs(service=self._name, **around, **options)
        return [entry.raw for entry in entries]


def check_label(shelf: Shelf, value: str) -> None:
    """A label's value selects its stream alone."""
    texts = [value, *others(value)]
    shelf.put(({"log_category": text}, f"line {n}", {}) for n, text in enumerate(texts))
    assert ["line 0"] == shelf.found(log_category=value)
    assert ["line 0"] == shelf.found(log_category=[value, "no such"])


def check_metadata(shelf: Shelf, value: str) -> None:
    """A value of structured metadata selects its entry alone."""
    texts = [value, *others(value)]
    shelf.put(({}, f"line {n}", {"user_id": text}) for n, text in enumerate(texts))
    assert ["line 0"] == shelf.found(user_id=value)
    assert ["line 0"] == shelf.found(user_id=[value, "no such"])


def check_body(shelf: Shelf, value: str, write: Callable[[object], str]) -> None:
    """A field of the line's JSON selects its entry alone, however JSON is written."""
    lines = [write({"message": "m", "note": text}) for text in [value, *others(value)]]
    lines.append(write({"message": value, "other": {"note": value}}))
    shelf.put(({}, line, {}) for line in lines)
    assert [lines[0]] == shelf.found(note=value)
    assert [lines[0]] == shelf.found(note=[value, "no such"])


def check_contains(shelf: Shelf, value: str, write: Callable[[object], str]) -> None:
    """Text is found in a plain line, and in a message that JSON escapes."""
    shelf.put(({}, line, {}) for line in [value, *others(value)])
    assert [value] == shelf.found(contains=value)
    line = write({"message": value})
    shelf.put([({"log_category": "json"}, line, {})])
    assert [line] == shelf.found(contains=value, log_category="json")


def check_matches(shelf: Shelf, value: str) -> None:
    """An expression of a quoted text matches just the lines that have it."""
    shelf.put(({}, line, {}) for line in [value, *others(value)])
    assert [value] == shelf.found(matches=quote_pattern(value))
