"""Which streams have which labels, in memory, a tenant apart from another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loglane.devserver.logql.nodes import Matcher
from loglane.devserver.logql.patterns import compile_matcher
from loglane.devserver.store.block import Block


@dataclass(slots=True)
class Stream:
    """One stream, the nanoseconds of its oldest and newest entry, and its blocks as they arrived.

    `blocks` is replaced and never changed, so that a reader may go on with what it has.
    """

    id: int
    labels: dict[str, str]
    first_ns: int = 2**63
    last_ns: int = -(2**63)
    blocks: tuple[Block, ...] = ()

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether an entry may lie in `start_ns <= ts < end_ns`."""
        return self.first_ns < end_ns and self.last_ns >= start_ns


class LabelIndex:
    """Streams of one tenant by label and value."""

    def __init__(self) -> None:
        self.streams: dict[int, Stream] = {}
        self._values: defaultdict[str, defaultdict[str, set[int]]] = defaultdict(
            lambda: defaultdict(set)
        )

    def add(self, stream: Stream) -> None:
        """Add a stream that is not there yet."""
        self.streams[stream.id] = stream
        for name, value in stream.labels.items():
            self._values[name][value].add(stream.id)

    def select(self, matchers: Iterable[Matcher]) -> list[Stream]:
        """Return the streams that every matcher accepts, in the order they were created."""
        chosen: set[int] | None = None
        for matcher in matchers:
            found = self._matching(matcher)
            chosen = found if chosen is None else chosen & found
        ids = self.streams.keys() if chosen is None else chosen
        return [self.streams[id_] for id_ in sorted(ids)]

    def _matching(self, matcher: Matcher) -> set[int]:
        accepts: Callable[[str], bool] = compile_matcher(matcher)
        values: dict[str, set[int]] = self._values.get(matcher.name, {})
        if not accepts(""):
            return set().union(*(ids for value, ids in values.items() if accepts(value)))
        # It accepts streams without the label too, so only the refused values are taken away.
        refused: set[int] = set().union(
            *(ids for value, ids in values.items() if not accepts(value))
        )
        return self.streams.keys() - refused
