"""How much of a value is copied: bounds on items and on depth, and what stands for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

Iterate = Callable[[Any], Iterable[Any]]

# Of containers that another thread changes meanwhile.
_ATTEMPTS = 8


class Walk:
    """One copying of a value with all that is inside it.

    Attributes:
        left: How many items may still be taken.
        around: Ids of the containers in which the current value lies.
    """

    __slots__ = ("around", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.around: set[int] = set()

    def taken(self, value: Any, iterate: Iterate) -> tuple[list[Any], str]:
        """Take a container's items.

        Args:
            value: The container.
            iterate: Gives its items; may go on for ever.

        Returns:
            The items, at most as many as are left, and what to write for the others, or ''.

        Raises:
            Exception: Whatever the container raises.
        """
        room = self.left
        for attempt in range(_ATTEMPTS):
            try:
                items = list(islice(iterate(value), room + 1))
                break
            except RuntimeError:
                # Most likely another thread changed it.
                if attempt == _ATTEMPTS - 1:
                    raise
        self.left = max(room - len(items), 0)
        return (items, "") if len(items) <= room else (items[:room], _more(value, room))


def _more(value: Any, taken: int) -> str:
    try:
        return f"+{max(len(value) - taken, 1)} more"
    except Exception:  # noqa: BLE001 - what has no length has more all the same
        return "more"


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    """Return the name with a free number behind it, in few steps however many are taken."""
    low, high = 1, 2
    while f"{name}_{high}" in taken:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if f"{name}_{middle}" in taken else (low, middle)
    return f"{name}_{high}"
