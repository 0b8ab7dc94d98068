"""The one intake of a process: what waits survives a new configuration, and no fork."""

from __future__ import annotations

import os
import threading

from loglane.settings.audit import Audit
from loglane.sinks.audit.intake import AuditIntake

_intake: AuditIntake | None = None
_making = threading.RLock()


def intake_of(settings: Audit) -> AuditIntake:
    """Return the one intake of the process, with these limits from now on."""
    global _intake  # noqa: PLW0603 - one for the process
    with _making:
        if _intake is None:
            _intake = AuditIntake(settings)
        elif _intake.settings is not settings:
            _intake.take_over(settings)
        return _intake


def _start_child() -> None:
    global _making  # noqa: PLW0603 - another thread may have held it when the process forked
    _making = threading.RLock()
    if _intake is not None:
        _intake.start_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_child)


def present_intake() -> AuditIntake | None:
    """Return the intake of the process, if there is one yet."""
    return _intake
