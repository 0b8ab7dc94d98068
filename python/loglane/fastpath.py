"""The log call in one function, for the line that most calls write.

A line of plain fields on stdout as JSON: here its pieces are taken ready-made from caches and
joined (`make_method`). Fields that have to be copied and masked first, arguments and spans take one
turn more (`Parts.build`). Whatever else there is goes to `Engine.emit`, which knows no shortcuts.
All of them must write the same line; a property test compares them. `make bench` measures what
this saves.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from loglane.context import Frame, current_frame
from loglane.entry import Entry, format_message
from loglane.fields import ERROR_LEVELS
from loglane.generation import Generation, Named
from loglane.marks import MARKING, MARKS, add_identity, take_mark
from loglane.trace import active_span

if TYPE_CHECKING:
    from loglane.engine import Engine

# orjson refuses whatever is no plain JSON value, and we go the other way.
_PLAIN = (
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_DIGITS = tuple(b"%03d" % number for number in range(1000))
_SPECIAL = frozenset(("exc_info", "stack_info"))
_Fields = dict[str, Any]
# Bounds of the caches; names and messages are few, unless an app puts values into them.
_MAX_NAMES = 4096
_MAX_MESSAGES = 4096
_MAX_MESSAGE = 256
_MAX_NAME = 64
_MAX_LINE = 60_000


class Parts:
    """What the methods of one engine share: the ready-made pieces of lines."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # Names of fields that need no look: not hidden, not an own field's, never bound.
        self.free: set[str] = set()
        self._bound: set[str] = set()
        # The last millisecond seen and how a line begins in it.
        self.moment: tuple[int, bytes] = (0, b"")
        self._second: tuple[int, str] = (0, "")
        self._suspicious = engine.masker.suspicious
        self._kept_out = engine.own | _SPECIAL | MARKING

    def of_context(self, frame: Frame) -> bytes | None:
        """Render the fields of a frame, a comma behind each; None when they are not plain."""
        frame.part = self._fragment(frame.fields)
        frame.owner = self
        return frame.part

    def of_logger(self, logger: Named) -> bytes | None:
        """Render what follows the message on each line of a logger; None when it is not plain."""
        fields = {"logger": logger.name, **self.engine.static}
        head = orjson.dumps(self.engine.sanitizer.record(fields))
        bound = self._fragment(logger.frame.fields)
        logger.frame.part = None if bound is None else b"," + head[1:-1] + b"," + bound
        logger.frame.owner = self
        return logger.frame.part

    def begin(self, milliseconds: int) -> bytes:
        """Return how lines of a millisecond begin."""
        second, passed = divmod(milliseconds, 1000)
        known, text = self._second
        if second != known:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, text)
            self.engine.tick()
        start = f'{{"timestamp":"{text}.{passed:03d}'.encode()
        self.moment = (milliseconds, start)
        return start

    def needs_a_look(self, rendered: bytes, fields: int) -> bool:
        """Tell whether rendered values may hold something to mask, to bound or to escape."""
        text = rendered.decode()
        # Containers have limits, and null may have been a NaN.
        if "{" in text or "[" in text or "null" in text:
            return True
        return self._suspicious(rendered, fields) or _has_line_break(text)

    def build(
        self, middle: bytes, logger: Named, event: Any, args: tuple[Any, ...], fields: _Fields
    ) -> bytes | None:
        """Put a line together whose fields have to be copied and masked.

        Returns:
            The line; None when it is for `Engine.emit`.
        """
        frame, own = current_frame(), logger.frame
        head = own.part if own.owner is self else self.of_logger(logger)
        context_fields, context = frame.fields, frame.part
        span = active_span()
        if span is not None:
            context_fields = {**context_fields, "trace_id": span[0], "span_id": span[1]}
            context = self._fragment(context_fields)
        elif frame.owner is not self:
            context = self.of_context(frame)
        message, problem = format_message(event, args, self.engine.masker.hides)
        if (
            head is None
            or context is None
            or problem is not None
            or not (type(event) is type(message) is str)
            or not self._may_join(fields, own.fields, context_fields)
        ):
            return None
        sanitizer = self.engine.sanitizer
        text = orjson.dumps(sanitizer.value(message))
        rest = orjson.dumps(sanitizer.record(fields))[1:]
        if _has_line_break(text.decode()) or _has_line_break(rest.decode()):
            return None
        now = time.time_ns() // 1000
        start = self.begin(now // 1000)
        line = b"".join((start, _DIGITS[now % 1000], middle, text, head, context, rest, b"\n"))
        return line if fields else line[:-3] + b"}\n"

    def _may_join(self, fields: _Fields, own: _Fields, context: _Fields) -> bool:
        """Tell whether no name is there twice, and remember those that always may be written."""
        if not (own.keys().isdisjoint(context) and self._kept_out.isdisjoint(fields)):
            return False
        if not (fields.keys().isdisjoint(own) and fields.keys().isdisjoint(context)):
            return False
        for name in fields:
            if name in self.free:
                continue
            if not _keeps_its_form(name):
                return False
            if name not in self._bound and not self.engine.masker.hides(name):
                if len(self.free) >= _MAX_NAMES:
                    self.free.clear()
                self.free.add(name)
                if name in self._bound:
                    # Another thread has bound it meanwhile.
                    self.free.discard(name)
        return True

    def _fragment(self, fields: _Fields) -> bytes | None:
        if not fields:
            return b""
        if len(self._bound) >= _MAX_NAMES or not self._kept_out.isdisjoint(fields):
            return None
        # From now on a call's field of that name has to be looked at.
        self._bound.update(fields)
        self.free.difference_update(fields)
        hides = self.engine.masker.hides
        if not all(_keeps_its_form(name) and not hides(name) for name in fields):
            return None
        if not MARKS.isdisjoint(fields):
            return None
        try:
            rendered = orjson.dumps(fields, option=_PLAIN)[1:-1]
        except TypeError:
            return None
        return None if self.needs_a_look(rendered, len(fields)) else rendered + b","


def make_method(  # noqa: C901 - a call more would cost a tenth of the whole
    parts: Parts,
    level: str,
    generation: Generation,
    again: Callable[..., None],
    marked: bool = False,
) -> Callable[..., None]:
    """Return the method of `Logger` for one level.

    Args:
        parts: What the methods of one engine share.
        level: The level.
        generation: What the method belongs to.
        again: Calls the method that is in force now.
        marked: Whether its lines are audit records; they have their ids already.
    """
    engine = parts.engine
    take_marked = None
    if not marked and engine.outputs.audit is not None:
        take_marked = make_method(parts, level, generation, again, marked=True)
    # A text that is too long is cut by the longest way.
    write, limit = engine.outputs.writer(level), min(engine.settings.max_line_bytes, _MAX_LINE)
    if marked:
        write = engine.outputs.recorder(write)
    free, modules, digits, needs_a_look = parts.free, sys.modules, _DIGITS, parts.needs_a_look
    dumps, time_ns, join = orjson.dumps, time.time_ns, b"".join
    middle = f'Z","level":"{level}","message":'.encode()
    messages: dict[str, bytes] = {}

    def method(self: Named, event: Any = "", /, *args: Any, **fields: Any) -> None:  # noqa: C901
        if generation.stale:
            again(self, event, *args, **fields)
            return
        if take_marked and not MARKING.isdisjoint(fields) and take_mark(fields):
            add_identity(fields)
            take_marked(self, event, *args, **fields)
            return
        line = None
        try:
            frame, own = current_frame(), self.frame
            context = frame.part if frame.owner is parts else parts.of_context(frame)
            head = own.part if own.owner is parts else parts.of_logger(self)
            if (
                fields.keys() <= free
                and not args
                and ("opentelemetry.trace" not in modules or active_span() is None)
                and (not own.fields or own.fields.keys().isdisjoint(frame.fields))
            ):
                rest = dumps(fields, None, _PLAIN)[1:]
                text = rest.decode()
                # Most values are words and numbers, and that is soon seen.
                if (
                    not ("{" in text or "[" in text or "=" in text or "\\" in text)
                    and not (" " in text or "J" in text or "null" in text)
                    and text.count(":") <= len(fields)
                    and text.isascii()
                ) or not needs_a_look(rest, len(fields)):
                    message = messages.get(event)
                    if message is None:
                        message = _keep_message(messages, middle, event, needs_a_look)
                    now = time_ns() // 1000
                    moment, start = parts.moment
                    if now // 1000 != moment:
                        start = parts.begin(now // 1000)
                    # A context or a head that is not plain is None, which cannot be joined.
                    line = join((start, digits[now % 1000], message, head, context, rest, b"\n"))  # type: ignore[arg-type]
                    if not fields:
                        line = line[:-3] + b"}\n"
        except Exception:  # noqa: BLE001, S110 - whatever it was, the longer ways know it
            pass
        try:
            if line is None:
                line = parts.build(middle, self, event, args, fields)
        except Exception:  # noqa: BLE001, S110 - and the longest way knows everything
            pass
        if line is None or len(line) > limit:
            entry = Entry(level, self.name, event, args, fields, self.frame.fields)
            entry.marked = marked
            engine.emit(entry)
        elif marked or level not in ERROR_LEVELS or _admitted(engine, self.name, level, event):
            write(line)

    return method


def _admitted(engine: Engine, logger: str, level: str, event: str) -> bool:
    try:
        return engine.flow.admit(logger, level, event, None)
    except Exception:  # noqa: BLE001 - an odd message is no reason to lose it
        return True


def _keep_message(
    messages: dict[str, bytes], middle: bytes, event: str, needs_a_look: Callable[..., bool]
) -> bytes:
    """Render a message with what stands before it, and keep it for the next time."""
    rendered = orjson.dumps(event)
    if type(event) is not str or needs_a_look(rendered, 0):
        raise TypeError("not a plain message")
    message = middle + rendered
    if len(messages) >= _MAX_MESSAGES:
        messages.clear()
    if len(message) <= _MAX_MESSAGE:
        messages[event] = message
    return message


def _keeps_its_form(name: str) -> bool:
    """Tell whether a field's name is written as it is; others may become another one's."""
    return name.isascii() and len(name) <= _MAX_NAME


def _has_line_break(text: str) -> bool:
    """Tell whether JSON leaves a character as it is at which some readers break lines."""
    return not text.isascii() and ("\u2028" in text or "\u2029" in text or "\x85" in text)
