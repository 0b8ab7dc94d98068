"""From the arguments of `query_logs` to a query: each field goes to its place in the contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias
from uuid import UUID

from loglane.fields import ERROR_LEVELS, LABELS, STRUCTURED_METADATA
from loglane.query.bodyfield import Scalar
from loglane.query.logql import Query

# One value, or several of which one must fit.
Value: TypeAlias = "Scalar | UUID | Enum | Iterable[Scalar | UUID | Enum]"
Text: TypeAlias = "str | Iterable[str]"

_LEVEL_NAMES = {"warn": "warning", "fatal": "critical"}


@dataclass(frozen=True, slots=True)
class Places:
    """Which fields are labels and which are structured metadata; the others are in the body."""

    labels: frozenset[str] = frozenset(LABELS)
    metadata: frozenset[str] = frozenset(STRUCTURED_METADATA)


@dataclass(frozen=True, slots=True)
class Filters:
    """What `query_logs` selects by.

    Attributes:
        level: One of `LEVELS`, or several; case does not matter.
        log_category: Kind of line.
        service: Name of the service.
        trace_id: Trace, as structured metadata has it.
        contains: Text that the line has; of several each.
        matches: RE2 expression that is found in the line; of several each.
        fields: Any other field by its name.
    """

    level: Text | None = None
    log_category: Text | None = None
    service: Text | None = None
    trace_id: Text | None = None
    contains: Text | None = None
    matches: Text | None = None
    fields: Mapping[str, Value] = field(default_factory=dict)

    def query(self, places: Places, base: Query) -> Query:
        """Build the query on top of `base`.

        Raises:
            ValueError: A name or a value that no query can have.
            TypeError: A value that is neither text, number, boolean, None, UUID nor a list of them.
        """
        query = base
        if self.level is not None:
            query = query.label("level", *(_level(name) for name in _listed(self.level)))
        named = {
            "log_category": self.log_category, "service": self.service, "trace_id": self.trace_id,
        }  # fmt: skip
        given = {name: value for name, value in named.items() if value is not None}
        for name, value in {**given, **self.fields}.items():
            query = with_field(query, name, value, places)
        for text in _listed(self.contains or ()):
            query = query.contains_text(text)
        for pattern in _listed(self.matches or ()):
            query = query.matches(pattern)
        return query


ERRORS: tuple[str, ...] = ERROR_LEVELS


def with_field(query: Query, name: str, value: Any, places: Places) -> Query:
    """Add the condition that a field has a value, or one of several.

    Raises:
        ValueError: As the methods of `Query`.
        TypeError: A value of another type.
    """
    values = [_scalar(name, item) for item in _listed(value)]
    if name in places.labels:
        return query.label(name, *map(_label_text, values))
    if name in places.metadata:
        return query.metadata(name, *map(_label_text, values))
    return query.field(name, *values)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def _scalar(name: str, value: Any) -> Scalar:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, UUID):
        return str(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{name}: cannot compare with {type(value).__name__}; give text or a number")


def _label_text(value: Scalar) -> str:
    # Labels and structured metadata are texts; what is not there is empty.
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _level(name: Any) -> str:
    if isinstance(name, Enum):
        name = name.value
    if not isinstance(name, str):
        raise TypeError(f"level: give its name, not {type(name).__name__}")
    lowered = name.lower()
    return _LEVEL_NAMES.get(lowered, lowered)
