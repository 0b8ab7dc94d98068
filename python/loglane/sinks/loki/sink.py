"""Lines straight to Loki, without a collector."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from loglane.settings.loki import LokiPush
from loglane.sinks.loki.courier import Courier
from loglane.sinks.loki.lines import LineQueue
from loglane.sinks.loki.sender import Sender
from loglane.sinks.loki.sources import MemorySource, Source
from loglane.sinks.loki.streams import Encoder
from loglane.sinks.loki.tally import Complaints, Tally

if TYPE_CHECKING:
    from loglane.sinks.loki.spool import SpoolSource

_LOOK_EVERY_S = 0.01
# For one more try of a Loki that seems to be gone, and for a thread to end.
_LAST_TRY_S = 1.0


class LokiSink:
    """Pushes lines to Loki in the background; a call only puts a line into a bounded queue.

    Nothing is raised into the caller. A thread, started with the first line, sends in batches,
    tries again while Loki is away, and counts what has to be given up.
    """

    def __init__(self, settings: LokiPush, on_losses: Callable[[], None] = lambda: None) -> None:
        """Set what is sent where.

        Args:
            settings: The section `loki`.
            on_losses: Called in the sink's thread when Loki takes lines again after some were
                lost; what it logs is sent too.
        """
        self._settings = settings
        self._on_losses = on_losses
        batch, queue = settings.batch, settings.queue
        self._queue = LineQueue(queue.max_items, queue.max_bytes, batch.max_bytes)
        self._encoder = Encoder(settings.labels, batch.encoding, batch.max_line_bytes)
        self._begin()
        if settings.wal.dir is not None:
            # What another process has left must not wait for a line of this one.
            self._start()

    def _begin(self) -> None:
        # Re-entrant: a signal handler may log while its own thread starts the other.
        self._starting = threading.RLock()
        self._tally = Tally()
        self._told = 0
        self._complaints = Complaints(self._settings.url)
        self._courier = self._new_courier()
        self._spool: SpoolSource | None = None
        self._source: Source = MemorySource(self._queue)
        self._sender: Sender | None = None
        self._thread: threading.Thread | None = None
        # Lines of these threads are about the pushes themselves.
        self._muted: frozenset[int | None] = frozenset()
        self._is_ending = False

    def write(self, line: bytes, rank: int) -> None:
        """Take one line.

        Args:
            line: The rendered line, without its newline.
            rank: Its level as an index into `fields.LEVELS`.
        """
        if get_ident() in self._muted:
            return
        self._queue.put(line, rank)
        if self._thread is None:
            self._start()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until all lines are delivered.

        Args:
            timeout_s: For how long; by default `timeouts.drain_s`.

        Returns:
            Whether they are. If not it is said on stderr, because the process may end now.
        """
        wait_s = self._settings.timeouts.drain_s if timeout_s is None else timeout_s
        until = time.monotonic() + wait_s
        if self._is_ending or not self._is_running():
            self._send_here(until)
        is_done = self._wait(until)
        if not is_done:
            self._tell_rest()
        return is_done

    def hurry(self) -> None:
        """Send from the caller's thread from now on, because a signal ends the process.

        The sink's thread may wait for a lock that the interrupted code holds.
        """
        self._is_ending = True

    def close(self) -> None:
        """Deliver what there is, and end the threads."""
        self.flush()
        if self._sender is not None:
            self._sender.stop()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(_LAST_TRY_S)
        if self._spool is not None:
            self._spool.close()

    def start_child(self) -> None:
        """Begin anew in a forked child: the parent sends what was in the queue."""
        self._courier.abandon()
        if self._spool is not None:
            self._spool.abandon()
        self._queue.start_child()
        self._begin()

    def losses(self) -> Counter[str]:
        """Return how many lines were given up, by reason."""
        full = {f"queue_full.{level}": count for level, count in self._queue.dropped.items()}
        return Counter({**self._tally.lost, **full})

    def stats(self) -> dict[str, Any]:
        """Return numbers since the start of the process; see `loglane.loki_sink_stats`."""
        tally, spool = self._tally, self._spool
        return {
            "queued": self._queue.items,
            "queued_bytes": self._queue.bytes,
            "wal_lines": spool.pending_records if spool is not None else 0,
            "wal_bytes": spool.pending_bytes if spool is not None else 0,
            "sent": tally.sent,
            "batches": tally.batches,
            "retries": tally.retries,
            "dropped": dict(self.losses()),
            "is_away": self._courier.breaker.failures > 0,
            "last_error": tally.last_error,
        }

    def _new_courier(self, timeout_s: float | None = None) -> Courier:
        return Courier(self._settings, self._encoder, self._tally, self._complaints, timeout_s)

    def _new_sender(self, courier: Courier) -> Sender:
        return Sender(self._settings, self._source, self._encoder, courier, self._delivered)

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            if self._settings.wal.dir is not None:
                self._spool = self._new_spool(Path(self._settings.wal.dir))
                self._source = self._spool
            self._sender = sender = self._new_sender(self._courier)
            self._thread = threading.Thread(target=sender.run, name="loglane-loki", daemon=True)
            try:
                if self._spool is not None:
                    self._spool.start()
                self._thread.start()
            except RuntimeError:
                # The interpreter is ending: flush sends.
                return
            spooling = self._spool.ident if self._spool is not None else None
            self._muted = frozenset((self._thread.ident, spooling))

    def _new_spool(self, folder: Path) -> SpoolSource:
        from loglane.sinks.loki.spool import SpoolSource
        from loglane.sinks.loki.wal import Wal

        def report(text: str) -> None:
            self._complaints.say(text, f"{folder}: {text}")

        return SpoolSource(
            self._queue, Wal(folder, self._settings.wal.max_bytes, report=report), report
        )

    def _wait(self, until: float) -> bool:
        sender, breaker = self._sender, self._courier.breaker
        failures = breaker.failures
        if sender is not None:
            sender.hurry()
        try:
            while not (is_done := self._is_done()):
                is_gone = breaker.is_open and breaker.failures > failures
                if is_gone or time.monotonic() >= until or not self._is_running():
                    break
                time.sleep(_LOOK_EVERY_S)
        finally:
            if sender is not None:
                sender.hurry(False)
        return is_done

    def _is_done(self) -> bool:
        # In this order: the sender says that it is busy before it takes anything.
        return self._source.is_empty() and not (self._sender is not None and self._sender.is_busy)

    def _send_here(self, until: float) -> None:
        if self._spool is not None:
            self._spool.spool()
            return
        if self._courier.breaker.is_open:
            until = min(until, time.monotonic() + _LAST_TRY_S)
        courier = self._new_courier(max(0.1, until - time.monotonic()))
        sender = self._new_sender(courier)
        sender.hurry()
        sender.send(until)
        courier.close()

    def _tell_rest(self) -> None:
        if self._spool is not None and not self._queue.items:
            lines, place = self._spool.pending_records, self._settings.wal.dir
            words = f"{lines} lines wait in {place} and are sent by the next process that uses it"
        else:
            held = self._sender.in_hand if self._sender is not None else 0
            words = f"{self._queue.items + held} lines are lost if the process ends now"
        reason = self._tally.last_error or "there was no time"
        self._complaints.say("rest", f"{words}: {reason}")

    def _delivered(self) -> None:
        """Have losses reported, as soon as the report itself can arrive."""
        lost = sum(self.losses().values())
        if lost == self._told:
            return
        self._told = lost
        muted, self._muted = self._muted, self._muted - {get_ident()}
        try:
            self._on_losses()
        finally:
            self._muted = muted
