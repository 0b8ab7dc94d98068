"""What Loki's templates insert: storage, the phases of a line's life, retention, limits."""

from __future__ import annotations

from typing import Any

from loglane.stack.bucket import bucket_rules
from loglane.stack.overrides import limit_items, retention_items, tenant_overrides
from loglane.stack.spec import StackSpec
from loglane.stack.spec.lifecycle import Storage
from loglane.stack.values import go_duration, hours, memory_bytes

# Loki's own: a stream that is silent for so long is flushed before its chunk is old.
_IDLE_HOURS = 0.5


def storage_context(spec: StackSpec) -> dict[str, Any]:
    """Return what Loki's templates insert."""
    return {
        "storage": _storage(spec.storage),
        "phases": _phases(spec),
        "wal_replay_memory": _half(spec.resources.loki.memory),
        "max_query_series": _most_streams(spec),
        "loki_limits": [*retention_items(spec.retention, ()), *limit_items(spec.limits)],
        "tenant_overrides": tenant_overrides(spec),
        "bucket_rules": bucket_rules(spec),
    }


def _most_streams(spec: StackSpec) -> int:
    own = [tenant.limits.max_global_streams_per_user or 0 for tenant in spec.tenants.values()]
    return max([spec.limits.max_global_streams_per_user, *own])


def _storage(storage: Storage) -> dict[str, Any]:
    """Return the type, and for S3 Loki's keys; what is not given is left to Loki."""
    keys = {
        "bucketnames": storage.bucket,
        "region": storage.region,
        "endpoint": storage.endpoint,
        "s3forcepathstyle": storage.path_style,
        "insecure": (storage.endpoint or "").startswith("http://"),
    }
    s3 = [{"name": name, "value": value} for name, value in keys.items() if value is not None]
    return {"type": storage.type, "s3": s3}


def _phases(spec: StackSpec) -> dict[str, str]:
    hot = hours(spec.retention.phases.hot)
    return {
        "max_chunk_age": go_duration(hot),
        "chunk_idle_period": go_duration(min(hot, _IDLE_HOURS)),
        "delete_delay": go_duration(hours(spec.retention.phases.delete)),
    }


def _half(memory: str) -> str:
    """Half of a Docker memory size, as Loki's config writes bytes (replay must leave room)."""
    return f"{memory_bytes(memory) // 2 // 1024**2}MB"
