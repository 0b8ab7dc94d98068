"""Whether and when to ask again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

# Loki or who is in front of it is busy, restarting or too slow; reading again is always safe.
# Proxies have more of 5xx than the standard.
RETRIED = frozenset({408, 429, *range(500, 600)})


@dataclass(frozen=True, slots=True)
class Retry:
    """The budget of one question.

    Attributes:
        tries: How often to ask at most.
        total_s: After this time nothing is begun again.
        first_s: The longest wait after the first try; it doubles with each.
        longest_s: No wait is longer, except as Loki says in `Retry-After`.
    """

    tries: int = 4
    total_s: float = 30.0
    first_s: float = 0.25
    longest_s: float = 5.0

    def wait_s(self, tried: int, spent_s: float, retry_after: str | None = None) -> float | None:
        """Return how long to wait before the next try, or None when the budget is used up.

        Args:
            tried: How often it was tried, from 1.
            spent_s: Time since the first try began.
            retry_after: That header of the answer: seconds or a date (RFC 9110, 10.2.3).
        """
        ceiling = min(self.longest_s, self.first_s * 2 ** (tried - 1))
        # Full jitter, so that clients which failed together do not come again together.
        wait_s = random.uniform(0, ceiling)  # noqa: S311 - spreads load, guards nothing
        if retry_after is not None:
            wait_s = max(wait_s, _seconds(retry_after))
        return None if tried >= self.tries or spent_s + wait_s > self.total_s else wait_s


def _seconds(retry_after: str) -> float:
    try:
        return float(int(retry_after))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
