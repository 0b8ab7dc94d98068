"""Lines straight to Loki, without a collector."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any

from loglane.settings.loki import LokiPush
from loglane.sinks.loki.courier import Courier
from loglane.sinks.loki.helpers import Helpers
from loglane.sinks.loki.lines import LineQueue
from loglane.sinks.loki.sender import Sender
from loglane.sinks.loki.silence import heard, run_silent, silent
from loglane.sinks.loki.sources import MemorySource, Source
from loglane.sinks.loki.streams import Encoder
from loglane.sinks.loki.tally import Complaints, Tally

if TYPE_CHECKING:
    from loglane.sinks.loki.spool import SpoolSource

_LOOK_EVERY_S = 0.01
# For one more try of a Loki that seems to be gone, and for a thread to end.
_LAST_TRY_S = _START_AGAIN_S = 1.0
_REST = "rest"


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
        self._next_start = 0.0
        self._tally = Tally()
        self._complaints = Complaints(self._settings.url)
        self._courier = self._new_courier()
        # Lines of these threads are about the pushes themselves.
        self._muted: set[int] = set()
        self._helpers = Helpers()
        self._waiting = 0
        self._is_starting = self._is_ending = self._is_closed = self._is_over = False
        self._forget_thread()

    def _forget_thread(self) -> None:
        self._spool: SpoolSource | None = None
        self._source: Source = MemorySource(self._queue)
        self._sender: Sender | None = None
        self._thread: threading.Thread | None = None

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
            timeout_s: For how long; by default `timeouts.drain_s`, or less when Loki seems gone.

        Returns:
            Whether they are. If not it is said on stderr, because the process may end now.
        """
        drain_s = self._settings.timeouts.drain_s
        until = time.monotonic() + (drain_s if timeout_s is None else timeout_s)
        if self._is_ending or not self._is_running():
            self._send_here(until)
        if self._wait(until, is_patient=timeout_s is not None):
            return True
        self._tell_rest()
        return False

    def hurry(self) -> None:
        """Send from the caller's thread from now on, because a signal ends the process.

        Its thread may wait for a lock that the interrupted code holds; with a folder it sends all.
        """
        self._is_ending = True
        if self._sender is not None and self._spool is None:
            self._sender.hold()

    def close(self) -> None:
        """Deliver what there is, and end the threads.

        Lines that cannot be delivered in time stay in the folder; without one, the thread goes on
        with them and ends when they are delivered. A line that comes after all, from a thread
        that was in the middle of a log call, has a thread for itself.
        """
        self._is_closed = True
        is_done = self.flush()
        thread, sender = self._thread, self._sender
        if sender is None or thread is None:
            self._settle()
        elif is_done or self._spool is not None:
            sender.stop()
            thread.join(_LAST_TRY_S)
        else:
            sender.finish()

    def end(self) -> None:
        """Deliver what there is; lines that come now are sent at once, one by one.

        The interpreter is ending, and other threads will soon stand still.
        """
        self.flush()
        self._is_over = True
        sender, self._thread = self._sender, None
        if sender is not None:
            sender.stop()

    def start_child(self) -> None:
        """Begin anew in a forked child: the parent sends what was in the queue."""
        self._courier.abandon()
        if self._spool is not None:
            self._spool.abandon()
        self._queue.start_child()
        self._begin()

    @property
    def is_away(self) -> bool:
        """Whether the last push did not reach Loki."""
        return self._courier.breaker.failures > 0

    def losses(self) -> Counter[str]:
        """Return how many lines were given up, by reason."""
        full = {f"queue_full.{level}": count for level, count in self._queue.dropped.items()}
        return Counter({**self._tally.lost, **full})

    def stats(self) -> dict[str, Any]:
        """Return numbers since the sink was made; see `loglane.loki_sink_stats`."""
        spool = self._spool
        return {
            "queued": self._queue.items,
            "queued_bytes": self._queue.bytes,
            "in_hand": self._helpers.in_hand(self._sender),
            "wal_lines": spool.pending_records if spool is not None else 0,
            "wal_bytes": spool.pending_bytes if spool is not None else 0,
            "dropped": dict(self.losses()),
            "is_away": self.is_away,
            **self._tally.numbers(),
        }

    def _new_courier(self, *until: float) -> Courier:
        return Courier(self._settings, self._encoder, self._tally, self._complaints, *until)

    def _new_sender(self, courier: Courier) -> Sender:
        return Sender(self._settings, self._source, self._encoder, courier, self._delivered)

    def _is_running(self) -> bool:
        is_idle = self._sender is not None and self._sender.is_held and not self._sender.is_busy
        return self._thread is not None and self._thread.is_alive() and not is_idle

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._is_starting:
                return
            self._is_starting = True
            try:
                if self._is_over:
                    # Once in vain is enough: each line would cost the time that a try takes. And
                    # what is needed for it may be gone already.
                    with suppress(Exception):
                        if not self._tally.last_error:
                            self._send_here(time.monotonic() + _LAST_TRY_S)
                elif time.monotonic() >= self._next_start:
                    self._start_thread()
            finally:
                self._is_starting = False

    def _start_thread(self) -> None:
        if self._settings.wal.dir is not None and self._spool is None:
            from loglane.sinks.loki.spool import open_spool

            wal, batch = self._settings.wal, self._settings.batch
            complain = self._complaints.say_once
            self._spool = open_spool(self._queue, wal, batch.max_bytes, complain)
            self._source = self._spool
        self._sender = self._new_sender(self._courier)
        if self._is_closed:
            self._sender.finish()
        thread = threading.Thread(target=self._run, name="loglane-loki", daemon=True)
        self._thread = thread
        try:
            if self._spool is not None:
                self._spool.start(partial(run_silent, self._muted))
            thread.start()
        except BaseException as error:
            self._thread = None
            self._next_start = time.monotonic() + _START_AGAIN_S
            # No thread is to be had, or the interpreter is ending: flush sends.
            if not isinstance(error, RuntimeError):
                raise

    def _run(self) -> None:
        sender = self._sender
        assert sender is not None  # noqa: S101 - it was made before the thread
        with silent(self._muted):
            try:
                sender.run()
            finally:
                if not self._is_over:
                    self._settle()

    def _settle(self) -> None:
        with self._starting:
            if self._spool is not None:
                self._spool.close()
            self._forget_thread()
        # Whoever put a line before the thread was forgotten has not started another.
        if self._queue.items:
            self._start()

    def _wait(self, until: float, is_patient: bool) -> bool:
        sender, breaker = self._sender, self._courier.breaker
        failures = breaker.failures
        self._waiting += 1
        if sender is not None:
            sender.hurry()
        try:
            while not self._is_done():
                is_gone = not is_patient and breaker.is_gone and breaker.failures > failures
                is_sent = self._is_running() or self._helpers.has_others()
                if is_gone or time.monotonic() >= until or not is_sent:
                    break
                time.sleep(_LOOK_EVERY_S)
        finally:
            self._waiting -= 1
            if sender is not None and not self._waiting:
                sender.hurry(False)
        return self._is_done()

    def _is_done(self) -> bool:
        # In this order: a sender says that it is busy before it takes anything.
        return self._source.is_empty() and not self._helpers.is_busy(self._sender)

    def _send_here(self, until: float) -> None:
        if self._spool is not None:
            self._spool.spool()
            return
        if self._courier.breaker.is_gone:
            until = min(until, time.monotonic() + _LAST_TRY_S)
        courier = self._new_courier(until)
        sender = self._new_sender(courier)
        sender.hurry()
        with silent(self._muted), self._helpers.sending(sender):
            sender.send(until)
        courier.close()

    def _tell_rest(self) -> None:
        if self._spool is not None and not self._queue.items:
            lines, place = self._spool.pending_records, self._settings.wal.dir
            words = f"{lines} lines wait in {place} and are sent by the next process that uses it"
        else:
            lines = self._queue.items + self._helpers.in_hand(self._sender)
            words = f"{lines} lines are lost if the process ends now"
        if lines:
            self._complaints.forget(_REST)
            self._complaints.say(_REST, f"{words}: {self._tally.last_error or 'there was no time'}")

    def _delivered(self) -> None:
        """Have losses reported, as soon as the report itself can arrive."""
        if self._tally.is_news(self.losses().total()):
            with heard(self._muted):
                self._on_losses()
