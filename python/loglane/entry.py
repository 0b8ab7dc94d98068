"""One log call, as it comes from a logger, from stdlib logging or from a hook."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from loglane.fields import LEVELS
from loglane.masking import MASK

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

# The numbers of stdlib logging (https://docs.python.org/3/library/logging.html#logging-levels).
LEVEL_NUMBERS: dict[str, int] = {level: 10 * (n + 1) for n, level in enumerate(LEVELS)}


class Entry:
    """What is known of a line before it is put together.

    Attributes:
        level: One of `LEVELS`.
        logger: Dotted name.
        event: The message, or its template when there are `args`.
        args: Values for the template, as in stdlib logging.
        fields: Fields of the call; `exc_info` and `stack_info` have their usual meaning.
        bound: Fields bound to the logger.
        time_ns: When it happened, Unix time; None for now.
        place: Module and line of the call; None to look for them when they are wanted.
        always: Whether neither sampling nor flow control may hold it back.
        marked: Whether the line is an audit record, whose mark is taken from the fields already.
    """

    __slots__ = (
        "always", "args", "bound", "event", "fields", "level", "logger", "marked", "place",
        "time_ns",
    )  # fmt: skip

    def __init__(
        self,
        level: str,
        logger: str,
        event: Any,
        args: tuple[Any, ...] = (),
        fields: dict[str, Any] | None = None,
        bound: Mapping[str, Any] | None = None,
        *,
        time_ns: int | None = None,
        place: tuple[str, int] | None = None,
    ) -> None:
        self.level = level
        self.logger = logger
        self.event = event
        self.args = args
        self.fields = {} if fields is None else fields
        self.bound = {} if bound is None else bound
        self.time_ns = time_ns
        self.place = place
        self.always = False
        self.marked = False


def level_of(number: int) -> str:
    """Return the contract's level for a number of stdlib logging; what lies between goes down."""
    return LEVELS[min(max(number // 10, 1), len(LEVELS)) - 1]


def format_message(
    event: Any, args: tuple[Any, ...], hides: Callable[[object], bool]
) -> tuple[Any, str | None]:
    """Put the arguments into a template, as stdlib logging does.

    Args:
        event: The template.
        args: Its values; one dict alone fills named places, `%(name)s`.
        hides: Tells which names of that dict are hidden.

    Returns:
        The message, and what went wrong when the arguments do not fit the template.
    """
    if not args:
        return event, None
    try:
        values = args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args
        if type(values) is dict:
            values = {name: MASK if hides(name) else value for name, value in values.items()}
        return event % values, None
    except Exception as error:  # noqa: BLE001 - a wrong template must not reach the log call
        return event, f"{type(error).__name__}: the arguments do not fit the message"


def exc_info_of(given: Any) -> ExcInfo | None:
    """Return the exception that `exc_info=` means: an exception, a triple, or anything true."""
    try:
        if isinstance(given, BaseException):
            return type(given), given, given.__traceback__
        if isinstance(given, tuple):
            return given if len(given) == 3 and isinstance(given[1], BaseException) else None
        wanted = bool(given)
    except Exception:  # noqa: BLE001 - a value's own bug must not reach the log call
        return None
    current = sys.exc_info()
    return None if not wanted or current[0] is None or current[1] is None else current


def find_caller() -> tuple[str, int]:
    """Return module and line of the innermost call from outside of logging."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in ("loglane", "structlog", "logging"):
            break
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")), frame.f_lineno


def format_stack() -> str:
    """Return the stack of the caller as text."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("loglane."):
        frame = frame.f_back
    return "".join(traceback.format_stack(frame)).rstrip()
