"""What Loki's templates insert: retention, limits, storage."""

from __future__ import annotations

from typing import Any

from loglane.stack.spec import StackSpec

_TOP_PRIORITY = 1000
_UNIT_BYTES = {"k": 1024, "m": 1024**2, "g": 1024**3}


def storage_context(spec: StackSpec) -> dict[str, Any]:
    """Return what Loki's template inserts."""
    return {
        "retention": _retention(spec),
        "wal_replay_memory": _half(spec.resources.loki.memory),
        "limits": [{"name": name, "value": value} for name, value in _limits(spec)],
    }


def _retention(spec: StackSpec) -> dict[str, Any]:
    rules = [
        {"selector": rule.selector, "period": rule.period, "priority": _TOP_PRIORITY - index}
        for index, rule in enumerate(spec.retention.streams)
    ]
    return {"default": spec.retention.default, "rules": rules}


def _half(memory: str) -> str:
    """Half of a Docker memory size, as Loki's config writes bytes (replay must leave room)."""
    return f"{int(memory[:-1]) * _UNIT_BYTES[memory[-1]] // 2 // 1024**2}MB"


def _limits(spec: StackSpec) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in spec.limits:
        if name == "discover_service_name":
            # An empty list turns it off; left out, Loki looks at its own list of labels.
            if not value:
                found.append((name, []))
        else:
            found.append((name, value))
    return found
