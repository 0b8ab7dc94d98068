"""The methods of loggers that are in force together, and the one for a level that is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from loglane.context import Frame, current_frame
from loglane.entry import Entry
from loglane.marks import is_marked, is_unmarked

if TYPE_CHECKING:
    from loglane.engine import Engine


class Named(Protocol):
    """A logger, as far as its methods have to do with it."""

    name: str
    frame: Frame


class Generation:
    """What `configure` and `set_level` put in place together; stale when the next one is there."""

    __slots__ = ("stale",)

    def __init__(self) -> None:
        self.stale = False


def make_nothing(
    generation: Generation, again: Callable[..., None], level: str, engine: Engine
) -> Callable[..., None]:
    """Return the method of `Logger` for a level that is off.

    Args:
        generation: What the method belongs to.
        again: Calls the method that is in force now.
        level: The level.
        engine: Takes marked lines all the same, when there is an audit trail.
    """

    def record_marked(self: Named, event: Any = "", /, *args: Any, **fields: Any) -> None:
        if generation.stale:
            again(self, event, *args, **fields)
        elif not is_unmarked(fields) and is_marked(
            fields, self.frame.fields, current_frame().fields
        ):
            engine.emit(Entry(level, self.name, event, args, fields, self.frame.fields))

    if engine.outputs.audit is not None:
        return record_marked

    def method(self: Named, event: Any = "", /, *args: Any, **fields: Any) -> None:
        if generation.stale:
            again(self, event, *args, **fields)

    return method
