"""What a caller asks, from the parameters of the request."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import AfterValidator

from loglane.query.moments import to_ns

Level = Literal["debug", "info", "warning", "error", "critical"]
Direction = Literal["backward", "forward"]

_AGO = re.compile(r"[0-9a-z]+\Z")
_ZONE = re.compile(r"(?:[zZ]|[+-]\d\d:\d\d)\Z")
# A + that was not written as %2B arrives as a space.
_LOST_PLUS = re.compile(r"(?<=T)(\S+) (\d\d:\d\d)\Z")


def _moment(text: str) -> str:
    text = _LOST_PLUS.sub(r"\1+\2", text.strip())
    to_ns(text or "now", time.time_ns())
    if text and not _AGO.match(text) and not _ZONE.search(text):
        raise ValueError("say the time zone too, as in 2026-11-22T03:04:05Z")
    return text


Moment = Annotated[str, AfterValidator(_moment)]
Name = Annotated[str, Query(max_length=200)]

Levels = Annotated[list[Level] | None, Query(description="One of these levels.")]
Services = Annotated[
    list[Name] | None, Query(max_length=50, description="Written by one of these services.")
]
Categories = Annotated[
    list[Name] | None, Query(max_length=50, description="Of one of these kinds.")
]
Text = Annotated[
    str | None,
    Query(max_length=1000, description="Text anywhere in the line, upper and lower case as given."),
]
TraceId = Annotated[str | None, Query(max_length=128, description="Of this trace.")]
_MOMENTS: dict[str, Any] = {
    "ago": {"summary": "so long ago: s, m, h, d, w", "value": "1h"},
    "moment": {"summary": "a moment with its zone", "value": "2026-11-22T03:04:05Z"},
}
Start = Annotated[
    Moment | None,
    Query(
        description="From this moment, inclusive: RFC 3339, or so long ago. By default one hour "
        "before `end`, for one trace a day.",
        openapi_examples=_MOMENTS,
    ),
]
TailStart = Annotated[
    Moment | None,
    Query(description="From this moment; by default now.", openapi_examples=_MOMENTS),
]
End = Annotated[Moment | None, Query(description="Until this moment, exclusive; by default now.")]
Cursor = Annotated[
    str | None,
    Query(max_length=1000, description="`next_cursor` of the page before, with the same filters."),
]


async def read_filters(
    level: Levels = None,
    service: Services = None,
    log_category: Categories = None,
    text: Text = None,
    trace_id: TraceId = None,
) -> Mapping[str, Any]:
    """Return what was asked for by the names that `LogService` has; an empty one is not given."""
    asked = {
        "level": level,
        "service": service and [name for name in service if name],
        "log_category": log_category and [name for name in log_category if name],
        "contains": text,
        "trace_id": trace_id,
    }
    return {name: value for name, value in asked.items() if value}


async def read_span(start: Start = None, end: End = None) -> Mapping[str, Any]:
    """Return the time range by the names that `LogService` has."""
    asked = {"start_time": start, "end_time": end}
    return {name: value for name, value in asked.items() if value}
