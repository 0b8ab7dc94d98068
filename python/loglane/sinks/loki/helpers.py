"""Senders of threads that send for themselves, because the sink's own thread cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident

from loglane.sinks.loki.sender import Sender


class Helpers:
    """Tells who has lines in hand beside the sink's own thread."""

    def __init__(self) -> None:
        self._at_work: list[tuple[int, Sender]] = []

    @contextmanager
    def sending(self, sender: Sender) -> Iterator[None]:
        """Count a sender of this thread, until the block ends."""
        helper = get_ident(), sender
        self._at_work.append(helper)
        try:
            yield
        finally:
            self._at_work.remove(helper)

    def is_busy(self, own: Sender | None) -> bool:
        """Tell whether the sink's own sender or a helper may have lines in its hand."""
        return any(sender.is_busy for sender in self._with(own))

    def in_hand(self, own: Sender | None) -> int:
        """Return how many lines they have."""
        return sum(sender.in_hand for sender in self._with(own))

    def has_others(self) -> bool:
        """Tell whether another thread sends; what this one was at goes on after a signal only."""
        own = get_ident()
        return any(thread != own for thread, _ in [*self._at_work])

    def _with(self, own: Sender | None) -> list[Sender]:
        # Copied in one step: other threads change it.
        helpers = [helper for _, helper in [*self._at_work]]
        return helpers if own is None else [own, *helpers]
