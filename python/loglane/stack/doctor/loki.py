"""Loki: ready, taking lines, compacting, and deleting what is old."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import yaml

from loglane.stack.doctor.finding import Finding
from loglane.stack.doctor.subject import Subject, ago, ask, duration
from loglane.stack.spec import SINGLE_TENANT
from loglane.stack.values import hours

# Names in Loki 3.7 (loki: pkg/compactor/metrics.go); the prefix is older than the TSDB index.
_COMPACTED = "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds"
_RETAINED = "loki_compactor_apply_retention_last_successful_run_timestamp_seconds"
_RETENTION_RUNS = "loki_compactor_apply_retention_operation_total"
# One run may be missed while Loki restarts, or take long.
_MISSED_RUNS = 3


def ready_findings(subject: Subject) -> Iterator[Finding]:
    """Say whether Loki is ready, which version it is, and what it refused since its start."""
    ask(f"{subject.url('loki')}/ready")
    metrics = subject.metrics("loki")
    versions = metrics.by("loki_build_info", "version")
    began = metrics.total("process_start_time_seconds")
    yield Finding("loki", "ok", f"Loki {next(iter(versions), '?')} is ready, up {ago(began)}")
    refused = metrics.by("loki_discarded_samples_total", "reason")
    for reason, count in refused.items():
        what = f"{count:.0f} lines were refused since its start: {reason}"
        yield Finding("loki", "warning", what, _mend_of(reason, subject))
    if not refused:
        yield Finding("loki", "ok", "no line was refused since its start")


def _mend_of(reason: str, subject: Subject) -> str:
    keys = {
        "rate_limited": "limits.ingestion_rate_mb",
        "per_stream_rate_limit": "limits.per_stream_rate_limit",
        "stream_limit": "labels (an id is among them?) or limits.max_global_streams_per_user",
        "line_too_long": "limits.max_line_size",
        "greater_than_max_sample_age": "limits.reject_old_samples_max_age",
    }
    if reason in keys:
        return f"{keys[reason]} in stack/stack.yaml, then {subject.up}"
    return f"{subject.compose} logs --since 1h loki"


def compaction_findings(subject: Subject) -> Iterator[Finding]:
    """Say whether the compactor has run, and whether it deletes what is past its time."""
    config = compactor_config(ask(f"{subject.url('loki')}/config").text)
    metrics = subject.metrics("loki")
    up_s = time.time() - metrics.total("process_start_time_seconds")
    every_s = _seconds(config.get("compaction_interval"), 600)
    yield _run_finding(subject, "compaction", metrics.total(_COMPACTED), up_s, every_s)
    if not config.get("retention_enabled"):
        what = "retention is off in the Loki that runs: nothing is ever deleted"
        yield Finding("retention", "problem", what, subject.up)
        return
    # 0 means: with each compaction.
    every_s = _seconds(config.get("apply_retention_interval"), 0) or every_s
    yield _run_finding(subject, "retention", metrics.total(_RETAINED), up_s, every_s)
    failed = metrics.by(_RETENTION_RUNS, "status").get("failure", 0)
    if failed:
        what = f"{failed:.0f} runs of retention have failed since Loki's start"
        yield Finding("retention", "warning", what, f"{subject.compose} logs --since 1h loki")


def _run_finding(
    subject: Subject, topic: str, last_s: float, up_s: float, every_s: float
) -> Finding:
    every = duration(every_s)
    if last_s > 0 and time.time() - last_s <= _MISSED_RUNS * every_s:
        return Finding(topic, "ok", f"ran {ago(last_s)} ago, every {every}")
    if last_s == 0 and up_s <= _MISSED_RUNS * every_s:
        what = f"not yet since Loki's start {duration(up_s)} ago, every {every}"
        return Finding(topic, "ok", what)
    when = f"{ago(last_s)} ago" if last_s else f"never in {duration(up_s)}"
    what = f"last successful run: {when}; it should be every {every}"
    return Finding(topic, "problem", what, f"{subject.compose} logs --since 1h loki")


def oldest_findings(subject: Subject) -> Iterator[Finding]:
    """Say whether lines are still there that are past the longest retention."""
    for tenant in subject.spec.tenant_names:
        longest_h = longest_retention_hours(subject, tenant)
        grace_h = hours(subject.spec.retention.phases.delete) + 48
        until_s = int(time.time() - (longest_h + grace_h) * 3600)
        params = {"query": '{service=~".+"}', "start": until_s - 29 * 86400, "end": until_s}
        stats = ask(f"{subject.url('loki')}/loki/api/v1/index/stats", tenant, params).json()
        whose = "" if tenant == SINGLE_TENANT else f"tenant {tenant}: "
        past = f"past every retention, {longest_h / 24:.0f} d"
        if stats.get("entries", 0):
            what = f"{whose}{stats['entries']} lines are {past}"
            yield Finding("retention", "problem", what, f"{subject.compose} logs --since 1h loki")
        else:
            yield Finding("retention", "ok", f"{whose}no line is {past}")


def longest_retention_hours(subject: Subject, tenant: str) -> float:
    """Return how long the longest-kept lines of a tenant are kept."""
    own = subject.spec.tenants.get(tenant)
    rules = own.retention if own is not None and own.retention else subject.spec.retention
    return max(hours(period) for period in (rules.default, *(r.period for r in rules.streams)))


def compactor_config(text: str) -> dict[str, object]:
    """Read the compactor's part of what Loki shows at /config."""
    part = re.search(r"^compactor:\n(?:[ ].*\n)+", text, re.MULTILINE)
    if part is None:
        return {}
    found: dict[str, object] = yaml.safe_load(part[0])["compactor"] or {}
    return found


def _seconds(text: object, default: float) -> float:
    # Go's notation: 10m0s, 2h0m0s, 0s.
    parts = re.findall(r"([\d.]+)(h|m|s|ms)(?![a-z])", str(text))
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(number) * units[unit] for number, unit in parts) if parts else default
