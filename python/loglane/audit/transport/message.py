"""What one message of the stream holds: a batch, each record as a field under its event_id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from loglane.audit.event import AuditEvent, load


@dataclass(frozen=True, slots=True)
class Message:
    """A message as Redis has it.

    Attributes:
        id: Its place in the stream: milliseconds since 1970, a dash, a number.
        fields: The records by event_id, each as JSON.
    """

    id: str
    fields: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that will never be stored, and why.

    Attributes:
        event_id: Of the record.
        record: As it came.
        reason: Why it is not stored.
    """

    event_id: str
    record: bytes
    reason: str


def pack(batch: Sequence[AuditEvent]) -> dict[str, bytes]:
    """Return the fields of one message."""
    return {event.event_id: event.dump() for event in batch}


def unpack(messages: Iterable[Message]) -> tuple[dict[str, AuditEvent], list[DeadLetter]]:
    """Return the records of messages by event_id, each once, and those that are none."""
    events: dict[str, AuditEvent] = {}
    broken = []
    for message in messages:
        for name, record in message.fields.items():
            try:
                event = load(record)
            except ValueError as error:
                shown = name.decode("utf-8", "replace")
                broken.append(DeadLetter(shown, record, f"is no audit record: {_why(error)}"))
            else:
                events[event.event_id] = event
    return events, broken


def _why(error: ValueError) -> str:
    """Return what is wrong without the values, which are in the letter itself."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        ": ".join([*(str(part) for part in one["loc"]), one["msg"]]) for one in found[:10]
    )
