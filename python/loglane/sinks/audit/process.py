"""The one intake of a process: what waits survives a new configuration, and no fork."""

from __future__ import annotations

import atexit
import os
import threading
from multiprocessing import process, util

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
            atexit.register(_end)
            if process.parent_process() is not None:
                _end_with_finalizers()
        elif _intake.settings is not settings:
            _intake.take_over(settings)
        return _intake


def _start_child() -> None:
    global _making  # noqa: PLW0603 - another thread may have held it when the process forked
    _making = threading.RLock()
    if _intake is not None:
        _intake.start_child()
        # Finalizers of the parent are cleared after this. Called in children of multiprocessing,
        # and in those of billiard, which use its registry and are none to it otherwise.
        util.register_after_fork(_intake, lambda _: _end_with_finalizers())


def _end() -> None:
    if _intake is not None:
        _intake.end()


def _end_with_finalizers() -> None:
    """End with a child process that runs finalizers and no exit hooks."""
    util.Finalize(None, _end, exitpriority=0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_child)


def present_intake() -> AuditIntake | None:
    """Return the intake of the process, if there is one yet."""
    return _intake
