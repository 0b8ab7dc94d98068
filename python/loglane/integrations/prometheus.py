"""What became of the lines, for Prometheus: `register()`.

Metrics, each since the process began or was forked:

    loglane_lost_lines_total{reason}                 lines that a sink could not write
    loglane_sampled_lines_total{level}               lines that sampling left out
    loglane_loki_sent_lines_total                    lines that Loki has
    loglane_loki_pushes_total                        pushes that it answered for good
    loglane_loki_retries_total                       pushes that had to be made again
    loglane_loki_dropped_lines_total{reason, level}  lines that it will never have
    loglane_loki_queued_lines, .._queued_bytes       what waits in memory
    loglane_loki_wal_lines, .._wal_bytes             what waits in the folder
    loglane_loki_up                                  1, or 0 while it takes no lines

Those of Loki are there when lines are pushed. Source of the names:
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import os
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
