"""How much of a value is copied: bounds on items and on depth, and what stands for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

Iterate = Callable[[Any], Iterable[Any]]

# Copy a value; make a copy of what was taken from a container, with what to write for the rest.
Handler = Callable[[Any, "Walk"], Any]
Build = Callable[[Any, str, "Walk"], Any]

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


def container(iterate: Iterate, build: Build, max_depth: int) -> Handler:
    """Return the handler of a kind of container.

    Args:
        iterate: Gives its items; may go on for ever.
        build: Makes the copy out of the items.
        max_depth: How many containers may lie in each other.

    Returns:
        What copies such a container, or writes a mark for it.
    """

    def handle(value: Any, walk: Walk) -> Any:
        around, key = walk.around, id(value)
        if key in around:
            return "<cycle>"
        if len(around) >= max_depth:
            return "<too deep>"
        around.add(key)
        try:
            items, more = walk.taken(value, iterate)
            return build(items, more, walk)
        finally:
            around.discard(key)

    return handle


def plain_container(bounded: Handler, copied: Iterate, build: Build, max_depth: int) -> Handler:
    """Return the quick handler of a built-in container.

    Args:
        bounded: Its handler from `container`, for one that is over a bound.
        copied: Copies the container in one step, so another thread cannot change it half-way.
        build: Makes the copy out of the items.
        max_depth: How many containers may lie in each other.

    Returns:
        What copies such a container.
    """

    def handle(value: Any, walk: Walk) -> Any:
        around, key, size = walk.around, id(value), len(value)
        if key in around or size > walk.left or len(around) >= max_depth:
            return bounded(value, walk)
        around.add(key)
        walk.left -= size
        try:
            return build(copied(value), "", walk)
        finally:
            around.discard(key)

    return handle


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
