"""What an app process of a case does, and what it leaves behind for whoever counts."""

from __future__ import annotations

import mmap
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

Writer = Literal["loglane", "dropping", "resending"]
_COUNTS = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one app process does.

    Attributes:
        name: What its lines carry as `writer`.
        folder: Where it leaves its report and its counts.
        loki: The settings of the sink.
        lines: How many it writes.
        rate: Lines a second; 0 is as fast as it can.
        writer: The package, or one of the naive sinks.
        settle_s: How long it waits at the end until everything is sent; 0 goes at once.
        waits: It then stays until a signal ends it.
        clock_back_at: Before this number the clock is set back by `clock_back_s`.
        clock_back_s: By how much.
        fork_at: Before this number it forks; the child writes as many lines as are left.
        tight_from: Before this number no file may grow beyond `tight_bytes`.
        tight_to: Before this number they may again.
        tight_bytes: How large a file may be.
    """

    name: str
    folder: str
    loki: dict[str, Any] = field(default_factory=dict)
    lines: int = 0
    rate: int = 0
    writer: Writer = "loglane"
    settle_s: float = 0.0
    waits: bool = False
    clock_back_at: int | None = None
    clock_back_s: float = 600.0
    fork_at: int | None = None
    tight_from: int | None = None
    tight_to: int | None = None
    tight_bytes: int = 0

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


class AppPlan(Protocol):
    """What the process of an app needs of its plan."""

    @property
    def name(self) -> str:
        """Its name as a writer."""

    @property
    def folder(self) -> str:
        """Where it leaves its files."""

    @property
    def lines(self) -> int:
        """How many it writes."""

    @property
    def counts_file(self) -> Path:
        """Where it counts its calls."""

    def to_json(self) -> str:
        """Return the plan for a command line."""


class Counts:
    """Two numbers in a file that outlive the process: calls begun and calls that returned."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(_COUNTS.pack(0, 0))
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), _COUNTS.size)

    def write(self, begun: int, returned: int) -> None:
        """Write both; the kernel has them, whatever becomes of the process."""
        _COUNTS.pack_into(self._map, 0, begun, returned)

    def read(self) -> tuple[int, int]:
        """Return both."""
        begun, returned = _COUNTS.unpack_from(self._map, 0)
        return begun, returned
