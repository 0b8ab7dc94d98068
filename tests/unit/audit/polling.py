"""Waiting for something to be so, for a while."""

from __future__ import annotations

import asyncio
import time

from loglane.audit.stats import audit_stats


async def until(reached, seconds=60):
    """Wait until something is so; fail with what is known of the records otherwise."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, audit_stats()
        await asyncio.sleep(0.002)
