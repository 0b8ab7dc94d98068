"""Threads whose log lines are not pushed, because these lines are about the pushes themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident


@contextmanager
def silent(threads: set[int]) -> Iterator[None]:
    """Have the current thread in the set."""
    ident = get_ident()
    is_first = ident not in threads
    threads.add(ident)
    try:
        yield
    finally:
        if is_first:
            threads.discard(ident)


@contextmanager
def heard(threads: set[int]) -> Iterator[None]:
    """Have the current thread, which is in the set, out of it."""
    ident = get_ident()
    threads.discard(ident)
    try:
        yield
    finally:
        threads.add(ident)


def run_silent(threads: set[int], work: Callable[[], None]) -> None:
    """Run something in the current thread, which is in the set meanwhile."""
    with silent(threads):
        work()
