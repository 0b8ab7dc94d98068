"""What is done with one batch: written, tried again, put into the outbox, or buried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Literal, TypeVar

from loglane.audit.batch import NAMED, Bad, Batch, by_outbox, check, ids_of, read
from loglane.audit.event import AuditEvent
from loglane.audit.sink import AuditSink, Outcome
from loglane.audit.troubles import Troubles
from loglane.audit.waits import heard, pause_s, within
from loglane.errors import AuditError, SinkUnavailable
from loglane.logger import Logger
from loglane.settings.audit import Audit
from loglane.sinks.audit import AuditIntake, Outbox, Record, Row

T = TypeVar("T")

_log = Logger("loglane.audit")
# A sink that has not answered by then is taken for one that is away.
WRITE_S = 60.0


class Delivery:
    """Takes batches to the sink; one for all tasks of a worker.

    Attributes:
        is_away: Whether the sink could not be reached; batches go to the outbox then.
    """

    def __init__(
        self, settings: Audit, intake: AuditIntake, sink: AuditSink, model: type[AuditEvent]
    ) -> None:
        """Set where records come from and go to.

        Args:
            settings: The section `audit`.
            intake: Has the outbox and the counts.
            sink: Is given the batches.
            model: Class of the records.
        """
        self._retry = settings.retry
        self._intake = intake
        self._tally = intake.tally
        self._sink = sink
        self._model = model
        self._connections = asyncio.Semaphore(settings.writers)
        self._back = asyncio.Event()
        self._failures = 0
        self._written_at = 0.0
        # Records of which the sink failed, and since when.
        self._failing: dict[bytes, float] = {}
        self._troubles = Troubles(self._tally)
        self.is_away = False

    async def deliver(self, records: Sequence[Record]) -> None:
        """Write fresh records, or put them into the outbox; returns when one of it is done."""
        batch = await read(records, self._model)
        attempt = 0
        # Whether it has to wait in memory, because there is no other place.
        is_stuck = self._intake.outbox is None
        while True:
            if self.is_away:
                if await self.spill(batch.records):
                    return
                is_stuck = True
            attempt += 1
            try:
                await self._write(batch)
                return
            except SinkUnavailable as error:
                self._failed(error, attempt)
            except AuditError as error:
                self._troubles.unwritable(error)
            except Exception as error:  # noqa: BLE001 - the worker must live on
                self._troubles.sink_failed(error, len(batch.records))
                if await self.spill(batch.records):
                    return
            if is_stuck or not self.is_away:
                self._tally.add("retried")
                await self._pause(attempt)

    async def replay(self, limit: int) -> Literal["empty", "more", "failed"]:
        """Write the oldest records of the outbox; what cannot be written stays there."""
        outbox = self._intake.outbox
        if outbox is None:
            return "empty"
        try:
            records = await self._take(outbox, limit)
        except AuditError as error:
            self._troubles.unwritable(error)
            return "failed"
        if not records:
            # Nothing to try it with: the next fresh batch will see.
            self.is_away = False
            return "empty"
        settled = False
        try:
            settled = await self._try(records)
        finally:
            if not settled:
                await self._release(records)
        return "more" if settled else "failed"

    async def _take(self, outbox: Outbox, limit: int) -> list[Record]:
        taking = asyncio.ensure_future(self._work(lambda file: file.take(limit), outbox))
        try:
            rows = await asyncio.shield(taking)
        except asyncio.CancelledError:
            # They are taken all the same, and nobody else would give them back.
            rows = await taking
            await self._release([(body, 0.0, Row(outbox, i)) for i, body in rows])
            raise
        now = monotonic()
        return [(body, now, Row(outbox, i)) for i, body in rows]

    async def _try(self, records: Sequence[Record]) -> bool:
        batch = await read(records, self._model)
        try:
            await self._write(batch)
        except SinkUnavailable as error:
            self._failed(error, self._failures + 1)
            self._tally.add("retried")
            return False
        except AuditError as error:
            self._troubles.unwritable(error)
            return False
        except Exception as error:  # noqa: BLE001 - the worker must live on
            self._troubles.sink_failed(error, len(records))
            return await self._try_each(records)
        return True

    async def _try_each(self, records: Sequence[Record]) -> bool:
        """Find the records of which the sink fails, so that they do not stop all others.

        One that fails while others are written is a dead letter; when all fail, it is not them.
        """
        began = monotonic()
        failed: list[Bad] = []
        doomed: list[Bad] = []
        try:
            for record in records:
                failed += await self._tried(record)
            since = {record[0]: self._failing.get(record[0], began) for record, _ in failed}
            self._failing = since
            for bad in [bad for bad in failed if self._written_at > since[bad[0][0]]]:
                # Others may have been written because the sink is well again.
                failed.remove(bad)
                doomed += await self._tried(bad[0])
        except AuditError:
            return False
        if doomed:
            await self._bury(doomed)
        return not failed

    async def _tried(self, record: Record) -> list[Bad]:
        """Write one record; return it with the reason when the sink failed of it."""
        try:
            await self._write(await read([record], self._model))
        except AuditError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of the sink, which was told as such
            return [(record, f"the sink failed: {type(error).__name__}")]
        return []

    async def _write(self, batch: Batch) -> None:
        """Write a batch and settle what came of it.

        Raises:
            SinkUnavailable: Nothing is known to be written.
            AuditError: All is written but for the dead letters.
            Exception: The sink failed in another way.
        """
        outcomes: Sequence[Outcome] = ()
        if batch.events:
            async with self._connections:
                try:
                    outcomes = await within(self._sink.write(batch.events), WRITE_S)
                except (TimeoutError, asyncio.TimeoutError) as error:
                    raise SinkUnavailable(str(error) or "no answer in time") from None
            check(batch, outcomes)
            self._succeeded()
        stored: list[Record] = []
        for outcome in outcomes:
            records = batch.by_id[outcome.event_id]
            if outcome.status == "refused":
                batch.bad += [(record, outcome.reason) for record in records]
            else:
                stored += records
                self._tally.add(outcome.status)
                self._tally.add("known", len(records) - 1)
        # What is left to do, should the rest fail.
        batch.events, batch.records = [], [record for record, _ in batch.bad]
        await self._forget(stored)
        if batch.bad:
            await self._bury(batch.bad)

    async def _bury(self, bad: Sequence[Bad]) -> None:
        """Make dead letters, and say so.

        Raises:
            AuditError: The outbox cannot be written.
        """
        reasons = sorted({reason for _, reason in bad})
        said = {"count": len(bad), "reasons": reasons[:NAMED], "ids": ids_of([r for r, _ in bad])}
        if self._intake.outbox is None:
            self._tally.add("lost.refused", len(bad))
            _log.error("audit records were refused and are lost: there is no outbox", **said)
            return
        home = self._intake.outbox
        letters = [
            (row.id if row is not None and row.outbox is home else None, line, reason)
            for (line, _, row), reason in bad
        ]
        await self._work(lambda outbox: outbox.bury(letters))
        self._tally.add("dead", len(bad))
        foreign = [record for record, _ in bad if record[2] and record[2].outbox is not home]
        await self._forget(foreign)
        _log.error("audit records were refused: see `loglane audit dead`", **said)

    async def _forget(self, records: Sequence[Record]) -> None:
        """Remove records from the outbox that are stored; one that stays does no harm."""
        await self._settle(records, Outbox.remove)

    async def _release(self, records: Sequence[Record]) -> None:
        # Should it fail, another process, or the next one, takes them when they are old enough.
        await self._settle(records, Outbox.release)

    async def _settle(
        self, records: Sequence[Record], work: Callable[[Outbox, list[int]], object]
    ) -> None:
        for outbox, ids in by_outbox(records).items():
            try:
                await self._work(lambda file, ids=ids: work(file, ids), outbox)  # type: ignore[misc]
            except AuditError as error:
                self._troubles.unwritable(error)

    async def spill(self, records: Sequence[Record]) -> bool:
        """Put records into the outbox; return whether they are there."""
        if self._intake.outbox is None:
            return False
        await self._release(records)
        lines = [line for line, _, row in records if row is None]
        try:
            if lines:
                await self._work(lambda outbox: outbox.add(lines))
        except AuditError as error:
            self._troubles.unwritable(error)
            return False
        self._tally.add("spilled", len(records))
        self._intake.look()
        return True

    async def _work(self, work: Callable[[Outbox], T], outbox: Outbox | None = None) -> T:
        return await asyncio.wrap_future(self._intake.work(work, outbox))

    async def _pause(self, attempt: int) -> None:
        """Wait before another attempt; less when another batch was written meanwhile."""
        self._back.clear()
        await heard(self._back, pause_s(self._retry, attempt))

    def _failed(self, error: SinkUnavailable, attempt: int) -> None:
        self._failures += 1
        self._tally.last_error = str(error)
        if attempt >= self._retry.attempts and not self.is_away:
            self.is_away = True
            self._troubles.away(error, self._intake.outbox)

    def _succeeded(self) -> None:
        self._failures = 0
        self._written_at = monotonic()
        self._tally.last_error = ""
        self._back.set()
        self.is_away = False
        self._troubles.back()
