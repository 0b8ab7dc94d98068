"""Loggers: a name, bound fields, and the methods that the engine in force has put in place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from loglane.context import Frame
from loglane.engine import Engine
from loglane.entry import LEVEL_NUMBERS, Entry, level_of
from loglane.fastpath import Parts, make_method
from loglane.generation import Generation, make_nothing
from loglane.marks import names_audit, recording_later

_ALIASES = {"warning": ("warn",), "critical": ("fatal",), "info": ("msg",)}


class Logger:
    """Writes lines; each `bind` returns a new logger with more fields.

    Every method takes a message, values for its `%` places if it has any, and fields by name.
    None of them raises, but for AuditError when an audit record cannot be kept. The methods belong
    to the class and change when the level does, so that a level that is off costs no more than a
    call that returns, on loggers made long before too.
    """

    __slots__ = ("frame", "name")

    def __init__(self, name: str, fields: dict[str, Any] | None = None) -> None:
        self.name = name if type(name) is str else str(name)
        self.frame = Frame(fields or {})

    def __repr__(self) -> str:
        return f"<loglane.Logger {self.name!r} {self.frame.fields!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Logger):
            return NotImplemented
        return (self.name, self.frame.fields) == (other.name, other.frame.fields)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return Logger, (self.name, self.frame.fields)

    def bind(self, /, **fields: Any) -> Logger:
        """Return a logger with these fields added."""
        return Logger(self.name, {**self.frame.fields, **fields})

    def unbind(self, *names: str) -> Logger:
        """Return a logger without these fields.

        Raises:
            KeyError: One of them is not bound.
        """
        fields = dict(self.frame.fields)
        for name in names:
            del fields[name]
        return Logger(self.name, fields)

    def try_unbind(self, *names: str) -> Logger:
        """Return a logger without these fields; those that are not bound are ignored."""
        return Logger(self.name, {k: v for k, v in self.frame.fields.items() if k not in names})

    def new(self, /, **fields: Any) -> Logger:
        """Return a logger with these fields and no others."""
        return Logger(self.name, fields)

    def debug(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level debug."""
        _emit("debug", self, event, args, fields)

    def info(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level info."""
        _emit("info", self, event, args, fields)

    def warning(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level warning."""
        _emit("warning", self, event, args, fields)

    def error(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level error."""
        _emit("error", self, event, args, fields)

    def critical(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level critical."""
        _emit("critical", self, event, args, fields)

    msg, warn, fatal = info, warning, critical

    def exception(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level error with the traceback of the exception that is handled now."""
        fields.setdefault("exc_info", True)
        self.error(event, *args, **fields)

    def log(self, level: int | str, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of a level given by its number or name; AUDIT is info, and marked."""
        if names_audit(level):
            fields["persist_db"] = True
        getattr(self, _level_name(level))(event, *args, **fields)

    def is_enabled_for(self, level: int) -> bool:
        """Tell whether lines of a level (a number, as in stdlib logging) are written."""
        return level >= self.get_effective_level()

    def get_effective_level(self) -> int:
        """Return the number of the lowest level that is written."""
        return _engine().threshold

    async def adebug(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Do what `debug` does; wait for an audit record without blocking the event loop."""
        await _call(self.debug, event, args, fields)

    async def ainfo(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Do what `info` does; wait for an audit record without blocking the event loop."""
        await _call(self.info, event, args, fields)

    async def awarning(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Do what `warning` does; wait for an audit record without blocking the event loop."""
        await _call(self.warning, event, args, fields)

    async def aerror(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Do what `error` does; wait for an audit record without blocking the event loop."""
        await _call(self.error, event, args, fields)

    async def acritical(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Do what `critical` does; wait for an audit record without blocking the event loop."""
        await _call(self.critical, event, args, fields)

    async def aexception(self, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Do what `exception` does."""
        fields.setdefault("exc_info", sys.exc_info())
        await _call(self.error, event, args, fields)

    async def alog(self, level: int | str, event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Do what `log` does; wait for an audit record without blocking the event loop."""
        if names_audit(level):
            fields["persist_db"] = True
        await _call(getattr(self, _level_name(level)), event, args, fields)


_PLAIN_METHODS = {level: Logger.__dict__[level] for level in LEVEL_NUMBERS}
_active: Engine | None = None
_generation = Generation()
_make_default: Callable[[], Engine]
_complained = False


def use_engine(engine: Engine | None) -> None:
    """Let every logger write through this engine; None goes back to the state before any."""
    global _active  # noqa: PLW0603 - the one engine of the process
    _active = engine
    refresh()


def on_first_use(make: Callable[[], Engine]) -> None:
    """Say what makes the engine when a line is written before there is one."""
    global _make_default  # noqa: PLW0603 - set once, by the pipeline
    _make_default = make


def refresh() -> None:
    """Put the methods in place that the engine and its levels ask for."""
    global _generation  # noqa: PLW0603 - the methods in force
    # Methods that somebody took from a logger before (`info = log.info`) find the new ones.
    _generation.stale = True
    _generation = generation = Generation()
    engine = _active
    parts = Parts(engine) if engine is not None and engine.is_plain else None
    for level, number in LEVEL_NUMBERS.items():
        method = _PLAIN_METHODS[level]
        again = _again(level)
        if engine is not None and number < engine.threshold:
            method = make_nothing(generation, again, level, engine)
        elif parts is not None:
            method = make_method(parts, level, generation, again)
        for name in (level, *_ALIASES.get(level, ())):
            setattr(Logger, name, method)


def _again(level: str) -> Callable[..., None]:
    def call(logger: Logger, event: Any, *args: Any, **fields: Any) -> None:
        getattr(Logger, level)(logger, event, *args, **fields)

    return call


def active_engine() -> Engine | None:
    """Return the engine in force, if there is one yet."""
    return _active


def _engine() -> Engine:
    return _active if _active is not None else _make_default()


def wants_place() -> bool:
    """Tell whether lines say where they were written."""
    return _active is not None and _active.settings.caller


def emit(entry: Entry) -> bool:
    """Write a line that was put together elsewhere, as the bridge to stdlib logging does.

    Returns:
        False when no sink could write it, or a processor dropped it.
    """
    try:
        engine = _engine()
    except Exception as error:  # noqa: BLE001 - a log call must never break the app
        _complain(error)
        return False
    return engine.emit(entry)


async def _call(
    method: Callable[..., None], event: Any, args: tuple[Any, ...], fields: dict[str, Any]
) -> None:
    """Call a method of a logger, and wait here for what the call would have waited for."""
    if _active is None or _active.outputs.audit is None:
        method(event, *args, **fields)
        return
    with recording_later() as futures:
        method(event, *args, **fields)
    if futures:
        import asyncio
    for future in futures:
        await asyncio.wrap_future(future)


def _complain(error: Exception) -> None:
    """Say once, on stderr, that there is no way to log."""
    global _complained  # noqa: PLW0603 - once is enough
    if not _complained and sys.stderr is not None:
        _complained = True
        print(f"loglane cannot start, lines are lost: {error}", file=sys.stderr)  # noqa: T201


def _emit(
    level: str, logger: Logger, event: Any, args: tuple[Any, ...], fields: dict[str, Any]
) -> None:
    emit(Entry(level, logger.name, event, args, fields, logger.frame.fields))


def _level_name(level: int | str) -> str:
    if isinstance(level, str):
        name = level.lower()
        name = {"warn": "warning", "fatal": "critical", "notset": "debug"}.get(name, name)
        return name if name in LEVEL_NUMBERS else "info"
    return level_of(level) if isinstance(level, int) else "info"
