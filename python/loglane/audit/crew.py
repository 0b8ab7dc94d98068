"""The tasks of a worker on one event loop: those that write, and one that empties the outbox."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from time import monotonic
from typing import Any

from loglane.audit.batch import ids_of
from loglane.audit.delivery import Delivery
from loglane.audit.event import AuditEvent
from loglane.audit.sink import AuditSink
from loglane.audit.waits import heard, pause_s
from loglane.logger import Logger
from loglane.settings.audit import Audit
from loglane.sinks.audit import AuditIntake, Record

_log = Logger("loglane.audit")
# How often the outbox is looked into for what other processes left.
_LOOK_EVERY_S = 15.0
# What a task that is cancelled may take.
_CANCEL_S = 2.0
_AFTER_BUG_S = 1.0


class Crew:
    """Takes records from the intake to the sink until it is stopped; a `Consumer`."""

    def __init__(
        self,
        settings: Audit,
        intake: AuditIntake,
        sink: AuditSink,
        model: type[AuditEvent],
        finish: Callable[[], None],
    ) -> None:
        """Set what is taken where.

        Args:
            settings: The section `audit`.
            intake: Records come from there.
            sink: They go there.
            model: Their class.
            finish: Called when the interpreter ends, by the thread that ends it.
        """
        self._settings = settings
        self._intake = intake
        self._delivery = Delivery(settings, intake, sink, model)
        self._finish = finish
        self._turn = asyncio.Lock()
        self._bell = asyncio.Event()
        self._found = asyncio.Event()
        self._draining = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_away(self) -> bool:
        """Whether the sink could not be reached the last times."""
        return self._delivery.is_away

    async def start(self) -> None:
        """Begin; what is in the outbox is written, too.

        Raises:
            AuditError: Another worker runs in this process, or the outbox cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        self._intake.attach(self)
        try:
            if self._intake.outbox is not None:
                await asyncio.wrap_future(self._intake.work(lambda outbox: outbox.open()))
        except BaseException:
            self._intake.detach(self)
            raise
        self._before = self._counts()
        tasks = [self._write_on() for _ in range(self._settings.writers)]
        # A task that is started in a request would carry the request's ids for ever.
        self._writers = [Context().run(self._task, one) for one in tasks]
        self._replayer = Context().run(self._task, self._replay_on())
        self._tasks = [*self._writers, self._replayer]

    async def stop(self) -> None:
        """Write what there is, within `drain_s`; put the rest into the outbox, and say so."""
        until = monotonic() + self._settings.drain_s
        try:
            self._draining.set()
            self._bell.set()
            await _wait(self._writers, until)
            # A last look at what they have put there.
            self._found.set()
            await _wait([self._replayer], until)
        finally:
            await self._cancel()
            self._intake.waiting.arm(sys.maxsize)
            left = await self._spill_rest()
            self._intake.detach(self)
            self._report(left)

    def ring(self) -> None:
        """Wake the tasks: there are records."""
        self._call(self._bell.set)

    def look(self) -> None:
        """Have the outbox looked into."""
        self._call(self._found.set)

    def is_running(self) -> bool:
        """Tell whether there still is a loop to run on."""
        return not self._loop.is_closed()

    def finish(self) -> None:
        """End, because the interpreter does."""
        self._finish()

    def _call(self, what: Callable[[], None]) -> None:
        # The loop may have been closed without a word.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._loop.create_task(work, name="loglane-audit")

    async def _write_on(self) -> None:
        while True:
            records = await self._next()
            if not records:
                return
            done = False
            try:
                await self._delivery.deliver(records)
                done = True
            except Exception:  # noqa: BLE001 - a bug of ours: the records must not be lost by it
                _log.exception("the audit worker failed and goes on")
                await asyncio.sleep(_AFTER_BUG_S)
            finally:
                if done:
                    self._intake.waiting.settle(records)
                else:
                    self._intake.waiting.put_back(records)

    async def _next(self) -> list[Record]:
        """Wait for a batch: as many records as belong in one, or what there is after a while.

        Returns:
            None of them when the worker ends and there are none.
        """
        waiting, batch = self._intake.waiting, self._settings.batch
        # A queue smaller than a batch is full before there is one.
        enough = min(batch.max_items, waiting.max_items)
        async with self._turn:
            while True:
                records = await self._some(enough, batch.max_wait_s)
                if records or self._draining.is_set():
                    return records

    async def _some(self, enough: int, max_wait_s: float) -> list[Record]:
        """Take what there is when it is enough, or when the oldest of it has waited for so long.

        A first record wakes nobody: it would have to write to the loop's socket, and the task that
        woke up would take the interpreter from whoever goes on logging.
        """
        waiting = self._intake.waiting
        self._bell.clear()
        if waiting.arm(enough) and not self._draining.is_set():
            await heard(self._bell, max(0.0, max_wait_s - waiting.age_s()))
        waiting.arm(sys.maxsize)
        return self._intake.take(self._settings.batch.max_items)

    async def _replay_on(self) -> None:
        attempt = 0
        while True:
            self._found.clear()
            try:
                outcome = await self._delivery.replay(self._settings.batch.max_items)
            except Exception:  # noqa: BLE001 - a bug of ours: the records are in the outbox
                _log.exception("the audit worker failed and goes on")
                outcome = "failed"
            if outcome == "more":
                attempt = 0
            elif self._draining.is_set() and self._is_last(outcome):
                return
            elif outcome == "failed":
                attempt += 1
                await heard(self._draining, pause_s(self._settings.retry, attempt))
            else:
                await heard(self._found, _LOOK_EVERY_S)

    def _is_last(self, outcome: str) -> bool:
        # Writers that are not done may still put something there.
        return outcome == "failed" or all(task.done() for task in self._writers)

    async def _cancel(self) -> None:
        pending = [task for task in self._tasks if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=_CANCEL_S)
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                _log.error("an audit task failed", exc_info=task.exception())

    async def _spill_rest(self) -> list[Record]:
        """Put into the outbox what there was no time for; return what cannot be kept there."""
        left = [record for record in self._intake.waiting.all() if record[2] is None]
        if not left:
            return []
        # Records that come meanwhile wait for the next worker, or for the end of the process.
        if not await self._delivery.spill(left):
            return left
        self._intake.waiting.remove(left)
        return []

    def _counts(self) -> dict[str, int]:
        tally = self._intake.tally
        return {name: tally[name] for name in ("written", "known", "spilled", "dead")}

    def _report(self, left: list[Record]) -> None:
        counts = {name: n - self._before[name] for name, n in self._counts().items()}
        if left:
            _log.error(
                "audit worker stopped; records wait in memory and are lost when the process ends",
                **counts,
                waiting=len(left),
                ids=ids_of(left),
            )
        else:
            _log.info("audit worker stopped", **counts)


async def _wait(tasks: list[asyncio.Task[None]], until: float) -> None:
    pending = [task for task in tasks if not task.done()]
    if pending:
        await asyncio.wait(pending, timeout=max(0.0, until - monotonic()))
