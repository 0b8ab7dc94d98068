"""What became of the audit records of this process."""

from __future__ import annotations

from typing import Any

from loglane.audit.lines import explicit_counts
from loglane.errors import AuditError
from loglane.sinks.audit import present_intake


def audit_stats() -> dict[str, Any]:
    """Return what became of audit records since the process began, or was forked.

    Returns:
        Records `queued` in memory and their `queued_bytes`, `in_hand` in batches under way;
        `written`, and `known` when they were stored before; batches `retried`; records `spilled`
        to the outbox instead of being written at once; in the file now, from all processes that
        share it, `outbox` and `dead`, None when it cannot be read; `lost` by reason (see
        `AuditIntake.losses`); `lag_s`, the age of the oldest record that is not stored, in memory,
        in hand or in the file; whether a worker `is_running` in this process; whether the database
        `is_away`, and the `last_error`, '' when all is well. `explicit` says how many records of
        `AuditLog` were `committed`, `rolled_back` and `failed`; it is alone where no line was
        marked and no worker was started in this process. Empty when there is nothing to tell.
    """
    intake, explicit = present_intake(), explicit_counts()
    if intake is None:
        return {"explicit": explicit} if any(explicit.values()) else {}
    waiting, tally, outbox, consumer = (
        intake.waiting, intake.tally, intake.outbox, intake.consumer,
    )  # fmt: skip
    pending: int | None = 0
    dead: int | None = 0
    lag_s = waiting.lag_s()
    if outbox is not None and outbox.path.exists():
        try:
            pending, dead = outbox.counts()
            lag_s = max(lag_s, outbox.age_s())
        except AuditError:
            pending = dead = None
    return {
        "queued": len(waiting),
        "queued_bytes": waiting.size,
        "in_hand": waiting.in_hand,
        **{name: tally[name] for name in ("written", "known", "retried", "spilled")},
        "outbox": pending,
        "dead": dead,
        "lost": intake.losses(),
        "lag_s": lag_s,
        "is_running": consumer is not None and consumer.is_running(),
        "is_away": bool(getattr(consumer, "is_away", False)),
        "last_error": tally.last_error,
        "explicit": explicit,
    }
