"""A sink in memory that can fail, hang, refuse and have bugs."""

from __future__ import annotations

import asyncio
import functools

from loglane.audit.sink import Outcome
from loglane.errors import SinkUnavailable


class FakeSink:
    """Keeps events by id, as a table with a unique key does.

    Attributes:
        rows: What it has.
        batches: Sizes of what it was given.
        fault: Called with each batch; raises what the sink is to raise, or returns None.
        refused: Actions that it refuses.
    """

    def __init__(self):
        self.rows = {}
        self.batches = []
        self.fault = None
        self.refused = set()
        self.is_closed = False
        self.at_once = self.most_at_once = 0
        self.gate = None

    async def write(self, batch):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
            if self.fault is not None:
                self.fault(batch)
            self.batches.append(len(batch))
            return [self._store(event) for event in batch]
        finally:
            self.at_once -= 1

    def _store(self, event):
        if event.action in self.refused:
            return Outcome(event.event_id, "refused", "not in this house")
        if event.event_id in self.rows:
            return Outcome(event.event_id, "known")
        self.rows[event.event_id] = event
        return Outcome(event.event_id, "written")

    async def close(self):
        self.is_closed = True


def away(_batch):
    """Be a fault: the database cannot be reached."""
    raise SinkUnavailable("connection refused")


def on_loop(test):
    """Let a test that is a coroutine run on an event loop of its own."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run
