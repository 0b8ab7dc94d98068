"""Walking through the entries of a query, page by page, each exactly once.

Loki pages by time only: `start` is inclusive, `end` exclusive, and a page ends where its limit is
reached, which may be in the middle of a nanosecond. So the last nanosecond of a full page is held
back and read again as the first of the next. A nanosecond that fills a page alone is read in parts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from loglane.errors import QueryError, TooManyResults
from loglane.query.cursor import FEW, OrderedDigests, Position, Trail
from loglane.query.entry import LogEntry, read_streams
from loglane.query.exchange import Plan, ask
from loglane.query.separation import separate
from loglane.query.stretches import MAX_SPAN_NS, shorter_ns

# Loki's default `max_entries_limit_per_query` (loki: pkg/validation/limits.go).
PAGE_SIZE = 5000
# Entries of one nanosecond are put in order in memory.
MAX_AT_ONCE = 100_000

# Stages whose texts Loki does not look at when it parses the query.
_READ_LATE = re.compile(r"[|!][~>]|\bip\b|_format\b|\bjson\b|\blogfmt\b")
_LIMIT_REFUSED = re.compile(r"max_entries_limit_per_query \(\d+ > (\d+)\)")


class Walk:
    """The entries of a query in a time range, in one direction.

    Args:
        query: LogQL that selects lines.
        start_ns: First nanosecond, inclusive.
        end_ns: Last nanosecond, exclusive.
        backward: Whether to go from the newest entry to the oldest.
        limit: How many entries to give at most; None gives all.
        position: Where an earlier walk stopped.
        page_size: How many entries to ask Loki for at once.

    Attributes:
        more: Whether entries may come after those that were given.
    """

    def __init__(
        self,
        query: str,
        start_ns: int,
        end_ns: int,
        *,
        backward: bool,
        limit: int | None = None,
        position: Position | None = None,
        page_size: int = PAGE_SIZE,
    ) -> None:
        if position is not None and backward:
            start_ns, end_ns = position.start_ns, position.timestamp_ns + 1
        elif position is not None:
            start_ns = position.timestamp_ns
        self._query = query
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._backward = backward
        self._left = limit
        self._position = position
        self._page_size = page_size
        self._span_ns = MAX_SPAN_NS
        self._checked = False
        self._trail = Trail(query, backward, start_ns if backward else 0)
        self.more = start_ns < end_ns and limit != 0

    def next_page(self) -> Plan[list[LogEntry]]:
        """Read on until there are entries to give; an empty list is the end.

        Raises:
            QueryError: Loki refused the query, or it computes numbers.
            TooManyResults: One nanosecond has more entries than can be told apart or held.
        """
        while self.more and self._left != 0:
            found = yield from self._read()
            entries = self._placed(found)
            if self._left is not None:
                if len(entries) >= self._left:
                    self.more = self.more or len(entries) > self._left
                    entries = entries[: self._left]
                self._left -= len(entries)
            if entries or not self.more:
                return entries
        return []

    def _read(self) -> Plan[list[LogEntry]]:
        """Read the next complete nanoseconds, and move on behind them."""
        # One more than wanted shows whether the last nanosecond is complete, and what comes after.
        wanted = self._page_size if self._left is None else min(self._left + 1, self._page_size)
        while True:
            start_ns, end_ns = self._window()
            try:
                found = yield from self._fetch(self._query, start_ns, end_ns, wanted)
                break
            except QueryError as error:
                self._span_ns = shorter_ns(error, end_ns - start_ns)
        if not found and not self._checked:
            yield from self._check()
        self._checked = True
        # It may have been more than this Loki gives, so that a full page is shorter.
        wanted = min(wanted, self._page_size)
        if len(found) < wanted:
            self._move_to(start_ns if self._backward else end_ns)
            return found
        last_ns = found[-1].timestamp_ns
        if found[0].timestamp_ns != last_ns:
            self._move_to(last_ns + 1 if self._backward else last_ns)
            return [entry for entry in found if entry.timestamp_ns != last_ns]
        sample = found if wanted == self._page_size else None
        found = yield from self._read_nanosecond(last_ns, sample)
        self._move_to(last_ns if self._backward else last_ns + 1)
        return found

    def _check(self) -> Plan[None]:
        """Let Loki say what is wrong with a query that found nothing.

        Loki 3.7 looks at expressions and templates only when it reads, and keeps what is wrong
        with them to itself when structured metadata is wanted apart: `Err()` of
        pkg/iter/categorized_labels_iterator.go leaves out the error of what it wraps.
        """
        if not _READ_LATE.search(self._query):
            return
        # The ingesters always read of the present moment, and there is hardly anything in it.
        now_ns = time.time_ns()
        yield from ask(
            "/query_range", apart=False, query=self._query, start=now_ns - 1, end=now_ns, limit=1
        )

    def _window(self) -> tuple[int, int]:
        if self._backward:
            return max(self._start_ns, self._end_ns - self._span_ns), self._end_ns
        return self._start_ns, min(self._end_ns, self._start_ns + self._span_ns)

    def _move_to(self, moment_ns: int) -> None:
        if self._backward:
            self._end_ns = moment_ns
        else:
            self._start_ns = moment_ns
        self.more = self._start_ns < self._end_ns

    def _read_nanosecond(
        self, moment_ns: int, sample: list[LogEntry] | None
    ) -> Plan[list[LogEntry]]:
        """Read all entries of one nanosecond, in parts when they do not fit one page."""
        parts: list[str] = [self._query]
        complete: list[LogEntry] = []
        asked = 0
        while parts:
            part, found, sample = parts.pop(), sample, None
            if found is None:
                found = yield from self._fetch(part, moment_ns, moment_ns + 1, self._page_size)
            asked += 1
            if len(found) < self._page_size:
                complete += found
                if len(complete) > MAX_AT_ONCE:
                    raise self._too_many(moment_ns)
                continue
            conditions = separate(found)
            # Each condition takes something off, so that many parts mean that it does not hold.
            if conditions is None or asked > 8 + 8 * MAX_AT_ONCE // self._page_size:
                raise self._too_many(moment_ns)
            # A comment at the end of a hand-written query must not swallow the condition.
            parts += [f"{part}\n{condition}" for condition in conditions]
        return complete

    def _too_many(self, moment_ns: int) -> TooManyResults:
        return TooManyResults(
            f"the nanosecond {moment_ns} has more entries than can be read in parts; narrow the "
            "query by a label or by text in the line, or leave the nanosecond out of its range",
            self._query,
        )

    def _fetch(self, query: str, start_ns: int, end_ns: int, limit: int) -> Plan[list[LogEntry]]:
        direction = "backward" if self._backward else "forward"
        while True:
            try:
                data = yield from ask(
                    "/query_range", query=query, start=start_ns, end=end_ns,
                    limit=limit, direction=direction,
                )  # fmt: skip
            except QueryError as error:
                allowed = _LIMIT_REFUSED.search(str(error))
                if allowed is None or not 1 < int(allowed[1]) < limit:
                    raise
                self._page_size = limit = int(allowed[1])
                continue
            if data["resultType"] != "streams":
                raise QueryError("this query computes numbers; ask it with raw()", query)
            return read_streams(data["result"], backward=self._backward)

    def _placed(self, found: Sequence[LogEntry]) -> list[LogEntry]:
        """Leave out what was given before, and tell each entry where it stands."""
        entries: list[LogEntry] = []
        trail = self._trail
        at, count = 0, len(found)
        resumed_ns = self._position.timestamp_ns if self._position else -1
        while at < count:
            entry = found[at]
            entry._trail = trail
            moment_ns = entry.timestamp_ns
            after = at + 1
            while after < count and found[after].timestamp_ns == moment_ns:
                after += 1
            if after == at + 1 and moment_ns != resumed_ns:
                entries.append(entry)
            else:
                entries += self._place_group(found[at:after])
            at = after
        return entries

    def _place_group(self, group: Sequence[LogEntry]) -> list[LogEntry]:
        # Of what Loki stores twice (the same line pushed again) one is given.
        distinct = {entry.digest(): entry for entry in reversed(group)}
        distinct = dict(reversed(distinct.items()))
        position = self._position
        resumed = position is not None and position.timestamp_ns == group[0].timestamp_ns
        ordered = position.ordered if position and resumed else len(distinct) > FEW
        given: tuple[bytes, ...] = ()
        if position and resumed:
            distinct = {
                key: entry for key, entry in distinct.items() if not position.has_given(key)
            }
            given = () if ordered else position.given
        digests = OrderedDigests(sorted(distinct)) if ordered else [*given, *distinct]
        entries = []
        for at in range(len(given), len(digests)):
            entry = distinct[digests[at]]
            entry._trail, entry._place = self._trail, (digests, at)
            entries.append(entry)
        return entries
