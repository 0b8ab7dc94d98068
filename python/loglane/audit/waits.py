"""Waiting for so long at most, on an event loop.

`asyncio.wait_for` of Python before 3.12 forgets that it was cancelled when what it waits for comes
at the same moment (https://github.com/python/cpython/issues/86296); a worker would not end then.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

from loglane.settings.audit import AuditRetry

T = TypeVar("T")
# What is cancelled may take so long to clean up.
_CLEANING_S = 1.0


async def heard(event: asyncio.Event, timeout_s: float | None) -> bool:
    """Wait for an event; return whether it came."""
    if not event.is_set() and (timeout_s is None or timeout_s > 0):
        await _done(asyncio.ensure_future(event.wait()), timeout_s)
    return event.is_set()


async def within(work: Coroutine[Any, Any, T], timeout_s: float) -> T:
    """Run something for so long at most.

    Raises:
        TimeoutError: It was cancelled, because it took longer.
    """
    task = asyncio.ensure_future(work)
    await _done(task, timeout_s)
    if task.done() and not task.cancelled():
        return task.result()
    raise TimeoutError(f"no answer within {timeout_s:g} s")


async def _done(task: asyncio.Future[Any], timeout_s: float | None) -> None:
    """Wait for a task, and cancel it when there is no more time, or nobody waits any more."""
    try:
        await asyncio.wait([task], timeout=timeout_s)
    except asyncio.CancelledError:
        task.cancel()
        task.add_done_callback(_look_away)
        raise
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CLEANING_S)
        if not task.done():
            task.add_done_callback(_look_away)


def _look_away(task: asyncio.Future[Any]) -> None:
    """Take the exception of what nobody waits for, so that it is not reported as forgotten."""
    if not task.cancelled():
        task.exception()


def pause_s(retry: AuditRetry, attempt: int) -> float:
    """Return how long to wait before another attempt; the longer, the more were in vain."""
    pause = min(retry.first_s * 2.0 ** min(attempt - 1, 32), retry.max_s)
    # Many processes that lost their database at the same moment come back one by one.
    return pause * (0.5 + random.random() / 2)  # noqa: S311 - no secret
