"""The ends and forks of a process: what is pending is written, and a child begins anew."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from types import FrameType
from typing import Any

from loglane.logger import active_engine

_registered = False
_before: Any = None


def install() -> None:
    """Hook into exit, fork and SIGTERM; again and again does no harm."""
    global _registered  # noqa: PLW0603 - exit and fork hooks cannot be taken back
    if not _registered:
        _registered = True
        atexit.register(flush)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_start_child)
    _install_signal()


def flush() -> None:
    """Write what is pending: summaries of suppressed errors, and counts of lost lines."""
    engine = active_engine()
    if engine is not None:
        engine.flush()


def uninstall() -> None:
    """Give SIGTERM back, unless somebody has taken it since."""
    # Another thread than the main one cannot; the handler then stays and passes the signal on.
    if _may_set() and signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, _before)


def _install_signal() -> None:
    global _before  # noqa: PLW0603 - the one handler of the process
    found = signal.getsignal(signal.SIGTERM) if _may_set() else None
    # None stands for a handler that is not Python's; it stays.
    if found is None or found is signal.SIG_IGN or found is _on_sigterm:
        return
    _before = found
    signal.signal(signal.SIGTERM, _on_sigterm)


def _may_set() -> bool:
    return threading.current_thread() is threading.main_thread()


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    flush()
    if callable(_before):
        _before(number, frame)
        return
    # The default: end by this signal, so that whoever waits for us sees what it was.
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _start_child() -> None:
    engine = active_engine()
    if engine is not None:
        engine.start_child()
