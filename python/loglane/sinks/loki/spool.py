"""Lines that go through a folder, so that they outlive the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from loglane.settings.loki import LokiWal
from loglane.sinks.loki.bell import Bell
from loglane.sinks.loki.lines import LineQueue
from loglane.sinks.loki.record import Record
from loglane.sinks.loki.sources import Portion
from loglane.sinks.loki.wal import Wal

# How long lines stay in memory before they are in the folder: what kill -9 costs.
_SPOOL_S = 0.02
_RETRY_S = 1.0
# A thread that nobody wakes looks all the same.
_IDLE_S = 30.0
_ADOPT_EVERY_S = 30.0
_SPOOLED_AT_ONCE = 256 * 1024


def open_spool(
    queue: LineQueue, settings: LokiWal, batch_bytes: int, report: Callable[[str], None]
) -> SpoolSource:
    """Return the source for a folder; it does nothing before `start`.

    Args:
        queue: Where the lines come from.
        settings: The folder, and how much may be in it.
        batch_bytes: How much is enough for a batch.
        report: Called with what goes wrong there.
    """
    folder = Path(str(settings.dir))

    def report_there(text: str) -> None:
        report(f"{folder}: {text}")

    wal = Wal(folder, settings.max_bytes, report=report_there)
    # A folder that is smaller than a batch is full before there is one.
    return SpoolSource(queue, wal, min(batch_bytes, settings.max_bytes // 2), report_there)


class SpoolSource:
    """Moves lines from the queue to the folder in a thread, and gives out what is in the folder.

    While the folder takes nothing (a full disk, or `max_bytes` of lines in it), the rest stays in
    the queue, with its bounds, and is sent from there.
    """

    def __init__(
        self, queue: LineQueue, wal: Wal, batch_bytes: int, report: Callable[[str], None]
    ) -> None:
        self._queue = queue
        self._batch_bytes = batch_bytes
        self._wal = wal
        self._report = report
        self._some = Bell()
        self._enough = Bell()
        self._closing = threading.Event()
        # While lines may be neither in the queue nor in the folder.
        self._is_moving = False
        self._is_broken = False
        self._adopts_at = 0.0
        self._thread: threading.Thread | None = None

    def start(self, run: Callable[[Callable[[], None]], None]) -> None:
        """Begin to move lines.

        Args:
            run: Runs what it is given, in the new thread.

        Raises:
            RuntimeError: There is no thread to be had now; it may be tried again.
        """
        if self._thread is not None:
            return
        thread = threading.Thread(
            target=run, args=(self._run,), name="loglane-loki-wal", daemon=True
        )
        thread.start()
        self._thread = thread

    def close(self) -> None:
        """Move what is in the queue, end the thread, and let go of the folder."""
        self._closing.set()
        self._queue.wake()
        if self._thread is not None:
            self._thread.join(_RETRY_S)
        self.spool()
        self._wal.close()

    def abandon(self) -> None:
        """Let go of the folder, in a forked child."""
        self._wal.abandon()

    @property
    def pending_records(self) -> int:
        """Lines in the folder that are not delivered."""
        return self._wal.pending_records

    @property
    def pending_bytes(self) -> int:
        """Their bytes on the disk."""
        return self._wal.pending_bytes

    def wait(self, timeout_s: float) -> None:
        """Return when there are lines, or the time is over."""
        self._adopt()
        self._some.wait(min(timeout_s, _ADOPT_EVERY_S))

    def wait_for_batch(self, timeout_s: float) -> None:
        """Return when there are enough lines for a batch, or the time is over."""
        self._enough.wait(timeout_s)

    def wake(self) -> None:
        """Let whoever waits return now."""
        self._some.set()
        self._enough.set()
        self._queue.wake()

    def has_batch(self) -> bool:
        """Tell whether there are lines now: in the folder they cannot be told from a batch."""
        return self._some.rings

    def is_empty(self) -> bool:
        """Tell whether all lines have been dealt with."""
        # Nobody knows before the first look at what others have left.
        if not self._adopts_at:
            return False
        # In this order: the thread says that it moves before it takes.
        return not (self._queue.items or self._is_moving or self._wal.pending_records)

    def take(self, max_bytes: int) -> Portion | None:
        """Give out the oldest lines, of about so many bytes."""
        self._adopt()
        self._some.clear()
        self._enough.clear()
        found = self._wal.read(max_bytes)
        if found is not None:
            self._some.set()
            return Portion(found.records, found)
        if not self._is_broken:
            return None
        records = self._queue.take(max_bytes)
        if records:
            self._some.set()
        return Portion(records) if records else None

    def put_back(self, portions: Sequence[Portion]) -> None:
        """Take back what was given out last and not acknowledged, oldest first."""
        self._wal.rewind()
        for portion in reversed(portions):
            if portion.stored is None:
                self._queue.put_back(portion.records)
        self._some.set()

    def acknowledge(self, portion: Portion) -> None:
        """Forget lines that have been dealt with."""
        if portion.stored is not None:
            self._wal.acknowledge(portion.stored)

    def follow_clock(self) -> None:
        """Stamp lines by the clock again, as soon as that leaves them in order."""
        self._queue.follow_clock()

    def spool(self) -> None:
        """Move all lines of the queue to the folder, as far as it takes them."""
        while records := self._queue.take(_SPOOLED_AT_ONCE):
            rest = self._append(records)
            self._is_broken = bool(rest)
            if rest:
                self._queue.put_back(rest)
            self._some.set()
            if rest or self._queue.bytes + self._wal.pending_bytes >= self._batch_bytes:
                self._enough.set()
            if rest:
                return

    def _run(self) -> None:
        while not self._closing.is_set():
            self._queue.some.wait(_IDLE_S)
            # A moment, so that a busy app's lines are written together.
            self._closing.wait(_SPOOL_S)
            self._is_moving = True
            try:
                self.spool()
            finally:
                self._is_moving = False
            if self._is_broken:
                self._closing.wait(_RETRY_S)

    def _adopt(self) -> None:
        """Take over, now and then, what processes left that are gone."""
        now = time.monotonic()
        if self._adopts_at and now < self._adopts_at:
            return
        if self._wal.adopt():
            self._some.set()
        self._adopts_at = now + _ADOPT_EVERY_S

    def _append(self, records: list[Record]) -> list[Record]:
        """Write lines to the folder; return those that it did not take."""
        try:
            taken = self._wal.append(records)
        except Exception as error:  # noqa: BLE001 - nothing must cost the lines, or end the thread
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            self._report(f"{reason}: lines wait in memory, where the end of the process loses them")
            return records
        if taken < len(records) and not self._closing.is_set():
            self._report("its max_bytes are used up: further lines wait in memory")
        return records[taken:]
