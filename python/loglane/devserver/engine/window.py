"""The steps at which a metric query is evaluated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """Evaluation times from `start_ns` to `end_ns`, both included, every `step_ns`."""

    start_ns: int
    end_ns: int
    step_ns: int = 1

    @classmethod
    def at(cls, ts_ns: int) -> Window:
        """Make the single step of an instant query."""
        return cls(ts_ns, ts_ns)

    def aligned(self) -> Window:
        """Widen to multiples of the step, as Loki's query frontend does before it splits a query.

        Source: loki: pkg/querier/queryrange/splitters.go, alignStartEnd.
        """
        step = self.step_ns
        return Window(self.start_ns // step * step, -(-self.end_ns // step) * step, step)

    def ends(self) -> range:
        """Return the evaluation times in nanoseconds."""
        return range(self.start_ns, self.end_ns + 1, self.step_ns)
