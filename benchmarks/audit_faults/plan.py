"""What an app process of a case does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from benchmarks.faults.plan import AppPlan


@dataclass(frozen=True, slots=True)
class Plan(AppPlan):
    """What an app does that writes marked log lines; each has the resource `NAME:NUMBER`.

    Attributes:
        audit: The section `audit` of its settings.
        warm_up: So many lines are stored before the size of the process is taken.
    """

    audit: dict[str, Any] = field(default_factory=dict)
    warm_up: int = 0


def event_id(name: str, number: int) -> str:
    """Return the id of a writer's record: they are known before they are written."""
    return f"{crc32(name.encode()):08x}-0000-7000-8000-{number:012x}"
