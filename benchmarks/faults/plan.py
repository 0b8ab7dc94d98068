"""What an app process of a case does, and what it leaves behind for whoever counts."""

from __future__ import annotations

import mmap
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    from typing_extensions import Self

Writer = Literal["loglane", "dropping", "resending"]
_COUNTS = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class AppPlan:
    """What every app process is told.

    Attributes:
        name: Its name as a writer.
        folder: Where it leaves its report and its counts.
        lines: How many it writes.
        rate: Lines a second; 0 is as fast as it can.
        settle_s: How long it waits at the end until nothing waits any more; 0 goes at once.
    """

    name: str
    folder: str
    lines: int = 0
    rate: int = 0
    settle_s: float = 0.0

    def to_json(self) -> str:
        """Return the plan for a command line."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
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


@dataclass(frozen=True, slots=True)
class Plan(AppPlan):
    """What an app does that pushes its lines; each carries `name` as `writer`.

    Attributes:
        loki: The settings of the sink.
        writer: The package, or one of the naive sinks.
        waits: It then stays until a signal ends it.
        clock_back_at: Before this number the clock is set back by `clock_back_s`.
        clock_back_s: By how much.
        fork_at: Before this number it forks; the child writes as many lines as are left.
        tight_from: Before this number no file may grow beyond `tight_bytes`.
        tight_to: Before this number they may again.
        tight_bytes: How large a file may be.
    """

    loki: dict[str, Any] = field(default_factory=dict)
    writer: Writer = "loglane"
    waits: bool = False
    clock_back_at: int | None = None
    clock_back_s: float = 600.0
    fork_at: int | None = None
    tight_from: int | None = None
    tight_to: int | None = None
    tight_bytes: int = 0


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
