"""One audit record: who did what to what, when, and whether it worked."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from loglane.carry import current_masker
from loglane.event_id import new_event_id
from loglane.logger import active_engine
from loglane.masking import Masker
from loglane.trace import get_trace_id
from loglane.values import Sanitizer

Event = TypeVar("Event", bound="AuditEvent")

MAX_ERROR = 8000
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def _event_id(value: Any) -> Any:
    text = str(value) if isinstance(value, UUID) else value
    if isinstance(text, str) and _UUID.fullmatch(text.lower()):
        return text.lower()
    raise ValueError("should be a UUID, such as 0192d4a8-6f00-7000-8000-000000000000")


def _id_text(value: Any) -> Any:
    """Take ids as apps have them: numbers and UUIDs become text."""
    if isinstance(value, (int, UUID)) and not isinstance(value, bool):
        return str(value)
    return value


def _short(value: Any) -> Any:
    if isinstance(value, BaseException):
        value = f"{type(value).__name__}: {value}"
    if isinstance(value, str) and len(value) > MAX_ERROR:
        return f"{value[:MAX_ERROR]}...[+{len(value) - MAX_ERROR} chars]"
    return value


def _utc(value: datetime) -> datetime:
    return value.astimezone(timezone.utc)


def _now() -> datetime:
    return datetime.now(timezone.utc)


Id = Annotated[str, BeforeValidator(_id_text), Field(max_length=255)]


class AuditEvent(BaseModel):
    """One record; frozen, strict, and closed to names it does not know.

    An app's own fields go into a subclass; they are stored in `extra`, under their names.

    Attributes:
        event_id: UUID, version 7 when it is made here; a record is stored once for each id.
        occurred_at: When it happened; any time zone, kept in UTC.
        actor: Who did it: a user's name or id, a service. By default `user_id`.
        user_id: Id of the user on whose behalf it was done.
        action: What was done, such as `delete_order`.
        resource: What it was done to, such as `order:17`.
        status: Whether it worked.
        error: Why it did not.
        trace_id: Of the request; by default the current one (see `completed`).
        service: By default the configured one.
        env: By default the configured one.
        duration_ms: How long it took, in milliseconds.
        extra: Whatever else is to be kept; JSON values.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    event_id: Annotated[str, BeforeValidator(_event_id)] = Field(default_factory=new_event_id)
    occurred_at: Annotated[AwareDatetime, AfterValidator(_utc)] = Field(default_factory=_now)
    actor: Id | None = None
    user_id: Id | None = None
    action: Annotated[str, Field(min_length=1, max_length=128)]
    resource: Annotated[str, BeforeValidator(_id_text), Field(max_length=512)] | None = None
    status: Literal["success", "failure"] = "success"
    error: Annotated[str, BeforeValidator(_short)] | None = None
    trace_id: Annotated[str, Field(max_length=128)] | None = None
    service: Annotated[str, Field(max_length=128)] | None = None
    env: Annotated[str, Field(max_length=64)] | None = None
    duration_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    extra: dict[str, Any] = Field(default_factory=dict)

    def completed(self: Event) -> Event:
        """Return the record with what the process knows: actor, trace id, service and env."""
        known: dict[str, Any] = {"actor": self.user_id, "trace_id": get_trace_id()}
        engine = active_engine()
        if engine is not None:
            static = engine.settings.static
            known |= {"service": static.service, "env": static.env}
        missing = {
            name: value
            for name, value in known.items()
            if value is not None and getattr(self, name) is None
        }
        return self.model_copy(update=missing) if missing else self

    def row(self) -> dict[str, Any]:
        """Return what is stored, by column: masked, as the lines of this process are.

        Fields of a subclass are in `extra`.
        """
        given = self.__dict__
        values = {name: given[name] for name in _MASKED}
        own = _own_names(type(self))
        if own:
            values["extra"] = {**values["extra"], **{name: given[name] for name in own}}
        row = _sanitizer(current_masker()).record(values)
        for name in _PLAIN:
            row[name] = given[name]
        for name, limit in _LIMITS.items():
            value = row[name]
            if value is not None and len(value) > limit:
                # A mask may be longer than what it hides.
                row[name] = value[:limit]
        return row

    def dump(self) -> bytes:
        """Return the record as JSON, masked; `load` reads it."""
        return orjson.dumps(self.row())


COLUMNS = tuple(AuditEvent.model_fields)
# These were checked to be what they are: nothing can be hidden in them.
_PLAIN = ("event_id", "occurred_at", "status", "duration_ms")
_LIMITS = {
    "actor": 255, "user_id": 255, "action": 128, "resource": 512, "trace_id": 128, "service": 128,
    "env": 64,
}  # fmt: skip
_MASKED = tuple(name for name in COLUMNS if name not in _PLAIN)


@lru_cache(maxsize=256)
def _own_names(kind: type[AuditEvent]) -> tuple[str, ...]:
    return tuple(name for name in kind.model_fields if name not in COLUMNS)


def load(data: bytes) -> AuditEvent:
    """Return the record that `dump` wrote.

    Raises:
        ValueError: It is none.
    """
    return AuditEvent.model_validate_json(data)


@lru_cache(maxsize=8)
def _sanitizer(masker: Masker) -> Sanitizer:
    return Sanitizer(masker)
