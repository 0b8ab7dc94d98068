"""Read one YAML file into plain data, with the line of every key.

The file may come from anybody, so the reader takes a small, safe part of YAML 1.1 (maps, lists,
strings, numbers, booleans, null) and refuses the rest by name: tags, anchors, aliases, several
documents, duplicate keys. It walks the parser's events and never builds nodes recursively, so
neither a deep nor an exponentially expanding file can hang it.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from loglane.errors import Problem, SpecError

# The parser in C, many times as fast, where PyYAML was built with it.
_FAST: type[yaml.SafeLoader] | None = getattr(yaml, "CSafeLoader", None)
MAX_BYTES = 256 * 1024
MAX_DEPTH = 20

Path_ = tuple[str | int, ...]

# YAML 1.1 also reads 0x10, 1_000, 12:30:00 and .inf as numbers; nobody means that here.
_PLAIN_NUMBER = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0|[1-9][0-9]{0,17})"),
    "tag:yaml.org,2002:float": re.compile(r"[-+]?[0-9]{1,15}\.[0-9]{1,15}"),
}
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool"))
_NULL_TAG = "tag:yaml.org,2002:null"
_COLLECTION_TAGS = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a file and a 1-based line."""

    file: str
    line: int


@dataclass(slots=True)
class Document:
    """Plain data, the place that each path in it was written at, and what is wrong with it.

    `problems` are those after which the data can still be looked at, so that one run finds all.
    """

    data: dict[str, Any]
    places: dict[Path_, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path_) -> Place | None:
        """Return where `path`, or its nearest known parent, was written."""
        for length in range(len(path), -1, -1):
            found = self.places.get(path[:length])
            if found is not None:
                return found
        return None


def read_document(file: Path) -> Document:
    """Read a YAML file whose top level is a map.

    Args:
        file: The file; at most 256 KiB of UTF-8.

    Returns:
        Its data with the line of every key and list item.

    Raises:
        SpecError: The file cannot be read or is not the plain YAML that a spec may use.
    """
    name = str(file)
    text = _read_text(file, name)
    if _FAST is not None:
        # What is refused is said by Python's own parser, so that a message does not depend on
        # what is installed.
        with contextlib.suppress(SpecError):
            return _Builder(text, name, _FAST).build()
    return _Builder(text, name, yaml.SafeLoader).build()


def _read_text(file: Path, name: str) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise _failure(name, None, f"cannot read the file: {reason.lower()}") from error
    except ValueError as error:
        raise _failure(name, None, f"not a usable file name: {error}") from error
    if len(raw) > MAX_BYTES:
        raise _failure(name, None, "larger than 256 KiB; a spec is a few kilobytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _failure(name, line, "not UTF-8; save the file as UTF-8") from error
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        raise _failure(name, line, "contains a NUL byte; this is not a text file")
    return text


def _failure(file: str, line: int | None, message: str) -> SpecError:
    return SpecError([Problem(message, file=file, line=line)])


@dataclass(slots=True)
class _Open:
    """A map or list whose end has not been seen; `key` is the map key that waits for its value."""

    container: dict[str, Any] | list[Any]
    path: Path_
    key: str | None = None
    key_lines: dict[str, int] = field(default_factory=dict)


class _Builder:
    def __init__(self, text: str, name: str, loader: type[yaml.SafeLoader]) -> None:
        self._text = text
        self._loader = loader
        self._name = name
        self._stack: list[_Open] = []
        self._problems: list[Problem] = []
        self._places: dict[Path_, Place] = {(): Place(name, 1)}

    def build(self) -> Document:
        root: Any = None
        documents = 0
        try:
            loader = self._loader(self._text)
            for event in iter(loader.get_event, None):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self._refuse(event, "a second document starts here; keep one per file")
                elif isinstance(event, yaml.NodeEvent):
                    value = self._take(loader, event)
                    root = value if root is None else root
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._stack.pop()
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from error
        except yaml.YAMLError as error:
            raise _failure(
                self._name, None, f"not readable as YAML: {_first_line(error)}"
            ) from error
        if documents == 0 or root is None:
            raise _failure(self._name, None, "is empty; it must hold at least one key")
        if not isinstance(root, dict):
            raise _failure(self._name, 1, "must be a map of keys at the top level")
        return Document(root, self._places, self._problems)

    def _take(self, loader: yaml.SafeLoader, event: yaml.NodeEvent) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._refuse(event, "anchors and aliases are not allowed; write the value out")
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(loader, event)
            return self._take_key(event, value) if self._awaits_key() else self._put(event, value)
        if self._awaits_key():
            self._refuse(event, "a map or a list cannot be a key")
        tag = getattr(event, "tag", None)
        if tag not in _COLLECTION_TAGS:
            self._refuse(event, f"the tag {tag} is not allowed; write a plain value")
        if len(self._stack) >= MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} levels deep")
        container: dict[str, Any] | list[Any] = {}
        if isinstance(event, yaml.SequenceStartEvent):
            container = []
        path = self._path()
        self._put(event, container)
        self._stack.append(_Open(container, path))
        return container

    def _scalar(self, loader: yaml.SafeLoader, event: yaml.ScalarEvent) -> Any:
        tag = event.tag
        if tag in (None, "!"):
            tag = loader.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
        if any(0xD800 <= ord(char) <= 0xDFFF for char in event.value):
            self._refuse(event, "half of a surrogate pair is no character")
        if tag == _NULL_TAG:
            return None
        if tag == "tag:yaml.org,2002:timestamp" and event.tag is None:
            return event.value
        if tag not in _PLAIN_TAGS:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(event, f"the tag {shown} is not allowed; write a plain value")
        if tag in _PLAIN_NUMBER and _PLAIN_NUMBER[tag].fullmatch(event.value) is None:
            hint = "write plain digits, or put a text in quotes"
            self._refuse(event, f"{event.value[:40]!r} is not a usable number; {hint}")
        try:
            return loader.construct_object(yaml.ScalarNode(tag, event.value))
        except (ValueError, OverflowError):
            self._refuse(event, f"{event.value[:40]!r} is not a usable number")

    def _awaits_key(self) -> bool:
        if not self._stack:
            return False
        top = self._stack[-1]
        return isinstance(top.container, dict) and top.key is None

    def _take_key(self, event: yaml.ScalarEvent, key: Any) -> None:
        line = _line(event)
        top = self._stack[-1]
        if not isinstance(key, str):
            shown = event.value[:40]
            self._refuse(event, f"the key {shown!r} is not a string; put it in quotes")
        if key in top.key_lines:
            first = top.key_lines[key]
            self._problems.append(
                Problem(
                    f"the key {key!r} is given twice; it is first on line {first}",
                    self._name,
                    line,
                    dotted((*top.path, key)),
                )
            )
        top.key_lines[key] = line
        top.key = key
        self._places[(*top.path, key)] = Place(self._name, line)

    def _path(self) -> Path_:
        if not self._stack:
            return ()
        top = self._stack[-1]
        if isinstance(top.container, list):
            return (*top.path, len(top.container))
        return (*top.path, top.key or "")

    def _put(self, event: yaml.Event, value: Any) -> Any:
        if not self._stack:
            return value
        top = self._stack[-1]
        if isinstance(top.container, list):
            self._places[self._path()] = Place(self._name, _line(event))
            top.container.append(value)
        elif top.key is not None:
            top.container[top.key] = value
            top.key = None
        return value

    def _refuse(self, event: yaml.Event, message: str) -> Any:
        path = dotted(self._path()) if self._stack else ""
        problem = Problem(message, self._name, _line(event), path)
        raise SpecError([*self._problems, problem])

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> SpecError:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        message = f"not valid YAML: {error.problem or error.context}"
        if error.problem and "'\\t'" in error.problem:
            message = "a tab is used for indentation; use spaces"
        return SpecError([*self._problems, Problem(message, self._name, line)])


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def dotted(path: Path_) -> str:
    """Write a path as people read it: `retention.streams[0].period`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if part.isprintable() else repr(part)
            text += f".{shown}" if text else shown
    return text
