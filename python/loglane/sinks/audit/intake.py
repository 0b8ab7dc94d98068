"""Where marked lines are acknowledged: in memory or on the disk, and never dropped in silence."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from loglane.errors import AuditError, AuditOverflow
from loglane.settings.audit import Audit
from loglane.sinks.audit.consumer import Consumer
from loglane.sinks.audit.journal import Journal, told
from loglane.sinks.audit.outbox import Outbox
from loglane.sinks.audit.rescue import rescue, say
from loglane.sinks.audit.tally import Tally
from loglane.sinks.audit.waiting import Record, Row, Waiting

T = TypeVar("T")


class AuditIntake:
    """Takes records, as JSON with an `event_id`, until a worker has stored them.

    Attributes:
        waiting: Records in memory.
        tally: What became of those that were.
    """

    def __init__(self, settings: Audit) -> None:
        """Set the limits; `settings` is the section `audit`."""
        self.waiting = Waiting(settings.queue.max_items, settings.queue.max_bytes)
        self._journals: dict[tuple[str, int], Journal] = {}
        self._begin()
        self.take_over(settings)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self.tally = Tally()
        self._consumer: Consumer | None = None
        self._is_over = False

    def take_over(self, settings: Audit) -> None:
        """Let other limits hold from now on; records that are there stay."""
        self.settings = settings
        self.waiting.max_items = settings.queue.max_items
        self.waiting.max_bytes = settings.queue.max_bytes
        self._is_kept_first = settings.durability == "outbox" or self._is_over

    def record(self, line: bytes) -> None:
        """Take one record; when this returns it is acknowledged.

        With `durability: outbox` it is on the disk then. With `memory` it waits in the queue; when
        that is full, `queue.overflow` says what is done. A thread with an event loop never waits
        for room, because what makes room may run on that loop.

        Args:
            line: JSON with an `event_id`, masked, without its newline.

        Raises:
            AuditOverflow: There is no room for it, or the outbox cannot be written; the record is
                not kept.
        """
        if self._is_kept_first:
            self._keep(line).result()
            return
        woken = self.waiting.put(line)
        if woken is None:
            future = self._find_room(line, may_wait=not _has_loop())
            if future is not None:
                future.result()
        elif woken:
            self._ring()

    def record_later(self, line: bytes) -> Future[None] | None:
        """Take one record without waiting.

        Returns:
            None when it is acknowledged; else what is done when it is, or has the AuditOverflow.

        Raises:
            AuditOverflow: There is no room for it.
        """
        if self._is_kept_first:
            return self._keep(line)
        woken = self.waiting.put(line)
        if woken is None:
            return self._find_room(line, may_wait=False)
        if woken:
            self._ring()
        return None

    def take(self, limit: int) -> list[Record]:
        """Take the oldest records; `settle` or `put_back` is to follow."""
        return self.waiting.take(limit)

    def attach(self, consumer: Consumer) -> None:
        """Let a worker take the records.

        Raises:
            AuditError: Another one does.
        """
        with self._lock:
            # One whose event loop was closed under it has not said so.
            if self._consumer is not None and self._consumer.is_running():
                raise AuditError("an audit worker runs in this process already; stop it first")
            self._consumer = consumer

    def detach(self, consumer: Consumer) -> None:
        """Let it go; records wait for the next one."""
        with self._lock:
            if self._consumer is consumer:
                self._consumer = None
        self.waiting.arm(sys.maxsize)

    @property
    def consumer(self) -> Consumer | None:
        """The worker that runs, if one does."""
        return self._consumer

    @property
    def outbox(self) -> Outbox | None:
        """The outbox, if there is to be one."""
        journal = self._journal()
        return None if journal is None else journal.outbox

    def work(self, work: Callable[[Outbox], T], outbox: Outbox | None = None) -> Future[T]:
        """Have something done with an outbox, in the one thread that does so.

        Args:
            work: Is given the outbox.
            outbox: Another one than that of the settings, as a record came from it.

        Raises:
            AuditError: There is none.
        """
        journal = self._journal()
        if outbox is not None:
            with self._lock:
                known = [one for one in self._journals.values() if one.outbox is outbox]
            journal = known[0] if known else journal
        if journal is None:
            raise AuditError("there is no outbox: `audit.outbox.path` is null")
        return journal.run(partial(work, journal.outbox))

    def start_child(self) -> None:
        """Begin anew in a forked child: the parent stores what it has taken."""
        self._begin()
        self.waiting.start_child()
        self._journals = {}
        self.take_over(self.settings)

    def hurry(self) -> None:
        """Write what is in memory into the outbox, because a signal ends the process.

        It is called from the signal's handler, so it waits for no other thread of this process.
        """
        left = [record for record in self.waiting.all() if record[2] is None]
        if not left:
            return
        problem = self._spill_here(left)
        if problem:
            say(left, f"wait in memory and are lost if the process ends now: {problem}")

    def end(self) -> None:
        """Have the worker end, and write the rest into the outbox: the interpreter is ending.

        What comes now goes to the outbox at once.
        """
        self._is_over = self._is_kept_first = True
        consumer = self._consumer
        if consumer is not None:
            consumer.finish()
        self.close()
        left = [record for record in self.waiting.all() if record[2] is None]
        if not left:
            return
        problem = self._spill_here(left)
        if problem:
            self.tally.add("lost.ended", len(left))
            self.waiting.remove(left)
            say(left, f"are lost: {problem}")

    def close(self) -> None:
        """Close the outbox; it is opened again when it is needed. What waits goes on waiting."""
        with self._lock:
            journals = [*self._journals.values()]
        for journal in journals:
            journal.stop(is_final=self._is_over)
            journal.outbox.close()

    def losses(self) -> dict[str, int]:
        """Return how many records were not kept, by reason.

        Returns:
            `overflow`: the call failed and said so. `ended`: the process ended with them in memory
            and without an outbox. `refused`: the database refused them, and there is no outbox for
            dead letters.
        """
        return self.tally.lost()

    def _find_room(self, line: bytes, may_wait: bool) -> Future[None] | None:
        # A few large records fill it before they are as many as the worker waits for.
        self._ring()
        queue = self.settings.queue
        reason = ""
        for step in queue.overflow:
            if step == "block" and may_wait:
                woken = self.waiting.put_when_free(line, queue.block_s)
                if woken is not None:
                    if woken:
                        self._ring()
                    return None
            elif step == "outbox" and (journal := self._journal()) is not None:
                future = journal.keep(line, hold=False)
                future.add_done_callback(self._spilled)
                # Whoever may not wait is told by the future, which is the last step then.
                if not may_wait:
                    return told(future, self.tally)
                error = future.exception()
                if error is None:
                    return None
                reason = f" ({error})"
            elif step == "raise":
                break
        self.tally.add("lost.overflow")
        raise AuditOverflow(f"the queue of audit records is full{reason}; see `audit_stats`")

    def _keep(self, line: bytes) -> Future[None]:
        """Write a record to the disk, and let it wait in memory, too, when there is room."""
        journal = self._journal()
        if journal is None:
            self.tally.add("lost.overflow")
            raise AuditOverflow("the process is ending, and there is no outbox for audit records")
        return told(journal.keep(line, hold=not self._is_over), self.tally)

    def _spilled(self, future: Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.tally.add("spilled")
            self.look()

    def _hold(self, lines: Sequence[bytes], outbox: Outbox) -> None:
        """Write records to the disk; as many as there is room for wait in memory, too."""
        held = min(self.waiting.room(), len(lines))
        ids = outbox.add(lines, held)
        now = monotonic()
        rows = zip(lines[:held], ids, strict=False)
        if self.waiting.extend((line, now, Row(outbox, i)) for line, i in rows):
            self._ring()
        if held < len(lines):
            self.tally.add("spilled", len(lines) - held)
            self.look()

    def _journal(self) -> Journal | None:
        outbox = self.settings.outbox
        if outbox.path is None:
            return None
        key = (outbox.path, outbox.max_bytes)
        journal = self._journals.get(key)
        if journal is None:
            with self._lock:
                journal = self._journals.setdefault(
                    key, Journal(Outbox(outbox.path, outbox.max_bytes), self._hold)
                )
                if self._is_over:
                    journal.stop(is_final=True)
        return journal

    def _spill_here(self, records: Sequence[Record]) -> str:
        """Write records into the outbox by this thread; return what went wrong, or ''."""
        outbox = self.outbox
        if outbox is None:
            return "there is no outbox"
        problem = rescue(records, outbox.path, self.settings.outbox.max_bytes)
        if not problem:
            self.tally.add("spilled", len(records))
            self.waiting.remove(records)
            self.look()
        return problem

    def _ring(self) -> None:
        consumer = self._consumer
        if consumer is not None:
            consumer.ring()

    def look(self) -> None:
        """Tell the worker that records wait in the outbox."""
        consumer = self._consumer
        if consumer is not None:
            consumer.look()


def _has_loop() -> bool:
    """Tell whether an event loop runs in this thread."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None
