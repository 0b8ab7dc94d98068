"""What a tail has to know, without any I/O: what was given, and what may have been missed.

Loki's tail is best effort: it ends after an hour, drops entries when its reader is slow and knows
nothing of those that came while nobody was connected. What it misses, `query_range` has. So after
each connect, and whenever Loki says that it dropped something, the last moments are read again, and
what was given before is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlencode

import orjson

from loglane.query.connection import Connection
from loglane.query.entry import LogEntry, read_streams
from loglane.query.moments import SECOND_NS
from loglane.query.walk import PAGE_SIZE, Walk

# How far behind the newest entry one may come and still be found when the tail was cut off.
OVERLAP_NS = 30 * SECOND_NS
# Entries that are remembered at most; of more the overlap gets shorter.
REMEMBERED = 50_000
# Loki answers the handshake before it listens to its ingesters, so one more look comes later.
SETTLED_S = 1.0


# Is told why Loki is away, and None when it is back.
OnOutage: TypeAlias = Callable[["str | None"], object]


@dataclass(frozen=True, slots=True)
class Patience:
    """How a tail bears that Loki is away.

    Attributes:
        longest_s: Then it gives up.
        on_outage: Is told once when Loki is away, and once when it is back.
    """

    longest_s: float
    on_outage: OnOutage | None = None


class Tail:
    """One tail over all its connections.

    Args:
        query: LogQL that selects lines.
        start_ns: The first moment to give entries from.
        clock_ns: The time.
        page_size: How many entries to ask for at once.

    Attributes:
        has_gap: Whether Loki dropped entries since the last look at what was missed.
    """

    def __init__(
        self,
        query: str,
        start_ns: int,
        clock_ns: Callable[[], int] = time.time_ns,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self.query = query
        self.has_gap = False
        self._from_ns = start_ns
        self._newest_ns = start_ns
        self._given: dict[bytes, int] = {}
        self._clock_ns = clock_ns
        self._page_size = page_size

    def address(self, connection: Connection) -> str:
        """Return the address of the websocket."""
        # What was before is read by `missed`; Loki's own look back would be cut to its limit.
        params = {"query": self.query, "start": self._clock_ns(), "limit": self._page_size}
        url = connection.address("/tail")
        return f"ws{url.removeprefix('http')}?{urlencode(params)}"

    def missed(self) -> Walk:
        """Return the walk through what may have been missed, oldest first."""
        self.has_gap = False
        # An entry may be a little ahead of this machine's clock.
        end_ns = self._clock_ns() + OVERLAP_NS
        return Walk(self.query, self._from_ns, end_ns, backward=False, page_size=self._page_size)

    def read(self, message: str | bytes) -> list[LogEntry]:
        """Return the entries of a message that were not given before."""
        document = orjson.loads(message)
        if document.get("dropped_entries"):
            self.has_gap = True
        entries = read_streams(document.get("streams") or [], backward=False)
        entries.sort(key=lambda entry: entry.timestamp_ns)
        return self.unseen(entries)

    def unseen(self, entries: Iterable[LogEntry]) -> list[LogEntry]:
        """Return the entries that were not given before, and remember them."""
        fresh = []
        for entry in entries:
            key = entry.timestamp_ns.to_bytes(8, "big") + entry.digest()
            if key in self._given:
                continue
            self._given[key] = entry.timestamp_ns
            self._newest_ns = max(self._newest_ns, entry.timestamp_ns)
            fresh.append(entry)
        if len(self._given) > REMEMBERED:
            self._forget()
        return fresh

    def _forget(self) -> None:
        moments = sorted(self._given.values())
        # Half of them go, or all that are older than the overlap.
        from_ns = max(moments[len(moments) // 2] + 1, self._newest_ns - OVERLAP_NS)
        self._given = {key: at_ns for key, at_ns in self._given.items() if at_ns >= from_ns}
        self._from_ns = max(self._from_ns, from_ns)
