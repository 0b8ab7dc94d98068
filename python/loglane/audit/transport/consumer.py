"""One consumer of the group: from the stream into the database, acknowledged after the commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from loglane.audit.event import AuditEvent
from loglane.audit.sink import AuditSink, Masked, Outcome
from loglane.audit.transport.message import DeadLetter, Message, unpack
from loglane.audit.transport.patience import Patience
from loglane.audit.transport.stream import Stream
from loglane.errors import SinkUnavailable
from loglane.pipeline import get_logger
from loglane.settings.audit import Audit

# So many batches are in hand at most. Apps with little to say send batches of one record; written
# together they need one commit.
MESSAGES = 10
READ_WAIT_MS = 1000
log = get_logger(__name__)


@dataclass
class Tally:
    """What the consumers of a process have done.

    Attributes:
        batches: Messages that were settled.
        written: Records that are in the database now.
        known: Records that were there before.
        dead: Records that went to the dead letters.
        left: Messages that were left in the stream because of an error nobody expected.
    """

    batches: int = 0
    written: int = 0
    known: int = 0
    dead: int = 0
    left: int = 0


class Consumer:
    """Takes a few messages, writes their records, acknowledges them, and takes the next."""

    def __init__(
        self,
        stream: Stream,
        sink: AuditSink,
        settings: Audit,
        stopping: asyncio.Event,
        tally: Tally,
    ) -> None:
        retry, claim_after_s = settings.retry, settings.redis.claim_after_s
        # What is in hand must be touched before others take it for a dead worker's.
        self._keep_every_s = claim_after_s / 3
        longest_s = min(retry.max_s, self._keep_every_s)
        self._stream = stream
        self._sink = sink
        self._most = settings.batch.max_items
        self._stopping = stopping
        self._tally = tally
        self._redis = Patience("Redis", retry.first_s, longest_s, stopping)
        self._database = Patience("the database", retry.first_s, longest_s, stopping)
        self._claim_every_s = claim_after_s / 2
        self._claimed_at = 0.0
        self._joined = False

    async def run(self, *, drain: bool = False) -> None:
        """Go on until the process is to stop, or until nothing is left.

        Args:
            drain: Return when there is nothing to read and nothing to claim.
        """
        while not self._stopping.is_set():
            try:
                messages = await self._take(None if drain else READ_WAIT_MS)
                if messages:
                    await self._store(messages)
                elif drain:
                    return
                self._redis.answered()
            except SinkUnavailable as error:
                # What was in hand is still pending, and claimed again later. A Redis that comes
                # back empty has no group.
                self._joined = False
                await self._redis.wait(error)

    async def leave(self) -> None:
        """Strike the consumer off the group, when Redis is there to do so."""
        try:
            await self._stream.leave()
        except SinkUnavailable as error:
            log.debug("the consumer stays in the group", reason=str(error))

    async def _take(self, wait_ms: int | None) -> list[Message]:
        if not self._joined:
            await self._stream.join()
            self._joined = True
        if wait_ms is None or time.monotonic() - self._claimed_at >= self._claim_every_s:
            claimed = await self._stream.claim(MESSAGES)
            if claimed:
                log.info("claimed what another worker left", batches=len(claimed))
                return claimed
            self._claimed_at = time.monotonic()
        return await self._stream.read(MESSAGES, wait_ms)

    async def _store(self, messages: Sequence[Message]) -> None:
        events, dead = unpack(messages)
        try:
            outcomes = await self._write(list(events.values()), messages)
        except SinkUnavailable:
            raise
        except Exception as error:
            # Perhaps the next version can: it stays in the stream, and is tried again later.
            self._tally.left += len(messages)
            log.exception("audit records stay in the stream", batches=len(messages))
            await self._database.wait(error)
            return
        if outcomes is None:
            await self._stream.give_back(messages)
            return
        dead += [
            DeadLetter(one.event_id, events[one.event_id].dump(), one.reason)
            for one in outcomes
            if one.status == "refused"
        ]
        await self._stream.settle(messages, dead)
        self._tally.batches += len(messages)
        self._tally.dead += len(dead)
        for letter in dead:
            log.error("audit record refused", event_id=letter.event_id, reason=letter.reason)

    async def _write(
        self, events: Sequence[AuditEvent], messages: Sequence[Message]
    ) -> list[Outcome] | None:
        """Write records, however long the database is away; None when the process is to stop."""
        outcomes: list[Outcome] = []
        touched_at = time.monotonic()
        while len(outcomes) < len(events):
            try:
                # What masked them was the process that they come from.
                batch = Masked(events[len(outcomes) : len(outcomes) + self._most])
                found = await self._sink.write(batch)
                self._database.answered()
                self._count(found)
                outcomes += found
            except SinkUnavailable as error:
                await self._database.wait(error)
                if self._stopping.is_set():
                    return None
            if time.monotonic() - touched_at >= self._keep_every_s:
                await self._stream.keep(messages)
                touched_at = time.monotonic()
        return outcomes

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        # At once: when Redis is away before it hears of them, they are known the next time.
        self._tally.written += sum(one.status == "written" for one in outcomes)
        self._tally.known += sum(one.status == "known" for one in outcomes)
