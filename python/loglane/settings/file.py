"""The layer of a YAML file: its `logging:` section.

The file may be the app's own, so only that section is looked at: what else is in the file may use
any tag or anchor. Inside the section anchors and merge keys work, and other tags do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from loglane.errors import Problem
from loglane.settings.layers import Layer, Path, Place, dotted

SECTION = "logging"
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20
# Anchors may repeat a part very often; this many nodes are more than any sensible section has.
MAX_NODES = 10_000

_TAG = "tag:yaml.org,2002:"
_TEXTS = tuple(_TAG + kind for kind in ("str", "timestamp", "merge", "value"))
_NUMBERS = (f"{_TAG}int", f"{_TAG}float")


def file_layer(file: FilePath) -> Layer:
    """Read the `logging:` section of a file; what is wrong with it is in the layer's problems."""
    name = str(file)
    reader = _Reader(name)
    layer = Layer(problems=reader.problems)
    try:
        key, value = _section(_compose(file, name), name)
        reader.lines[()] = _line(key)
        layer.take(reader.read(value, ()), reader.place)
    except _Stop as stop:
        layer.problems.append(stop.problem)
    return layer


class _Stop(Exception):
    """Nothing more can be read from this file."""

    def __init__(self, file: str, line: int | None, message: str, path: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(message, file, line, path)


def _compose(file: FilePath, name: str) -> yaml.MappingNode:
    text = _text(file, name)
    try:
        node = next(iter(yaml.compose_all(text, Loader=yaml.SafeLoader)), None)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise _Stop(name, line, f"not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise _Stop(name, None, f"not valid YAML: {str(error).partition(chr(10))[0]}") from None
    except RecursionError:
        raise _Stop(name, None, "nested too deep to be read") from None
    if not isinstance(node, yaml.MappingNode):
        raise _Stop(name, None, f"has no `{SECTION}:` section; it must be a map of keys")
    return node


def _text(file: FilePath, name: str) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _Stop(name, None, f"cannot read the file: {reason}") from None
    except ValueError:
        raise _Stop(name, None, "not a usable file name") from None
    if len(raw) > MAX_BYTES:
        raise _Stop(name, None, "larger than 1 MiB; keep the settings in a smaller file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _Stop(name, line, "not UTF-8; save the file as UTF-8") from None


def _section(top: yaml.MappingNode, name: str) -> tuple[yaml.Node, yaml.Node]:
    found = [(key, value) for key, value in top.value if key.value == SECTION]
    if not found:
        raise _Stop(name, None, f"has no `{SECTION}:` section")
    if len(found) > 1:
        first, second = _line(found[0][0]), _line(found[1][0])
        raise _Stop(name, second, f"is given twice; it is first on line {first}", SECTION)
    return found[0]


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


@dataclass(slots=True)
class _Reader:
    """Turns nodes into plain data and keeps the line of every key."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    lines: dict[Path, int] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    nodes: int = 0

    def place(self, path: Path) -> Place:
        """Return where a path was written."""
        known = next(path[:n] for n in range(len(path), -1, -1) if path[:n] in self.lines)
        line = self.lines[known]
        return Place(
            f"{self.file}:{line}",
            self.file,
            dotted((SECTION, *path)),
            line,
            self.texts.get(path),
        )

    def read(self, node: yaml.Node, path: Path, depth: int = 0) -> Any:
        """Return the data of a node; what cannot be read is None and a problem."""
        self._bound(node, path, depth)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [
                self.read(item, (*path, str(n)), depth + 1) for n, item in enumerate(node.value)
            ]
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._map(node, path, depth)
        return self._refuse_tag(node, path)

    def _bound(self, node: yaml.Node, path: Path, depth: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            message = f"has over {MAX_NODES} values, or over {MAX_DEPTH} levels"
            raise _Stop(self.file, _line(node), message, dotted((SECTION, *path)))

    def _map(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                data = {**self._merged(value, path, depth), **data}
        first: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, path, "a map or a list cannot be a key")
                continue
            # The text of a key, also where YAML reads it as a number or, like `on`, as a boolean.
            here = (*path, key.value)
            if key.value in first:
                message = f"is given twice; it is first on line {first[key.value]}"
                self._refuse(key, here, message)
                continue
            first[key.value] = self.lines[here] = _line(key)
            data[key.value] = self.read(value, here, depth + 1)
        return data

    def _merged(self, node: yaml.Node, path: Path, depth: int) -> dict[str, Any]:
        self._bound(node, path, depth)
        if isinstance(node, yaml.MappingNode):
            return self.read(node, path, depth + 1) or {}
        merged: dict[str, Any] = {}
        if isinstance(node, yaml.SequenceNode):
            # The first of several maps wins.
            for item in reversed(node.value):
                merged.update(self._merged(item, path, depth + 1))
        else:
            self._refuse(node, path, "'<<' should have a map, such as <<: *defaults")
        return merged

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        self.texts.pop(path, None)
        if node.tag == f"{_TAG}null":
            return None
        # 1.10 as a number would be 1.1.
        is_version = path == ("static", "version") and node.tag in _NUMBERS
        if node.tag in _TEXTS or is_version:
            return node.value
        if node.tag not in (*_NUMBERS, f"{_TAG}bool"):
            return self._refuse_tag(node, path)
        try:
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, KeyError, OverflowError):
            return self._refuse(node, path, f"{node.value[:40]!r} is no usable value of its kind")
        self.texts[path] = node.value
        return value

    def _refuse_tag(self, node: yaml.Node, path: Path) -> None:
        tag = node.tag.replace(_TAG, "!!")
        self._refuse(node, path, f"the tag {tag} cannot be read here; write a plain value")

    def _refuse(self, node: yaml.Node, path: Path, message: str) -> None:
        path_text = dotted((SECTION, *path))
        self.problems.append(Problem(message, self.file, _line(node), path_text))
