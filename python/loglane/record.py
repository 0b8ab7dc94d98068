"""From an entry to the fields of its line, in their order and not yet masked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from loglane.context import current_frame
from loglane.entry import Entry, ExcInfo, find_caller, format_message, format_stack
from loglane.exceptions import format_exception
from loglane.flow import Summary
from loglane.trace import active_span

# Set on every line; a field of the context or the call that is named so is kept as `<name>_`.
OWN: tuple[str, ...] = ("timestamp", "level", "message", "logger", "service", "env")


def timestamp(time_ns: int | None = None) -> str:
    """Return a time in RFC 3339, UTC, with microseconds; None means now."""
    seconds, rest = divmod(time.time_ns() if time_ns is None else time_ns, 1_000_000_000)
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def begin_record(entry: Entry, message: Any, static: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that every line has."""
    return {
        "timestamp": timestamp(entry.time_ns),
        "level": entry.level,
        "message": message,
        "logger": entry.logger,
        **static,
    }


def build_record(
    entry: Entry,
    exc_info: ExcInfo | None,
    static: Mapping[str, Any],
    *,
    hides: Callable[[object], bool],
    wants_place: bool,
) -> dict[str, Any]:
    """Put the fields of a line together.

    Args:
        entry: The call.
        exc_info: The exception that the line is about, if any.
        static: Fields that are the same on every line.
        hides: Tells which names are hidden.
        wants_place: Whether the line says which module and line wrote it.

    Returns:
        Own fields, then the logger's, the context's and the call's, then the exception.
    """
    message, problem = format_message(entry.event, entry.args, hides)
    record = begin_record(entry, message, static)
    if problem:
        record |= {"args": entry.args, "message_error": problem}
    if wants_place:
        record["module"], record["line"] = entry.place or find_caller()
    # First the logger's fields, then the context's; of the same name the logger's wins.
    given = {**entry.bound, **trace_fields(), **entry.bound, **entry.fields}
    given.pop("exc_info", None)
    stack = given.pop("stack_info", None)
    for name, value in given.items():
        free = name
        while free in record:
            free += "_"
        record[free] = value
    if stack:
        record["stack"] = stack if isinstance(stack, str) else format_stack()
    if exc_info is not None:
        if "exception" in record:
            record["exception_"] = record["exception"]
        record["exception"] = format_exception(exc_info[1], exc_info[2])
    return record


def trace_fields() -> dict[str, Any]:
    """Return the fields of the context, with OpenTelemetry's ids while a span is active."""
    fields = current_frame().fields
    span = active_span()
    return fields if span is None else {**fields, "trace_id": span[0], "span_id": span[1]}


def summary_entry(summary: Summary) -> Entry:
    """Return the line that says how many errors were held back."""
    fields = {
        "suppressed": summary.suppressed,
        "count": summary.count,
        "pattern": summary.message,
        "error": summary.exception or None,
        "where": summary.where or None,
        "first_seen": timestamp(int(summary.first_seen * 1e9)),
        "last_seen": timestamp(int(summary.last_seen * 1e9)),
    }
    return Entry(
        summary.level,
        summary.logger,
        "repeated errors were suppressed",
        fields={name: value for name, value in fields.items() if value is not None},
    )
