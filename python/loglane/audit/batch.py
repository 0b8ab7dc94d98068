"""Records that are written at once, and what is to be known of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from loglane.audit.event import AuditEvent
from loglane.audit.marked import event_of_line
from loglane.audit.sink import Masked, Outcome
from loglane.sinks.audit import Outbox, Record, event_id_of

Bad = tuple[Record, str]

# Records are read so many at a time; the app's own tasks have their turn in between.
_READ_AT_ONCE = 50
# Ids that are named in one line.
NAMED = 20


@dataclass
class Batch:
    """Records that are written at once.

    Attributes:
        records: As they were taken.
        events: What is written, each id once.
        by_id: The records of each id; more than one when a line was recorded twice.
        bad: Records that are none, and why.
    """

    records: Sequence[Record]
    events: list[AuditEvent] = field(default_factory=Masked)
    by_id: dict[str, list[Record]] = field(default_factory=dict)
    bad: list[Bad] = field(default_factory=list)


async def read(records: Sequence[Record], model: type[AuditEvent]) -> Batch:
    """Return the batch of records; those that are none are in `bad`."""
    batch = Batch(records)
    for number, record in enumerate(records, 1):
        if number % _READ_AT_ONCE == 0:
            await asyncio.sleep(0)
        try:
            event = event_of_line(record[0], model)
        except ValueError as error:
            batch.bad.append((record, str(error)))
            continue
        except Exception as error:  # noqa: BLE001 - a validator of the app's own model
            batch.bad.append((record, f"the model failed: {type(error).__name__}"))
            continue
        same = batch.by_id.setdefault(event.event_id, [])
        if not same:
            batch.events.append(event)
        same.append(record)
    return batch


def check(batch: Batch, outcomes: Sequence[Outcome]) -> None:
    """Make sure that there is an outcome for each record.

    Raises:
        RuntimeError: There is not; the sink has a bug.
    """
    told = {outcome.event_id for outcome in outcomes}
    if len(outcomes) != len(batch.events) or told != set(batch.by_id):
        raise RuntimeError("the sink did not say what became of each record")


def ids_of(records: Sequence[Record]) -> list[str]:
    """Return the ids of the first records."""
    return [event_id_of(line) or "without id" for line, _, _ in records[:NAMED]]


def by_outbox(records: Sequence[Record]) -> dict[Outbox, list[int]]:
    """Return the ids of those records that are in an outbox, by outbox."""
    found: dict[Outbox, list[int]] = {}
    for _, _, row in records:
        if row is not None:
            found.setdefault(row.outbox, []).append(row.id)
    return found
