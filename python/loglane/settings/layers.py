"""A layer: what one source of settings says, key by key, and where it says so.

Every layer is brought into the same shape (one leaf for each key, names written one way), so that
laying one over another is an update of a dict, and a wrong leaf can be left out alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError

from loglane.errors import Problem
from loglane.settings.messages import message_of
from loglane.settings.model import Settings
from loglane.settings.secrecy import MASK, is_secret, masked
from loglane.settings.values import level_name

Path = tuple[str, ...]
MAX_KEYS = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was given.

    Attributes:
        origin: As `loglane config` shows it, for example `environment LOGGING_LEVEL`.
        file: The file, `environment` or `argument`.
        path: Dotted path, or the variable's name.
        line: 1-based line in the file.
        text: What the file says, when YAML reads it as something that is no text.
    """

    origin: str
    file: str
    path: str
    line: int | None = None
    text: str | None = None

    def problem(self, message: str) -> Problem:
        """Return a problem at this place."""
        return Problem(message, self.file, self.line, self.path)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value and where it was given."""

    value: Any
    place: Place


@dataclass(slots=True)
class Layer:
    """The leaves of one source by their path, and what is wrong in it."""

    leaves: dict[Path, Leaf] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def take(self, data: Any, place: Callable[[Path], Place], at: Path = ()) -> None:
        """Add nested data that belongs at `at`; `place` tells where each path of it was given."""
        kind = kind_at(at)
        if kind is None:
            self.problems.append(place(at).problem(unknown_key(at)))
        elif data is None:
            return
        elif at == ("level",) and not isinstance(data, Mapping):
            for key in ("console", "file"):
                self.leaves[(*at, key)] = Leaf(data, place(at))
        elif kind == "value":
            self._put(at, Leaf(data, place(at)))
        elif not isinstance(data, Mapping):
            self.problems.append(place(at).problem("should be a map of keys"))
        elif len(data) > MAX_KEYS:
            self.problems.append(place(at).problem(f"has over {MAX_KEYS} keys"))
        else:
            for key, item in data.items():
                if isinstance(key, str):
                    self.take(item, place, (*at, key))
                else:
                    self.problems.append(place(at).problem(f"the key {key!r} should be a text"))

    def _put(self, path: Path, leaf: Leaf) -> None:
        path = _normal(path)
        before = self.leaves.get(path)
        if before is not None and leaf.place.line is not None:
            self.problems.append(leaf.place.problem("is given twice"))
        self.leaves[path] = leaf

    def check(self) -> Settings:
        """Leave out every leaf that is wrong, note a problem for each, and return the rest."""
        while True:
            try:
                return Settings.model_validate(nested(self.leaves))
            except ValidationError as error:
                self._leave_out(error)

    def _leave_out(self, error: ValidationError) -> None:
        wrong: dict[Path, str] = {}
        for item in error.errors():
            path = self._owner((*map(str, item["loc"]), *_key_of(item)))
            leaf = self.leaves[path]
            is_key = item["loc"][-1:] == ("[key]",)
            value, text = (path[-1], None) if is_key else _shown(path, leaf)
            wrong.setdefault(path, message_of(item, value, text))
        for path, message in wrong.items():
            problem = self.leaves.pop(path).place.problem(message)
            # `level: loud` is one mistake that makes two leaves.
            if problem not in self.problems:
                self.problems.append(problem)

    def _owner(self, where: Path) -> Path:
        return next(
            where[:length] for length in range(len(where), -1, -1) if where[:length] in self.leaves
        )


def _shown(path: Path, leaf: Leaf) -> tuple[Any, str | None]:
    if is_secret(path):
        return MASK, None
    return masked(path, leaf.value), leaf.place.text


def _key_of(item: Any) -> Path:
    key = item.get("ctx", {}).get("key") if item["type"] == "wrong_key" else None
    return (key,) if key else ()


def _normal(path: Path) -> Path:
    if path[:2] == ("sampling", "levels"):
        try:
            return (*path[:2], level_name(path[2]))
        except ValueError:
            return path
    return path


def nested(leaves: Mapping[Path, Leaf]) -> dict[str, Any]:
    """Return the values of leaves as maps in maps."""
    data: dict[str, Any] = {}
    for path, leaf in leaves.items():
        inner = data
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = leaf.value
    return data


def kind_at(path: Path) -> str | None:
    """Tell what belongs at a path: a `section`, a free `map`, a `value`, or None for nothing."""
    model: type[BaseModel] = Settings
    for depth, key in enumerate(path, start=1):
        rest = len(path) - depth
        found = model.model_fields.get(key)
        if found is None:
            is_extra = model.model_config.get("extra") == "allow" and rest == 0
            return "value" if is_extra else None
        section = _section(found.annotation)
        if section is not None:
            model = section
        elif get_origin(found.annotation) is Mapping:
            return {0: "map", 1: "value"}.get(rest)
        else:
            return "value" if rest == 0 else None
    return "section"


def dotted(path: Path) -> str:
    """Write a path as people read it: `level.console`."""
    return ".".join(key if key.isprintable() else repr(key) for key in path)


def known_paths(model: type[BaseModel] = Settings, at: Path = ()) -> list[Path]:
    """List the path of every key, sections before what is in them."""
    paths: list[Path] = []
    for key, found in model.model_fields.items():
        paths.append((*at, key))
        section = _section(found.annotation)
        if section is not None:
            paths += known_paths(section, (*at, key))
    return paths


def _section(annotation: Any) -> type[BaseModel] | None:
    # Python 3.10 takes `tuple[str, ...]` for a type, so ask for its origin first.
    is_model = get_origin(annotation) is None and isinstance(annotation, type)
    return annotation if is_model and issubclass(annotation, BaseModel) else None


def unknown_key(path: Path) -> str:
    """Say that there is no such key, and which one may be meant."""
    if path == ("processors",):
        return "unknown key; processors are code: give them to configure(processors=[...])"
    siblings = [known[-1] for known in known_paths() if known[:-1] == path[:-1]]
    close = difflib.get_close_matches(path[-1], siblings, n=1)
    if close:
        return f"unknown key; did you mean {close[0]!r}?"
    elsewhere = [".".join(known) for known in known_paths() if known[-1] == path[-1]]
    if elsewhere:
        return f"unknown key here; did you mean {elsewhere[0]!r}?"
    return f"unknown key; known here: {', '.join(siblings)}" if siblings else "unknown key"
