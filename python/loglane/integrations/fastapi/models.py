"""What the router answers, as OpenAPI shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from loglane.query import LogEntry

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_LINE: dict[str, Any] = {
    "timestamp": "2026-11-22T03:04:05.123456+00:00",
    "timestamp_ns": "1795316645123456000",
    "level": "error",
    "message": "payment declined",
    "labels": {"service": "orders", "env": "prod", "level": "error"},
    "metadata": {"trace_id": _TRACE},
    "fields": {"message": "payment declined", "order_id": 17},
    "raw": '{"message":"payment declined","order_id":17}',
}


class LogLine(BaseModel):
    """One stored line."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LINE]})

    timestamp: datetime = Field(description="When it was written, in UTC, to the microsecond.")
    timestamp_ns: str = Field(
        description="Nanoseconds since 1970, as text: a JavaScript number would lose digits."
    )
    level: str | None = Field(description="debug, info, warning, error or critical.")
    message: str = Field(description="What happened; the whole line when it has no message.")
    labels: dict[str, str] = Field(description="Labels of its stream.")
    metadata: dict[str, str] = Field(description="Structured metadata: ids.")
    fields: dict[str, Any] = Field(description="The fields of a JSON line.")
    raw: str = Field(description="The line as it is stored.")


class LogPage(BaseModel):
    """Some lines, and how to get those after them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"entries": [_LINE], "next_cursor": "AQH2wA..."}]}
    )

    entries: list[LogLine] = Field(description="In the order of `direction`.")
    next_cursor: str | None = Field(
        description="Give it as `cursor` with the same filters, to go on; null at the end."
    )


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="A sentence for people.")


def as_line(entry: LogEntry) -> dict[str, Any]:
    """Return an entry in the shape of `LogLine`."""
    return {**entry, "timestamp_ns": str(entry.timestamp_ns)}
