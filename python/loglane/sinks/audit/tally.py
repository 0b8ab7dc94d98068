"""What became of audit records, counted."""

from __future__ import annotations

import threading
from collections import Counter


class Tally:
    """Counts by name since the process began, or was forked.

    Attributes:
        last_error: Why a record could not be stored or kept the last time; '' when all was well.
    """

    def __init__(self) -> None:
        # Re-entrant: a signal handler counts, too.
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self.last_error = ""

    def add(self, name: str, count: int = 1) -> None:
        """Count something."""
        with self._lock:
            self._counts[name] += count

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def lost(self) -> dict[str, int]:
        """Return the counts of what was lost, by reason."""
        with self._lock:
            counts = [(*name.partition("lost."), n) for name, n in self._counts.items()]
        return {reason: n for _, found, reason, n in counts if found and n}
