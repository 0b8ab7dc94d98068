"""How much time a request may read: Loki's `max_query_length` at its default.

Loki checks what was asked, and then each part of a metric query that its frontend has cut, which
reads the range of the aggregation besides (loki: pkg/querier/queryrange/splitters.go).
"""

from __future__ import annotations

from loglane.devserver.api.params import Bounds
from loglane.devserver.engine.window import Window
from loglane.devserver.refusal import Refused

MAX_LENGTH_NS = (30 * 24 + 1) * 3600 * 10**9
# limits_config.split_queries_by_interval, as the stack has it.
_PART_NS = 24 * 3600 * 10**9
_MILLISECOND = 10**6


def check_length(bounds: Bounds) -> None:
    """Refuse bounds with too much time between them."""
    # Loki compares milliseconds.
    length_ms = bounds.end_ns // _MILLISECOND - bounds.start_ns // _MILLISECOND
    _check(length_ms * _MILLISECOND)


def check_ranges(window: Window, range_ns: int) -> None:
    """Refuse a part of a metric query that reads too much time.

    Args:
        window: The steps, aligned.
        range_ns: The longest range of its aggregations; 0 when it has none.
    """
    if range_ns:
        part_ns = _longest_part(window, max(_PART_NS, range_ns, window.step_ns))
        # The part includes its end, so exactly the limit is too much.
        _check(part_ns + range_ns, MAX_LENGTH_NS - 1)


def _longest_part(window: Window, part_ns: int) -> int:
    first = window.start_ns // part_ns * part_ns + part_ns
    if first >= window.end_ns:
        return window.end_ns - window.start_ns
    last = window.end_ns // part_ns * part_ns
    whole = part_ns if last > first else 0
    return max(first - window.start_ns, window.end_ns - last, whole)


def _check(length_ns: int, limit_ns: int = MAX_LENGTH_NS) -> None:
    if length_ns > limit_ns:
        raise Refused(
            "the query time range exceeds the limit "
            f"(query length: {_go_duration(length_ns)}, limit: 30d1h)"
        )


def _go_duration(length_ns: int) -> str:
    seconds, fraction = divmod(length_ns, 10**9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    shown = f"{seconds}.{fraction:09d}".rstrip("0") if fraction else str(seconds)
    return f"{hours}h{minutes}m{shown}s"
