"""When to try again: full jitter at first, and rarely once Loki seems to be gone."""

from __future__ import annotations

import random

_FIRST_S = 0.5
_LONGEST_S = 15.0
# A Retry-After of days would be a mistake of somebody's.
_LONGEST_ASKED_S = 300.0
# After so many failures in a row only a small batch is tried, until one arrives.
_OPENS_AFTER = 5


class Breaker:
    """Counts failures in a row and says how long to pause.

    Source of full jitter:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Attributes:
        failures: Tries in a row that did not succeed.
        is_there: Whether something answers all the same, and Loki may take lines soon.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.is_there = False

    @property
    def is_open(self) -> bool:
        """Whether only small batches are tried."""
        return self.failures >= _OPENS_AFTER

    @property
    def is_gone(self) -> bool:
        """Whether it is no use to wait for Loki at the end of a process."""
        return self.is_open and not self.is_there

    def succeed(self) -> bool:
        """Note a success; return whether there were failures before it."""
        failed, self.failures = self.failures > 0, 0
        return failed

    def fail(self, asked_s: float | None = None) -> float:
        """Note a failure; return the seconds to pause.

        Args:
            asked_s: What Loki asked for with Retry-After.
        """
        longest_s = min(_LONGEST_S, _FIRST_S * 2 ** min(self.failures, 10))
        self.failures += 1
        # So that many processes do not come back at one moment.
        pause_s = random.uniform(0.0, longest_s)  # noqa: S311 - no secret
        return max(pause_s, min(asked_s or 0.0, _LONGEST_ASKED_S))
