"""What the doctor says: one sentence a fact, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about a stack.

    Attributes:
        topic: What was looked at: docker, ports, loki ...
        level: `problem` when something does not work or soon will not, `warning` when it will
            be worth a look, else `ok`.
        what: The fact, with the figures.
        mend: The command, or the key of the spec, that mends it; empty when all is well.
    """

    topic: str
    level: Level
    what: str
    mend: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return asdict(self)
