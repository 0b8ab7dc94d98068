"""What an app process of a case does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson


@dataclass(frozen=True, slots=True)
class Plan:
    """What one app process does: it writes marked log lines with a number each.

    Attributes:
        name: Its records have the resource `NAME:NUMBER`.
        folder: Where it leaves its report and its counts.
        audit: The section `audit` of its settings.
        lines: How many it writes.
        rate: Lines a second; 0 is as fast as it can.
        warm_up: So many of them are stored before the size of the process is taken.
        settle_s: How long it waits at the end until nothing is queued or in the outbox.
    """

    name: str
    folder: str
    audit: dict[str, Any] = field(default_factory=dict)
    lines: int = 0
    rate: int = 0
    warm_up: int = 0
    settle_s: float = 0.0

    def to_json(self) -> str:
        """Return the plan for a command line."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Return the plan of a command line."""
        return cls(**orjson.loads(text))

    @property
    def report_file(self) -> Path:
        """Where the process writes what it knows when it ends."""
        return Path(self.folder) / f"{self.name}.report.json"

    @property
    def counts_file(self) -> Path:
        """Where it counts its calls."""
        return Path(self.folder) / f"{self.name}.counts"


def event_id(name: str, number: int) -> str:
    """Return the id of a writer's record: they are known before they are written."""
    return f"{crc32(name.encode()):08x}-0000-7000-8000-{number:012x}"
