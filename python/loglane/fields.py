"""The contract: every field of a log line, and where each one goes in Loki.

An app's processors, the collector's stages, the dashboards, the alert rules, the query service
and the tests read it from here, so an app and its stack cannot disagree.

A **label** opens a stream of its own for each value, so only fields with few values are labels.
An id is **structured metadata**: stored beside the line, found with `| trace_id="..."`, without a
stream of its own (https://grafana.com/docs/loki/latest/get-started/labels/structured-metadata/).
Everything else stays in the **body**, the JSON line itself, and is found after `| json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Place = Literal["label", "metadata", "body"]


class Field(NamedTuple):
    """One named field: `source` says who sets it, the app's line or the collector."""

    name: str
    place: Place
    source: Literal["app", "collector"]
    meaning: str


FIELDS: tuple[Field, ...] = (
    Field("service", "label", "app", "name of the service that wrote the line"),
    Field("env", "label", "app", "environment: dev, staging, prod"),
    Field("level", "label", "app", "one of LEVELS"),
    Field("log_category", "label", "app", "kind of line: access, audit, system, ..."),
    Field("container_name", "label", "collector", "container that wrote the line"),
    Field("compose_project", "label", "collector", "compose project of that container"),
    Field("stream", "label", "collector", "stdout or stderr"),
    Field("trace_id", "metadata", "app", "32 hex digits, as in W3C traceparent"),
    Field("span_id", "metadata", "app", "16 hex digits, as in W3C traceparent"),
    Field("request_id", "metadata", "app", "id of one HTTP request"),
    Field("event_id", "metadata", "app", "id of one audit event"),
    Field("user_id", "metadata", "app", "id of the user on whose behalf the app acts"),
    Field("timestamp", "body", "app", "RFC 3339, UTC, microseconds"),
    Field("message", "body", "app", "what happened, as a sentence or an event name"),
    Field("logger", "body", "app", "dotted name of the logger"),
    Field("exception", "body", "app", "traceback as one string, without local variables"),
)

LABELS: tuple[str, ...] = tuple(f.name for f in FIELDS if f.place == "label")
STRUCTURED_METADATA: tuple[str, ...] = tuple(f.name for f in FIELDS if f.place == "metadata")
BODY: tuple[str, ...] = tuple(f.name for f in FIELDS if f.place == "body")
COLLECTOR_LABELS: tuple[str, ...] = tuple(
    f.name for f in FIELDS if f.place == "label" and f.source == "collector"
)

LEVELS: tuple[str, ...] = ("debug", "info", "warning", "error", "critical")
ERROR_LEVELS: tuple[str, ...] = ("error", "critical")

# Loki's default `max_label_names_per_series` (loki: pkg/validation/limits.go).
MAX_LABELS = 15

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_ID_NAME = re.compile(r"(?i:(.*_)?(id|ids|uuid|guid))\Z|.*[a-z](Id|ID|Ids|IDs)\Z")
_MANY_VALUES = frozenset(
    {"message", "msg", "line", "timestamp", "time", "ts", "exception", "url", "path", "ip"}
)


def has_many_values(name: str) -> bool:
    """Tell whether a field of this name has too many values to be a label."""
    lowered = name.lower()
    if lowered in _MANY_VALUES or lowered.endswith("uuid"):
        return True
    return _ID_NAME.match(name) is not None


def route(
    record: Mapping[str, Any],
    labels: tuple[str, ...] = LABELS,
    metadata: tuple[str, ...] = STRUCTURED_METADATA,
) -> tuple[dict[str, str], dict[str, str]]:
    """Split a record's fields as the collector does.

    Args:
        record: A parsed log line.
        labels: Names that become labels.
        metadata: Names that become structured metadata.

    Returns:
        `(labels, structured metadata)`, both with string values; absent, null and empty fields
        are left out, because Loki drops empty values.
    """
    return _strings(record, labels), _strings(record, metadata)


def _strings(record: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    present = {name: record.get(name) for name in names}
    return {name: str(value) for name, value in present.items() if value not in (None, "")}
