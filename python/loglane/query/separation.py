"""Cutting the entries of one nanosecond into parts that LogQL can ask for one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loglane.query.entry import LogEntry
from loglane.query.quoting import quote

# As many lines show well enough which text is in about half of them.
_SAMPLE = 400
_LONGEST = 3
_SAMPLED_CHARS = 400


def separate(entries: Sequence[LogEntry]) -> tuple[str, str] | None:
    """Return a stage that keeps some of these entries, and the one that keeps all the others.

    Both together keep every entry there is, seen or not. None when nothing tells them apart.
    """
    return _by_name(entries) or _by_text(entries)


def _by_name(entries: Sequence[LogEntry]) -> tuple[str, str] | None:
    """Cut by the value of a label, of structured metadata or of a parsed field."""
    counts: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        counts.update({**entry._parsed, **entry.metadata, **entry.labels}.items())
    half = len(entries) / 2
    distance, chosen = min(
        ((abs(count - half), pair) for pair, count in counts.items() if count < len(entries)),
        default=(half, None),
    )
    # A value that few entries have, such as an id, would need a query for each of its kind.
    if chosen is None or distance > half * 0.8:
        return None
    name, value = chosen
    return f"| {name}={quote(value)}", f"| {name}!={quote(value)}"


def _by_text(entries: Sequence[LogEntry]) -> tuple[str, str] | None:
    """Cut by a short text that about half of the lines have."""
    lines = [entry.raw for entry in entries[:: max(1, len(entries) // _SAMPLE)]]
    counts: Counter[str] = Counter()
    for line in lines:
        shown = line[-_SAMPLED_CHARS:]
        counts.update(
            {
                shown[at : at + size]
                for size in range(1, _LONGEST + 1)
                for at in range(len(shown) - size + 1)
            }
        )
    half = len(lines) / 2
    usable = ((abs(count - half), text) for text, count in counts.items() if count < len(lines))
    chosen = min(usable, default=(0, None))[1]
    if chosen is None:
        # Lines of the same short texts: the longest is in no other, or all are equal.
        chosen = max((entry.raw for entry in entries), key=len)
        if all(chosen in entry.raw for entry in entries):
            return None
    return f"|= {quote(chosen)}", f"!= {quote(chosen)}"
