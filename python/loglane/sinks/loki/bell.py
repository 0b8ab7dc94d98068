"""What one thread waits for, and any other may ring."""

from __future__ import annotations

import threading


class Bell:
    """As `threading.Event` for a single waiter, but a signal handler may ring it at any moment.

    An event's lock is held while it is set: a handler that interrupts this and sets it too would
    wait for ever for its own thread.
    """

    def __init__(self) -> None:
        self._is_set = False
        # Taken as long as there is nothing to wake up for.
        self._silence = threading.Lock()
        self._silence.acquire()

    def is_set(self) -> bool:
        """Tell whether it was rung since the last `clear`."""
        return self._is_set

    def set(self) -> None:
        """Wake the waiter; it stays awake until `clear`."""
        self._is_set = True
        # Asking first would let a signal come in between.
        try:
            self._silence.release()
        except RuntimeError:
            return

    def clear(self) -> None:
        """Let the next `wait` wait."""
        self._is_set = False
        self._silence.acquire(blocking=False)

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is rung, or the time is over; it may also return for nothing.

        Returns:
            Whether it is set.
        """
        if not self._is_set and timeout_s > 0:
            self._silence.acquire(timeout=timeout_s)
        return self._is_set
