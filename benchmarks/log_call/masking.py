"""What an app writes itself when its library masks nothing."""

from __future__ import annotations

from typing import Any

from benchmarks.log_call.cases import SECRET_KEYS

MASK = "***"


def masked(value: Any) -> Any:
    """Copy dicts and lists at any depth, with the values of secret keys replaced."""
    if isinstance(value, dict):
        return {
            key: MASK if key.lower() in SECRET_KEYS else masked(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value
