"""How many days of lines fit into the disk budget, as expressions for Loki and for Prometheus.

Both ask the same: how many bytes of lines arrive in a day, what they take in the store, and how
often that goes into `disk_budget`. A stack that is younger than half a day has no day to measure
yet; its last two hours stand for the whole day then.
"""

from __future__ import annotations

from loglane.stack.spec import StackSpec
from loglane.stack.values import hours, size_bytes

# Bytes in the store for each byte of lines that arrived. Measured by `python -m benchmarks store`;
# with metrics it is measured on the stack itself, and this stands in for its first half day.
STORED_RATIO = 0.3

# Every line has a service; Loki wants one matcher that cannot match an empty value.
EVERYTHING = '{service=~".+"}'

_RECEIVED = "loki_distributor_bytes_received_total"
_STORED = "loki_ingester_chunk_stored_bytes_total"


def longest_retention_days(spec: StackSpec) -> float:
    """Return the longest time that any line is kept, in days."""
    rules = [spec.retention, *(t.retention for t in spec.tenants.values() if t.retention)]
    periods = [rule.default for rule in rules]
    periods += [stream.period for rule in rules for stream in rule.streams]
    return max(hours(period) for period in periods) / 24


def bytes_per_day_logql(selector: str = EVERYTHING) -> str:
    """Return the bytes of lines that arrive in a day, as an instant query of LogQL.

    Loki reads a whole day of lines for it, split by the hour and each hour kept in its cache
    (`cache_instant_metric_results`), so ask it every few minutes and not every few seconds.
    """
    day = f"sum(bytes_over_time({selector}[24h]))"
    older = f"sum(bytes_over_time({selector}[12h] offset 12h))"
    # Not one hour: Loki splits no query of which a part is no longer than the pieces.
    newest = f"sum(bytes_over_time({selector}[2h]))"
    return f"({day} and {older} or {newest} * 12)"


def bytes_per_day_promql() -> str:
    """Return the bytes of lines that arrive in a day, as an instant query of PromQL."""
    day = f"sum(increase({_RECEIVED}[1d]))"
    newest = f"sum(increase({_RECEIVED}[2h]))"
    return f"({day} and {_half_a_day_old()} or {newest} * 12)"


def stored_ratio_promql() -> str:
    """Return the bytes in the store for each byte that arrived, as Loki's counters say.

    Lines stay in memory for up to two hours before they are counted as stored, so this is
    measured over a day.
    """
    measured = f"sum(increase({_STORED}[1d])) / sum(increase({_RECEIVED}[1d]))"
    return f"({measured} > 0 and {_half_a_day_old()} or vector({STORED_RATIO}))"


def days_of_room_logql(spec: StackSpec) -> str | None:
    """Return the days of lines that `disk_budget` holds, as an instant query of LogQL.

    Returns:
        None without a budget. The query has no answer while no line arrives at all.
    """
    if spec.disk_budget is None:
        return None
    return f"{size_bytes(spec.disk_budget)} / ({bytes_per_day_logql()} * {STORED_RATIO})"


def days_of_room_promql(spec: StackSpec) -> str | None:
    """Return the days of lines that `disk_budget` holds, as an instant query of PromQL.

    Returns:
        None without a budget. The answer is infinite while no line arrives at all.
    """
    if spec.disk_budget is None:
        return None
    return f"{size_bytes(spec.disk_budget)} / ({bytes_per_day_promql()} * {stored_ratio_promql()})"


def _half_a_day_old() -> str:
    return f"sum({_RECEIVED} offset 12h)"
