"""The ends and forks of a process: what is pending is written, and a child begins anew."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from loglane.logger import active_engine

_Handler = Callable[[int, FrameType | None], Any]

_registered = False
# Ours, and what was there before it.
_installed: tuple[_Handler, Any] | None = None
_last: list[Callable[[], None]] = []


def install(start_child: Callable[[], None], at_exit: Callable[[], None]) -> None:
    """Hook into fork and SIGTERM; again and again does no harm.

    Args:
        start_child: Called first in a forked child.
        at_exit: Called last when the interpreter exits.
    """
    global _registered  # noqa: PLW0603 - fork hooks cannot be taken back
    if not _registered:
        _registered = True
        _last.append(at_exit)
        _flush_with_finalizers()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=lambda: _start_child(start_child))
    _install_signal()


def _end() -> None:
    engine = active_engine()
    if engine is not None:
        engine.end()
    for call in _last:
        call()


# Exit hooks are called in the reverse order, and those that an app registers log lines, too: so
# this one is there before any of theirs. Until something is configured it does nothing.
atexit.register(_end)


def flush() -> None:
    """Write what is pending: summaries of suppressed errors, and counts of lost lines."""
    engine = active_engine()
    if engine is not None:
        engine.flush()


def uninstall() -> None:
    """Give SIGTERM back, unless somebody has taken it since."""
    global _installed  # noqa: PLW0603 - the one handler of the process
    # Another thread than the main one cannot; the handler then stays and passes the signal on.
    if _installed is not None and _may_set() and signal.getsignal(signal.SIGTERM) is _installed[0]:
        signal.signal(signal.SIGTERM, _installed[1])
        _installed = None


def _install_signal() -> None:
    global _installed  # noqa: PLW0603 - the one handler of the process
    found = signal.getsignal(signal.SIGTERM) if _may_set() else None
    # None stands for a handler that is not Python's; it stays.
    if found is None or found is signal.SIG_IGN:
        return
    if _installed is None or found is not _installed[0]:
        _installed = (_make_handler(found), found)
        signal.signal(signal.SIGTERM, _installed[0])


def _may_set() -> bool:
    return threading.current_thread() is threading.main_thread()


def _make_handler(before: Any) -> _Handler:
    def handle(number: int, frame: FrameType | None) -> None:
        engine = active_engine()
        if engine is not None:
            engine.flush(hurry=True)
        if callable(before):
            before(number, frame)
            return
        # The default: end by this signal, so that whoever waits for us sees what it was.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    return handle


def _start_child(start_child: Callable[[], None]) -> None:
    start_child()
    engine = active_engine()
    if engine is not None:
        engine.start_child()
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        # Finalizers of the parent are cleared after this.
        util.register_after_fork(flush, lambda _: _flush_with_finalizers())


def _flush_with_finalizers() -> None:
    """Flush at the end of a child of multiprocessing, which runs finalizers and no exit hooks."""
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, flush, exitpriority=0)
