"""What the sink's thread waits for."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from loglane.sinks.loki.bell import Bell


def test_a_bell_wakes_whoever_waits():
    """Before or after it begins to wait."""
    bell = Bell()
    woken = []
    thread = threading.Thread(target=lambda: woken.append(bell.wait(30)))
    thread.start()
    bell.set()
    thread.join()
    assert ([True], True, True) == (woken, bell.wait(30), bell.rings)


def test_a_bell_is_silent_again_when_it_was_cleared():
    """However often it was rung."""
    bell = Bell()
    for _ in range(3):
        bell.set()
    bell.clear()
    assert (False, True, False) == (bell.rings, bell._silence.locked(), bell.wait(0.001))
    bell.clear()
    bell.set()
    assert bell.wait(30)


def test_no_time_is_no_wait():
    """A time that is over does not raise."""
    bell = Bell()
    assert [False, False] == [bell.wait(0), bell.wait(-1)]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
def test_a_signal_handler_may_ring_while_it_is_rung():
    """A `threading.Event` would wait here for itself."""
    bell = Bell()
    rung = [0]

    def handle(*_):
        rung[0] += 1
        bell.set()

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    try:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            bell.set()
            bell.clear()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    bell.set()
    assert bell.wait(30)
    assert rung[0] > 0
