"""Lines to standard output, one write each."""

from __future__ import annotations

import functools
import io
import os
import select
import sys
import threading
from collections.abc import Callable
from typing import Any

# How long a line may wait for a reader of a stdout that somebody made non-blocking.
_FULL_PIPE_TIMEOUT_S = 1.0
_HURRY_S = 0.5


class StdoutSink:
    """Writes rendered lines to whatever `sys.stdout` is at that moment.

    A line goes to the file descriptor in one call, after what `print` left in the buffer, so that
    lines of threads and processes do not run into each other. A stdout that fails is counted in
    `dropped`, never raised into the app.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._torn = False
        self.start_child()
        self._look()

    def start_child(self) -> None:
        """Begin anew after a fork, when another thread may have held the lock."""
        # Re-entrant: a signal handler may log while its own thread writes.
        lock = threading.RLock()
        self._acquire: Callable[[], bool] = lock.acquire
        self._release = lock.release
        self._lock = lock
        self._writing = False
        self._patient = True

    def hurry(self) -> None:
        """Wait but shortly from now on: a thread may write to a reader that has stopped."""
        self._acquire = functools.partial(self._lock.acquire, timeout=_HURRY_S)

    def write(self, line: bytes) -> None:
        """Write one line; it ends with its newline."""
        if not self._acquire():
            self.dropped += 1
            return
        try:
            if sys.stdout is not self._out or self._torn:
                line = self._look_again(line)
            if self._flush is None:
                self._write_to_object(line)
                return
            self._flush()
            written = os.write(self._fd, line)
            if written != len(line):
                self._write_rest(line, written)
        except (BlockingIOError, RuntimeError):
            # Nobody reads; or a signal came within a print, whose buffer then cannot be flushed.
            self._write_rest(line, 0)
        except Exception:  # noqa: BLE001 - whatever a stdout raises must not reach the log call
            self.dropped += 1
        finally:
            self._release()

    def _look(self) -> None:
        """Find out how to write to stdout; without `_flush` there is no file descriptor."""
        self._out: Any = sys.stdout
        self._fd = -1
        self._flush: Callable[[], None] | None = None
        if type(self._out) is io.TextIOWrapper:
            try:
                self._fd = self._out.fileno()
            except (OSError, ValueError):
                return
            self._flush = self._out.flush

    def _look_again(self, line: bytes) -> bytes:
        torn, self._torn = self._torn, False
        self._look()
        # The line before ended in its middle; this one must not continue it.
        return b"\n" + line if torn else line

    def _write_to_object(self, line: bytes) -> None:
        if self._writing:
            # A stdout that logs what is written to it would go on for ever.
            os.write(sys.__stdout__.fileno(), line)  # type: ignore[union-attr]
            return
        self._writing = True
        try:
            self._out.flush()
            if hasattr(self._out, "buffer"):
                self._out.buffer.write(line)
                self._out.buffer.flush()
            else:
                # A text stream that took stdout's place, such as io.StringIO.
                self._out.write(line.decode())
                self._out.flush()
        except RuntimeError as error:
            raise OSError(str(error)) from error
        finally:
            self._writing = False

    def _write_rest(self, line: bytes, written: int) -> None:
        try:
            while written < len(line):
                try:
                    written += os.write(self._fd, line[written:])
                    self._patient = True
                except BlockingIOError:
                    # Once; as long as nobody reads, further lines do not wait.
                    wait_s, self._patient = _FULL_PIPE_TIMEOUT_S * self._patient, False
                    if not select.select([], [self._fd], [], wait_s)[1]:
                        raise
        except Exception:  # noqa: BLE001 - whatever a stdout raises must not reach the log call
            self.dropped += 1
            # The next line must not continue this one.
            self._torn = written > 0
