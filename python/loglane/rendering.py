"""One record as one line of JSON that fits: long strings are cut first, then fields are dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

# What a reader needs of any line, so these are dropped last.
_OWN = ("timestamp", "level", "message", "logger", "service", "env", "trace_id")
TRUNCATED = "truncated"
_NOTE_SIZE = len(f',"{TRUNCATED}":1000000')
# Kept at both ends: a traceback says at its end what was raised.
_BOTH_ENDS = "exception"
_SHORTEST = 64
_SHORTEST_OWN = 30
# JSON leaves these as they are, but str.splitlines and some readers break lines at them.
_SEPARATORS = (
    (b"\xc2\x85", b"\\u0085"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)


def render(record: Mapping[str, Any], max_bytes: int) -> bytes:
    """Render a record as one JSON object on one line, without the newline; never raises.

    A line that is too long loses the middle or the end of its longest strings first, with
    `...[+N chars]` in their place; then its largest fields, and `truncated` says how many.

    Args:
        record: Fields that JSON can hold, as `Sanitizer.record` returns them.
        max_bytes: The longest line, at least 512.

    Returns:
        UTF-8 without line separators.
    """
    line = _dumps(record)
    if line is None:
        record = {_named(name): _renderable(value) for name, value in record.items()}
        line = _dumps(record) or b"{}"
    if len(line) <= max_bytes:
        return line
    try:
        return _shortened(record, len(line), max_bytes)
    except RecursionError:
        return _without_largest(record, record, len(line), max_bytes)


def _dumps(value: Any) -> bytes | None:
    try:
        line = orjson.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None
    if not line.isascii():
        for separator, escaped in _SEPARATORS:
            line = line.replace(separator, escaped)
    return line


def _named(name: Any) -> str:
    text = name if isinstance(name, str) else f"<{type(name).__name__}>"
    return text.encode(errors="backslashreplace").decode()


def _renderable(value: Any) -> Any:
    # Its repr might hold what masking would have hidden, so only the type is told.
    return value if _dumps(value) is not None else f"<{type(value).__name__}: not rendered>"


@dataclass(frozen=True, slots=True)
class _Slot:
    """A string inside a record: where it is, and how many bytes it takes without its quotes."""

    place: Any
    key: Any
    size: int
    both_ends: bool

    def shorten(self, size: int) -> None:
        self.place[self.key] = _cut(self.place[self.key], size, self.both_ends)


def _shortened(record: Mapping[str, Any], size: int, max_bytes: int) -> bytes:
    shorter = {name: _copied(value) for name, value in record.items()}
    slots = sorted(_slots(shorter), key=lambda slot: slot.size)
    level = _level([slot.size for slot in slots], size - max_bytes, _SHORTEST)
    for slot in slots:
        if slot.size > level:
            slot.shorten(level)
    line = _dumps(shorter) or b"{}"
    if len(line) <= max_bytes:
        return line
    return _without_largest(shorter, record, len(line), max_bytes)


def _level(sizes: list[int], excess: int, lowest: int) -> int:
    """Find the size to which the longest strings are cut; `sizes` ascend."""
    room = sum(sizes) - excess
    for i, size in enumerate(sizes):
        share = room // (len(sizes) - i)
        if size > share:
            return max(share, lowest)
        room -= size
    return max(sizes, default=lowest)


def _without_largest(
    shorter: Mapping[str, Any], original: Mapping[str, Any], size: int, max_bytes: int
) -> bytes:
    record = dict(shorter)
    sizes = {name: len(_dumps({name: value}) or b"") - 1 for name, value in record.items()}
    dropped = 0
    own = sorted((name for name in _OWN if name in record), key=lambda name: sizes[name])
    others = sorted((name for name in record if name not in _OWN), key=lambda name: sizes[name])
    size += _NOTE_SIZE
    if record.pop(TRUNCATED, None) is not None:
        others.remove(TRUNCATED)
        size -= sizes[TRUNCATED]
        dropped = 1
    while others and size > max_bytes:
        name = others.pop()
        del record[name]
        size -= sizes[name]
        dropped += 1
    while own and size > max_bytes:
        name = own.pop()
        if isinstance(original[name], str):
            record[name] = _cut(original[name], _SHORTEST_OWN, both_ends=False)
            size += len(_dumps({name: record[name]}) or b"") - 1 - sizes[name]
        else:
            del record[name]
            size -= sizes[name]
            dropped += 1
    if dropped:
        record[TRUNCATED] = dropped
    return _dumps(record) or b"{}"


def _copied(value: Any) -> Any:
    """Copy the containers of a JSON value, which orjson has found not to be too deep."""
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, (list, tuple)) else value


def _slots(place: Any, both_ends: bool = False) -> Iterator[_Slot]:
    for key, value in place.items() if isinstance(place, dict) else enumerate(place):
        keeps = both_ends or key == _BOTH_ENDS
        if isinstance(value, str):
            yield _Slot(place, key, _size(value), keeps)
        elif isinstance(value, (dict, list)):
            yield from _slots(value, keeps)


def _size(text: str) -> int:
    return len(_dumps(text) or b"") - 2


def _cut(text: str, size: int, both_ends: bool) -> str:
    """Shorten a text so that it takes at most `size` bytes in JSON, the mark included."""
    if len(text) <= size and _size(text) <= size:
        return text
    room = max(size - len(f"...[+{len(text)} chars]"), 0)
    half = room // 2 if both_ends else 0
    tail = _fitting(text[max(len(text) - half, 0) :][::-1], half)
    head = _fitting(text[: room - half], room - half)
    mark = f"...[+{len(text) - head - tail} chars]"
    return f"{text[:head]}{mark}{text[len(text) - tail :]}"


def _fitting(text: str, size: int) -> int:
    """Return how many characters of a text take at most `size` bytes in JSON."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if _size(text[:middle]) <= size:
            low = middle
        else:
            high = middle - 1
    return low
