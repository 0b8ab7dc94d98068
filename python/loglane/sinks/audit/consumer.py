"""Who takes audit records out of the intake, as far as the intake has to do with it."""

from __future__ import annotations

from typing import Protocol


class Consumer(Protocol):
    """Who takes records out: a worker. Its methods may be called from any thread."""

    def ring(self) -> None:
        """Wake it up: there are as many records as it asked for."""

    def look(self) -> None:
        """Tell it that records wait in the outbox."""

    def is_running(self) -> bool:
        """Tell whether it still can take anything."""

    def finish(self) -> None:
        """Have it end within its time, because the interpreter is ending."""
