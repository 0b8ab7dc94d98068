"""What became of the lines, in numbers; problems are said once on stderr."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field

# What comes and goes again and again is said once in so many seconds.
_AGAIN_S = 60.0


@dataclass(slots=True)
class Tally:
    """Counts since the sink was made, or since the process was forked.

    Attributes:
        sent: Lines that Loki has.
        batches: Pushes that it answered for good.
        retries: Pushes that had to be made again.
        lost: Lines that it will never have, by reason.
        last_error: Why the last push failed; empty when it did not.
    """

    sent: int = 0
    batches: int = 0
    retries: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    last_error: str = ""
    _told: int = 0
    _stored: int = 0

    def is_news(self, lost: int) -> bool:
        """Tell whether more is lost than when this was true last, and a report can arrive."""
        before, self._stored = self._stored, self.sent
        # A report that Loki refuses is a lost line, which would be reported, and so on.
        if lost == self._told or self._stored == before:
            return False
        self._told = lost
        return True

    def numbers(self) -> dict[str, int | str]:
        """Return all but what is lost, which others count too."""
        names = ("sent", "batches", "retries", "last_error")
        return {name: getattr(self, name) for name in names}


class Complaints:
    """Says each kind of problem once on stderr: it must not flood what it cannot mend."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._said: dict[str, float] = {}

    def say(self, kind: str, text: str) -> None:
        """Write one line, unless this kind was said before."""
        if kind in self._said:
            return
        self._said[kind] = time.monotonic()
        if sys.stderr is None:
            return
        try:
            sys.stderr.write(f"loglane: pushing to Loki at {self._url}: {text}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - an app's own stderr raises whatever it likes
            # Or nobody reads it, it is closed, or a signal came within a write to it. The counts
            # still tell.
            return

    def say_once(self, text: str) -> None:
        """Write one line, unless the same was said before."""
        self.say(text, text)

    def forget(self, kind: str) -> None:
        """Let a kind be said again, because it was over."""
        self._said.pop(kind, None)

    def forget_later(self, kind: str) -> None:
        """Let a kind be said again, unless it was said just now: it may come and go."""
        if time.monotonic() - self._said.get(kind, 0.0) >= _AGAIN_S:
            self.forget(kind)
