"""Where batches of audit records are written: the one seam behind which a database is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from loglane.audit.event import AuditEvent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one record of a batch.

    Attributes:
        event_id: Of the record.
        status: `written`; `known`, when a record of this id was there before; `refused`, when it
            will never be taken.
        reason: Why it was refused.
    """

    event_id: str
    status: Literal["written", "known", "refused"]
    reason: str = ""


class Masked(list[AuditEvent]):
    """Records that were read from lines: what had to be masked was, when they were written."""


class AuditSink(Protocol):
    """Writes batches; idempotent by `event_id`, so that a batch may be written again."""

    async def write(self, batch: Sequence[AuditEvent]) -> Sequence[Outcome]:
        """Write a batch, all or nothing but for records that are refused.

        Args:
            batch: Records, masked and complete; ids are unique in it.

        Returns:
            One outcome for each, in the same order, when they are committed.

        Raises:
            SinkUnavailable: Nothing is known to be written; the same batch may be tried again.
        """

    async def close(self) -> None:
        """Give connections back; never raises."""
