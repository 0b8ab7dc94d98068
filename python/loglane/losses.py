"""How many lines could not be written, and which of those nobody has been told of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

FAILED = "failed"


class Counting(Protocol):
    """A sink, as far as this module has to do with it."""

    dropped: int


class Losses:
    """Counts by reason: the name of a sink, or `failed` for lines that failed on their way.

    A sink in the background loses lines long after the call that wrote them, so its counts, by
    reasons of its own, are told and take no part in `total`.
    """

    def __init__(
        self,
        sinks: Mapping[str, Counting],
        background: Callable[[], Mapping[str, int]] = dict,
        can_tell: Callable[[], bool] = lambda: True,
    ) -> None:
        """Set where the counts are.

        Args:
            sinks: Those that write at once, by name.
            background: Counts of those that do not.
            can_tell: Whether a line about these would arrive where they are missed.
        """
        self._sinks = dict(sinks)
        self._background = background
        self._can_tell = can_tell
        self._failed = 0
        self._told: dict[str, int] = {}

    def fail(self) -> None:
        """Count a line that failed on its way."""
        self._failed += 1

    @property
    def total(self) -> int:
        """All that were lost while they were written."""
        return self._failed + sum([sink.dropped for sink in self._sinks.values()])

    def counts(self) -> dict[str, int]:
        """Return the counts since the beginning; `failed` only when there are any."""
        counts = {name: sink.dropped for name, sink in self._sinks.items()}
        if self._failed:
            counts[FAILED] = self._failed
        return {**counts, **self._background()}

    def untold(self, everything: bool = False) -> dict[str, int]:
        """Return what has been lost since `tell`.

        Args:
            everything: Also what cannot arrive now where it is missed.
        """
        new = {name: n - self._told.get(name, 0) for name, n in self.counts().items()}
        if not (everything or self._can_tell()):
            for name in self._background():
                new.pop(name, None)
        return {name: n for name, n in new.items() if n}

    def tell(self, counts: Mapping[str, int]) -> None:
        """Remember that these counts have been reported."""
        self._told.update(counts)

    def go_back(self, counts: Mapping[str, int]) -> None:
        """Forget what was lost after these counts were taken: the report itself, no app's line."""
        for name, sink in self._sinks.items():
            sink.dropped = counts[name]
        # The report has reached the sinks of the background.
        self._told.update({name: counts[name] for name in self._background() if name in counts})


def lost_fields(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the fields of the line about lost lines.

    Args:
        counts: By name of a sink, or by its name, a dot and a reason.

    Returns:
        `lost`, summed up by sinks for dashboards, and `reasons` where sinks tell them.
    """
    lost: dict[str, int] = {}
    for name, count in counts.items():
        sink = name.partition(".")[0]
        lost[sink] = lost.get(sink, 0) + count
    reasons = {name: count for name, count in counts.items() if name not in lost}
    return {"lost": lost, "reasons": reasons} if reasons else {"lost": lost}
