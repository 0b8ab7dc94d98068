"""Records that nobody takes, because no worker was started in their process: that is said, once."""

from __future__ import annotations

import os

from loglane.sinks.audit.intake import AuditIntake

# A script may be over before; an app that waits longer for its worker has none.
NEGLECTED_S = 30.0
NEGLECTED = (
    "audit records wait in memory, and no audit worker runs in this process: start an AuditWorker, "
    "in each process after a fork"
)


class Neglect:
    """Finds out that records wait for nobody."""

    def __init__(self, intake: AuditIntake) -> None:
        """Set where they wait."""
        self._intake = intake
        # A forked child has a worker of its own, or none.
        self._said_by = 0

    def complaint(self) -> str:
        """Return what is to be said now, or ''."""
        if self._intake.waiting.age_s() < NEGLECTED_S or self._said_by == os.getpid():
            return ""
        consumer = self._intake.consumer
        if consumer is not None and consumer.is_running():
            return ""
        self._said_by = os.getpid()
        return NEGLECTED
