"""Security checks of a rendered tree.

They read the texts that are rendered, not the spec, so a template that loses a guard fails here,
whatever the spec says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loglane.stack.render import Tree
from loglane.stack.security.check import Check
from loglane.stack.security.containers import CONTAINER_CHECKS
from loglane.stack.security.gates import GATE_CHECKS
from loglane.stack.security.reach import REACH_CHECKS
from loglane.stack.security.rendered import Rendered
from loglane.stack.security.servers import SERVER_CHECKS

__all__ = ["CHECKS", "SecurityVerdict", "check_security"]

CHECKS: tuple[Check, ...] = (*CONTAINER_CHECKS, *REACH_CHECKS, *SERVER_CHECKS, *GATE_CHECKS)


@dataclass(frozen=True, slots=True)
class SecurityVerdict:
    """What one check found: `problems` is empty when it passed."""

    name: str
    why: str
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        return {**asdict(self), "outcome": "passed" if self.passed else "failed"}


def check_security(tree: Tree, bind_address: str = "127.0.0.1") -> Sequence[SecurityVerdict]:
    """Check a rendered tree.

    Args:
        tree: Rendered text by path.
        bind_address: The address that the spec lets the stack, or its gateway, listen on.

    Returns:
        One verdict for each check, in a stable order.
    """
    rendered = Rendered.parse(tree, bind_address)
    return [SecurityVerdict(check.name, check.why, tuple(check.find(rendered))) for check in CHECKS]
