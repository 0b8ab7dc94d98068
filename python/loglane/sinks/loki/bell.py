"""What one thread waits for, and any other may ring."""

from __future__ import annotations

import threading


class Bell:
    """As `threading.Event` for a single waiter, but a signal handler may ring it at any moment.

    An event's lock is held while it is set: a handler that interrupts this and sets it too would
    wait for ever for its own thread.

    Attributes:
        rings: Whether it was rung since the last `clear`.
    """

    def __init__(self) -> None:
        self.rings = False
        # Taken as long as there is nothing to wake up for.
        self._silence = threading.Lock()
        self._silence.acquire()

    def set(self) -> None:
        """Wake the waiter; it stays awake until `clear`."""
        self.rings = True
        # Asking first would let a signal come in between.
        try:
            self._silence.release()
        except RuntimeError:
            return

    def clear(self) -> None:
        """Let the next `wait` wait."""
        self.rings = False
        self._silence.acquire(blocking=False)

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is rung, or the time is over; it may also return for nothing.

        Returns:
            Whether it rings.
        """
        if not self.rings and timeout_s > 0:
            self._silence.acquire(timeout=timeout_s)
        return self.rings
