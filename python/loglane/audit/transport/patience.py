"""Waiting for a server that is away: longer each time, and saying so now and then."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from loglane.pipeline import get_logger

SAY_EVERY_S = 60.0
log = get_logger(__name__)


class Patience:
    """Pauses until a server answers again; one for each thing that may be away."""

    def __init__(
        self, what: str, first_s: float, longest_s: float, stopping: asyncio.Event
    ) -> None:
        self._what = what
        self._first_s = first_s
        self._longest_s = longest_s
        self._stopping = stopping
        self._since = 0.0
        self._said = 0.0
        self._tries = 0

    async def wait(self, error: Exception) -> None:
        """Pause before the next try; return at once when the process is to stop."""
        now = time.monotonic()
        if not self._tries:
            self._since = now
        if not self._tries or now - self._said >= SAY_EVERY_S:
            self._said = now
            away_s = round(now - self._since, 1)
            log.warning(f"waiting for {self._what}", reason=str(error), away_s=away_s)
        pause_s = min(self._longest_s, self._first_s * 2.0 ** min(self._tries, 30))
        self._tries += 1
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), pause_s)

    def answered(self) -> None:
        """Take note that it answers."""
        if self._tries:
            away_s = round(time.monotonic() - self._since, 1)
            log.info(f"{self._what} answers again", away_s=away_s)
            self._tries = 0
