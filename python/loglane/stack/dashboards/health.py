"""The queries of *Stack health*: from Prometheus, or from what the components log."""

from __future__ import annotations

from loglane.stack.capacity import EVERYTHING
from loglane.stack.dashboards.lines import NO_ERROR, READABLE, by_level
from loglane.stack.spec import StackSpec

# The stages and sinks of the two collectors count under names of their own.
_READ = {
    "promtail": (
        "promtail_docker_target_entries_total",
        "promtail_read_lines_total",
        "promtail_journal_target_lines_total",
    ),
    "alloy": (
        "loki_source_docker_target_entries_total",
        "loki_source_file_read_lines_total",
        "loki_source_journal_target_lines_total",
    ),
}
# What rules drop on purpose.
_LEFT_OUT = {
    "promtail": "logentry_dropped_lines_total",
    "alloy": "loki_process_dropped_lines_total",
}
_SENT = {"promtail": "promtail_sent_entries_total", "alloy": "loki_write_sent_entries_total"}
_GAVE_UP = {
    "promtail": "promtail_dropped_entries_total",
    "alloy": "loki_write_dropped_entries_total",
}
# How long the collector's requests took; and what it calls itself in them.
_REQUESTS = {
    "promtail": "promtail_request_duration_seconds_count",
    "alloy": "loki_write_request_duration_seconds_count",
}
_USER_AGENTS = {"promtail": "promtail/.*", "alloy": "Alloy/.*"}
_RETRIES = {"promtail": "promtail_batch_retries_total", "alloy": "loki_write_batch_retries_total"}

# Why Loki refuses a line, by the words of its answer (loki: pkg/validation/validate.go).
_REASONS = (
    ("timestamp too old", "too old"),
    ("too far behind", "behind its stream"),
    ("timestamp too new", "in the future"),
    ("max entry size", "too long"),
    ("label names; limit", "too many labels"),
    ("rate limit", "over the rate limit"),
    ("stream limit", "over the stream limit"),
)


def queries(spec: StackSpec) -> dict[str, str]:
    """Return the queries by the name that the template knows."""
    return _from_metrics(spec) if spec.metrics else _from_lines(spec)


def _from_metrics(spec: StackSpec) -> dict[str, str]:
    received = "loki_distributor_lines_received_total"
    behind = f'loki_distributor_lag_ms_total{{userAgent=~"{_USER_AGENTS[spec.collector]}"}}'
    # A source that the collector does not have has no counter either.
    read = " + ".join(
        f"(sum(rate({name}[$__rate_interval])) or vector(0))" for name in _READ[spec.collector]
    )
    gave_up, retries = _GAVE_UP[spec.collector], _RETRIES[spec.collector]
    compacted = "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds"
    applied = "loki_compactor_apply_retention_last_successful_run_timestamp_seconds"
    return {
        "up": "up",
        "received": f"sum(increase({received}[$__range]))",
        "rejected": "sum(increase(loki_discarded_samples_total[$__range])) or vector(0)",
        "gave_up": f"sum(increase({gave_up}[$__range])) or vector(0)",
        "lag": (
            f"sum(rate({behind}[$__rate_interval]))"
            f" / sum(rate({_REQUESTS[spec.collector]}[$__rate_interval]))"
        ),
        "read": read,
        "sent": f"sum(rate({_SENT[spec.collector]}[$__rate_interval]))",
        "left_out": f"sum(rate({_LEFT_OUT[spec.collector]}[$__rate_interval])) or vector(0)",
        "gave_up_by_reason": f"sum by (reason) (rate({gave_up}[$__rate_interval]))",
        "retries": f"sum(rate({retries}[$__rate_interval]))",
        "ingest_lines": f"sum(rate({received}[$__rate_interval]))",
        "ingest_bytes": "sum(rate(loki_distributor_bytes_received_total[$__rate_interval]))",
        "rejected_by_reason": (
            "sum by (reason) (increase(loki_discarded_samples_total[$__rate_interval]))"
        ),
        "streams": "sum(loki_ingester_memory_streams)",
        "chunks": "sum(loki_ingester_memory_chunks)",
        "wal_disk": "max(loki_ingester_wal_disk_usage_percent)",
        "wal_bytes": "sum(rate(loki_ingester_wal_logged_bytes_total[$__rate_interval]))",
        "checkpoint_s": 'max(loki_ingester_checkpoint_duration_seconds{quantile="0.99"})',
        # Both are 0 until the first time.
        "compacted": f"time() - (max({compacted}) > 0)",
        "retention": f"time() - (max({applied}) > 0)",
        "pending_deletes": "sum(loki_compactor_pending_delete_requests_count) or vector(0)",
        "memory": "sum by (job) (process_resident_memory_bytes)",
    }


def _from_lines(spec: StackSpec) -> dict[str, str]:
    own = _components(spec, *spec.components)
    loki, collector = _components(spec, "loki"), _components(spec, spec.collector)
    refused = (
        f"{loki} |= `write operation failed` | logfmt msg, details"
        f" {NO_ERROR} | msg = `write operation failed` | label_format reason=`{_reasons()}`"
    )
    gave_up, retried = (
        f"{collector} |= `final error sending batch`",
        (f"{collector} |= `error sending batch, will retry`"),
    )
    checkpoint = (
        f"{loki} |= `checkpoint done` | logfmt msg, time | msg = `checkpoint done`"
        " | unwrap duration_seconds(time)"
    )
    flushed = f"{loki} |= `flushing stream` | logfmt msg, total_comp | msg = `flushing stream`"
    warnings = _components(spec, *spec.components, more='level=~"warning|error|critical"')
    # Loki also logs every query, and so the words that are looked for here: `msg` tells them apart.
    compaction = (
        f"{loki} |~ `compacting table|marks? file` | logfmt msg {NO_ERROR}"
        " | msg =~ `finished compacting table|mark file created|no marks file found`"
    )
    return {
        "newest": (
            f"max by (service) (max_over_time({own}"
            " | label_format seen=`{{unixEpochMillis __timestamp__}}` | unwrap seen [$__range]))"
        ),
        "received": f"sum(count_over_time({EVERYTHING} [$__range]))",
        "refused": f"sum(count_over_time({refused} [$__range])) or vector(0)",
        "gave_up": f"sum(count_over_time({gave_up} [$__range])) or vector(0)",
        "retried": f"sum(count_over_time({retried} [$__range])) or vector(0)",
        "ingest_lines": f"sum(rate({EVERYTHING} [$__interval]))",
        "ingest_bytes": f"sum(bytes_rate({EVERYTHING} [$__interval]))",
        "refused_by_reason": f"sum by (reason) (count_over_time({refused} [$__interval]))",
        "gave_up_over_time": f"sum(count_over_time({gave_up} [$__interval])) or vector(0)",
        "retried_over_time": f"sum(count_over_time({retried} [$__interval])) or vector(0)",
        "levels": by_level(f"count_over_time({own} [$__interval])"),
        "checkpoint_s": f"max(max_over_time({checkpoint} {READABLE} [$__interval]))",
        "flushed_bytes": (
            f"sum(sum_over_time({flushed} | unwrap bytes(total_comp) {READABLE} [$__interval]))"
        ),
        "compaction": f"sum by (msg) (count_over_time({compaction} [$__interval]))",
        "problems": warnings,
    }


def _components(spec: StackSpec, *names: str, more: str = "") -> str:
    found = f'service=~"{"|".join(names)}"' + (f", {more}" if more else "")
    if "compose_project" in spec.labels:
        found += f', compose_project="{spec.project}"'
    return f"{{{found}}}"


def _reasons() -> str:
    chain = "".join(
        f'{"else " if index else ""}if contains "{words}" .details}}}}{reason}{{{{'
        for index, (words, reason) in enumerate(_REASONS)
    )
    return f"{{{{{chain}else}}}}another reason{{{{end}}}}"
