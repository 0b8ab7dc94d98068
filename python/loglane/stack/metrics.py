"""Prometheus beside the stack: whom it asks, what it keeps, and how collectors count."""

from __future__ import annotations

from typing import Any, NamedTuple

from loglane.stack.spec import StackSpec

# Days and size, whichever is reached first. A stack of this size stores some 20 MB a day.
RETENTION_TIME = "15d"
RETENTION_SIZE = "2GB"
SCRAPE_INTERVAL = "15s"
_COLLECTOR_PORTS = {"promtail": 9080, "alloy": 12345}


class Counters(NamedTuple):
    """What a collector counts, by the names of its own metrics.

    Attributes:
        read: Lines read, a counter for each kind of source.
        sent: Lines that Loki took.
        dropped: Lines given up after the last retry or refused for good, by `reason`.
        stage_dropped: Lines that a stage dropped because the spec says so.
        retries: Batches that were sent again.
    """

    read: tuple[str, ...]
    sent: str
    dropped: str
    stage_dropped: str
    retries: str


# promtail: clients/pkg/promtail/{client,targets}, clients/pkg/logentry/stages/match.go
# alloy: internal/component/common/loki/client/metrics.go, internal/component/loki/{source,process}
COUNTERS = {
    "promtail": Counters(
        read=(
            "promtail_docker_target_entries_total",
            "promtail_read_lines_total",
            "promtail_journal_target_lines_total",
        ),
        sent="promtail_sent_entries_total",
        dropped="promtail_dropped_entries_total",
        stage_dropped="logentry_dropped_lines_total",
        retries="promtail_batch_retries_total",
    ),
    "alloy": Counters(
        read=(
            "loki_source_docker_target_entries_total",
            "loki_source_file_read_lines_total",
            "loki_source_journal_target_lines_total",
        ),
        sent="loki_write_sent_entries_total",
        dropped="loki_write_dropped_entries_total",
        stage_dropped="loki_process_dropped_lines_total",
        retries="loki_write_batch_retries_total",
    ),
}


def metrics_context(spec: StackSpec) -> dict[str, Any]:
    """Return what Prometheus' templates insert."""
    return {
        "prometheus": {
            "scrape_interval": SCRAPE_INTERVAL,
            "retention_time": f"--storage.tsdb.retention.time={RETENTION_TIME}",
            "retention_size": f"--storage.tsdb.retention.size={RETENTION_SIZE}",
            # Dashboards and rules know the jobs by these names.
            "jobs": [
                {"name": "loki", "target": "loki:3100"},
                {
                    "name": "collector",
                    "target": f"{spec.collector}:{_COLLECTOR_PORTS[spec.collector]}",
                },
                {"name": "grafana", "target": "grafana:3000"},
                {"name": "prometheus", "target": "localhost:9090"},
            ],
        }
    }
