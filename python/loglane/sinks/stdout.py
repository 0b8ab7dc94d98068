"""Lines to standard output, one write each."""

from __future__ import annotations

import sys
import threading


class StdoutSink:
    """Writes rendered lines to stdout; a broken stdout is counted, never raised into the app."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._writing = False
        self.dropped = 0

    def msg(self, line: bytes) -> None:
        """Write one line and flush it."""
        with self._lock:
            if self._writing:
                # A stdout that logs what is written to it would go on for ever.
                self.dropped += 1
                return
            self._writing = True
            try:
                self._write(line)
            except (AttributeError, OSError, ValueError):
                self.dropped += 1
            finally:
                self._writing = False

    def _write(self, line: bytes) -> None:
        out = sys.stdout
        out.flush()
        if hasattr(out, "buffer"):
            out.buffer.write(line + b"\n")
            out.buffer.flush()
        else:
            # A text stream that took stdout's place, such as io.StringIO.
            out.write(line.decode() + "\n")
            out.flush()

    debug = info = warning = error = critical = msg
    warn = exception = fatal = log = msg
