"""Finding values in JSON by paths, in one pass and as leniently as Loki does.

The order in which keys are met decides which of several equal ones counts, and a broken line
gives what was found before it broke (grafana/jsonparser: EachKey and searchKeys).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from loglane.devserver.engine.json_reader import (
    MalformedError,
    Value,
    block_end,
    decode_string,
    each_element,
    next_token,
    read_value,
    string_end,
)

Path: TypeAlias = tuple[str, ...]
# Called with the number of a path and its value, or what is wrong with the line.
Found: TypeAlias = Callable[[int, "Value | str"], None]

_INDEX = re.compile(r"\[([0-9]+)\]")
_MALFORMED_JSON = "Malformed JSON error"


def find_paths(text: str, paths: Sequence[Path], found: Found) -> None:
    """Report the first value of every path, in the order of the line."""
    _Search(text, paths, found).run()


class _Stop(Exception):
    pass


class _Search:
    def __init__(self, text: str, paths: Sequence[Path], found: Found) -> None:
        self._text = text
        self._paths = paths
        self._found = found
        self._open = set(range(len(paths)))
        self._longest = max(len(path) for path in paths)
        self._keys = [""] * self._longest
        self._level = 0

    def run(self) -> None:
        position = 0
        try:
            while position < len(self._text):
                position = self._step(position) + 1
        except (_Stop, MalformedError):
            return

    def _step(self, position: int) -> int:
        match self._text[position]:
            case '"':
                return self._string(position)
            case "{":
                self._level += 1
            case "}" | "]":
                self._level -= 1
            case "[":
                return self._array(position)
        return position

    def _string(self, start: int) -> int:
        text = self._text
        end = string_end(text, start)
        position = next_token(text, end) if end >= 0 else -1
        if position < 0:
            raise _Stop
        if text[position] != ":":
            return position - 1
        matched = self._key(decode_string(text[start + 1 : end - 1]), position)
        if not matched:
            # What follows is looked at in any case; only the place of the next step moves.
            following = next_token(text, position + 1)
            position = following - 1 if following >= 0 else position - 1
        return position - 1 if text[position] in '{}["' else position

    def _key(self, key: str, colon: int) -> bool:
        level = self._level
        if level > self._longest:
            return False
        if level < 1:
            self._found(-1, _MALFORMED_JSON)
            raise _Stop
        self._keys[level - 1] = key
        matched = False
        for number in sorted(self._open):
            path = self._paths[number]
            if len(path) == level and path == tuple(self._keys[:level]):
                matched = True
                self._report(number, self._text, colon + 1)
        if not self._open:
            raise _Stop
        return matched

    def _array(self, start: int) -> int:
        level = self._level
        if level < 0:
            self._found(-1, _MALFORMED_JSON)
            raise _Stop
        wanted = {
            number: _index(self._paths[number][level])
            for number in sorted(self._open)
            if len(self._paths[number]) > level
            and self._paths[number][level][:1] == "["
            and len(self._paths[number][level]) > 2
            and self._paths[number][:level] == tuple(self._keys[:level])
        }
        if not wanted:
            end = block_end(self._text, start)
            if end < 0:
                raise _Stop
            return end - 1
        self._level += 1
        count = 0

        def visit(value: Value) -> None:
            nonlocal count
            for number, index in wanted.items():
                if index == count:
                    self._element(number, value, level + 1)
            count += 1

        end = each_element(self._text, start, visit)
        if not self._open:
            raise _Stop
        return end - 1

    def _element(self, number: int, value: Value, level: int) -> None:
        offset = search(value.raw, self._paths[number][level:])
        self._open.discard(number)
        if offset < 0:
            return
        if value.kind == "string":
            self._found(number, value._replace(raw=value.raw[offset:]))
        else:
            self._report(number, value.raw, offset)

    def _report(self, number: int, text: str, start: int) -> None:
        self._open.discard(number)
        try:
            value: Value | str = read_value(text, start)
        except MalformedError as error:
            value = str(error)
        self._found(number, value)


def _index(key: str) -> int:
    match = _INDEX.fullmatch(key)
    return int(match.group(1)) if match else 0


def search(text: str, path: Path) -> int:
    """Return the place of a path's value inside a value, -1 when there is none."""
    return _Descent(text, path).run() if path else 0


class _Descent:
    """The way to one path: `_matched` of its keys are found, `_level` objects are open."""

    def __init__(self, text: str, path: Path) -> None:
        self._text = text
        self._path = path
        self._level = 0
        self._matched = 0
        self._last_matched = True
        self._result: int | None = None

    def run(self) -> int:
        position = 0
        while position < len(self._text) and self._result is None:
            position = self._step(position)
        return -1 if self._result is None else self._result

    def _step(self, position: int) -> int:
        match self._text[position]:
            case '"':
                return self._string(position)
            case "{" if self._last_matched:
                self._level += 1
            case "[" if self._matched == self._level and self._key(self._level)[:1] == "[":
                self._result = _search_array(self._text, position, self._path[self._level :])
            case "{" | "[":
                end = block_end(self._text, position)
                if end >= 0:
                    return end
                self._result = -1
            case "}":
                self._level -= 1
                if self._level == self._matched:
                    self._matched -= 1
            case ":":
                self._result = -1
        return position + 1

    def _string(self, start: int) -> int:
        end = string_end(self._text, start)
        following = next_token(self._text, end) if end >= 0 else -1
        if following < 0:
            self._result = -1
        elif self._text[following] == ":":
            self._read_key(self._text[start + 1 : end - 1], following)
            following += 1
        return following

    def _read_key(self, raw: str, colon: int) -> None:
        try:
            key = decode_string(raw)
        except MalformedError:
            self._result = -1
            return
        if not 1 <= self._level <= len(self._path):
            self._result = -1
            return
        self._last_matched = key == self._path[self._level - 1]
        if self._last_matched and self._matched == self._level - 1:
            self._matched += 1
            if self._matched == len(self._path):
                self._result = colon + 1

    def _key(self, level: int) -> str:
        return self._path[level] if 0 <= level < len(self._path) else ""


def _search_array(text: str, start: int, path: Path) -> int:
    match = _INDEX.fullmatch(path[0])
    if match is None:
        return -1
    index = int(match.group(1))
    places: list[tuple[int, int]] = []

    def visit(value: Value) -> None:
        quotes = 2 if value.kind == "string" else 0
        places.append((value.end - len(value.raw) - quotes, value.end))

    each_element(text, start, visit)
    if index >= len(places):
        return -1
    begin, end = places[index]
    inner = search(text[begin:end], path[1:])
    return -1 if inner < 0 else begin + inner
