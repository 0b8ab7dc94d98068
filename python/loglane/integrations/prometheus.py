"""What became of the lines, for Prometheus: `register()`.

Metrics, each since `configure` was called last, or the process was forked:

    loglane_lost_lines_total{reason}                 lines that a sink could not write
    loglane_sampled_lines_total{level}               lines that sampling left out
    loglane_loki_sent_lines_total                    lines that Loki has
    loglane_loki_pushes_total                        pushes that it answered for good
    loglane_loki_retries_total                       pushes that had to be made again
    loglane_loki_dropped_lines_total{reason, level}  lines that it will never have
    loglane_loki_queued_lines, .._queued_bytes       what waits in memory
    loglane_loki_wal_lines, .._wal_bytes             what waits in the folder
    loglane_loki_up                                  1, or 0 while it takes no lines
    loglane_audit_written_records_total              audit records that were stored
    loglane_audit_known_records_total                that were stored before
    loglane_audit_retries_total                      batches that had to be written again
    loglane_audit_spilled_records_total              that went to the outbox in place of the sink
    loglane_audit_lost_records_total{reason}         that were not kept
    loglane_audit_queued_records, .._queued_bytes    what waits in memory
    loglane_audit_in_hand_records                    what is being written
    loglane_audit_outbox_records                     what waits in the outbox, of all processes
    loglane_audit_dead_records                       what was refused, of all processes
    loglane_audit_lag_seconds                        age of the oldest record that is not stored
    loglane_audit_explicit_records_total{outcome}    of AuditLog: committed, rolled_back, failed
    loglane_audit_up                                 1, or 0 while the database takes no records, or
                                                     no worker runs in this process

Those of Loki are there when lines are pushed, those of the audit trail when there is one. Source
of the names: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from loglane import logger, pipeline
from loglane.errors import EnvironmentMissing

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

_COUNTERS = {
    "sent": ("loglane_loki_sent_lines", "Lines that Loki has."),
    "batches": ("loglane_loki_pushes", "Pushes that Loki answered for good."),
    "retries": ("loglane_loki_retries", "Pushes that had to be made again."),
}
_GAUGES = {
    "queued": ("loglane_loki_queued_lines", "Lines that wait in memory."),
    "queued_bytes": ("loglane_loki_queued_bytes", "Bytes that wait in memory."),
    "wal_lines": ("loglane_loki_wal_lines", "Lines that wait in the folder."),
    "wal_bytes": ("loglane_loki_wal_bytes", "Bytes that wait in the folder."),
}
_AUDIT_COUNTERS = {
    "written": ("loglane_audit_written_records", "Audit records that were stored."),
    "known": ("loglane_audit_known_records", "Audit records that were stored before."),
    "retried": ("loglane_audit_retries", "Batches of audit records that were written again."),
    "spilled": ("loglane_audit_spilled_records", "Audit records that went to the outbox."),
}
_AUDIT_GAUGES = {
    "queued": ("loglane_audit_queued_records", "Audit records that wait in memory."),
    "queued_bytes": ("loglane_audit_queued_bytes", "Bytes of audit records in memory."),
    "in_hand": ("loglane_audit_in_hand_records", "Audit records that are being written."),
    "outbox": ("loglane_audit_outbox_records", "Audit records that wait in the outbox."),
    "dead": ("loglane_audit_dead_records", "Audit records that were refused."),
    "lag_s": ("loglane_audit_lag_seconds", "Age of the oldest audit record that is not stored."),
}
# Python's own ways to say that prometheus_client counts in files, for several processes.
_SHARED = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")

_registered: WeakSet[Any] = WeakSet()


def register(registry: CollectorRegistry | None = None) -> None:
    """Have the metrics of this process collected; doing it twice changes nothing.

    They are read when Prometheus asks, so a log call costs nothing more. Under prometheus_client's
    multiprocess mode, as with gunicorn's workers, they are not collected, which is said as a
    warning: that mode reads files, and asks no collector.

    Args:
        registry: Where; the default one of prometheus_client by default.

    Raises:
        EnvironmentMissing: There is no prometheus_client.
    """
    try:
        from prometheus_client import REGISTRY
    except ImportError:
        raise EnvironmentMissing(
            "metrics need the package prometheus-client: pip install prometheus-client"
        ) from None
    if any(os.environ.get(name) for name in _SHARED):
        warnings.warn(
            "loglane's metrics are not collected in prometheus_client's multiprocess mode",
            RuntimeWarning,
            stacklevel=2,
        )
    place = REGISTRY if registry is None else registry
    if place not in _registered:
        place.register(_Collector())
        _registered.add(place)


class _Collector:
    """Makes the metrics of what the package has counted, each time it is asked."""

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        # A scrape must not configure a process that has logged nothing yet.
        if logger.active_engine() is None:
            return
        yield from _lines(pipeline.get_lost_counts())
        stats = pipeline.loki_sink_stats()
        if stats:
            yield from _pushes(stats)
        yield from _records()


def _lines(counts: dict[str, int]) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily

    lost = CounterMetricFamily(
        "loglane_lost_lines", "Lines that a sink could not write.", labels=["reason"]
    )
    sampled = CounterMetricFamily(
        "loglane_sampled_lines", "Lines that sampling left out.", labels=["level"]
    )
    for name, count in counts.items():
        kind, _, detail = name.partition(".")
        if kind == "sampled":
            sampled.add_metric([detail], count)
        elif kind != "loki":
            lost.add_metric([name], count)
    return lost, sampled


def _pushes(stats: dict[str, Any]) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for key, (name, text) in _COUNTERS.items():
        yield CounterMetricFamily(name, text, value=stats[key])
    for key, (name, text) in _GAUGES.items():
        yield GaugeMetricFamily(name, text, value=stats[key])
    yield GaugeMetricFamily(
        "loglane_loki_up", "Whether Loki takes lines.", value=0 if stats["is_away"] else 1
    )
    dropped = CounterMetricFamily(
        "loglane_loki_dropped_lines",
        "Lines that Loki will never have.",
        labels=["reason", "level"],
    )
    for name, count in stats["dropped"].items():
        reason, _, level = name.partition(".")
        dropped.add_metric([reason, level], count)
    yield dropped


def _records() -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    # Without an audit trail nothing of it is imported.
    if not {"loglane.sinks.audit", "loglane.audit.lines"} & sys.modules.keys():
        return
    from loglane.audit.stats import audit_stats

    stats = audit_stats()
    if not stats:
        return
    explicit = CounterMetricFamily(
        "loglane_audit_explicit_records",
        "Audit records of AuditLog, by what became of them.",
        labels=["outcome"],
    )
    for outcome, count in stats["explicit"].items():
        explicit.add_metric([outcome], count)
    yield explicit
    if "queued" not in stats:
        return
    for key, (name, text) in _AUDIT_COUNTERS.items():
        yield CounterMetricFamily(name, text, value=stats[key])
    for key, (name, text) in _AUDIT_GAUGES.items():
        # None is a file that cannot be read, which is not one without records.
        if stats[key] is not None:
            yield GaugeMetricFamily(name, text, value=stats[key])
    yield GaugeMetricFamily(
        "loglane_audit_up",
        "Whether a worker runs and the database takes records.",
        value=stats["is_running"] and not stats["is_away"],
    )
    lost = CounterMetricFamily(
        "loglane_audit_lost_records", "Audit records that were not kept.", labels=["reason"]
    )
    for reason, count in stats["lost"].items():
        lost.add_metric([reason], count)
    yield lost
