"""From arguments, environment and file to the settings in force."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Literal

from pydantic import BaseModel

from loglane.errors import Problem, SpecError
from loglane.settings.environment import CONFIG_VARIABLE, environment_layer
from loglane.settings.layers import Layer, Path, Place, dotted
from loglane.settings.model import Settings

# Arguments of `configure` that stand for a static field.
SHORT_ARGUMENTS = ("service", "env", "version")
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and how they came about.

    Attributes:
        settings: What is in force.
        origins: Where the value of each key comes from, by dotted path (`level.console`).
        file: The settings file that was chosen, or None.
        problems: What was left out, when the caller asked for defaults instead of an error.
    """

    settings: Settings
    origins: dict[str, str]
    file: FilePath | None
    problems: tuple[Problem, ...]


def load(
    overrides: Mapping[str, Any],
    config_file: str | os.PathLike[str] | None,
    on_error: Literal["raise", "defaults"],
    environ: Mapping[str, str],
) -> Loaded:
    """Combine the layers; `loglane.settings.load_settings` says what each argument means."""
    file, problems = _chosen_file(config_file, environ)
    layers = [environment_layer(environ), argument_layer(overrides)]
    if file is not None and not problems:
        from loglane.settings.file import file_layer

        layers.insert(0, file_layer(file))
    for layer in layers:
        layer.check()
        problems += sorted(layer.problems, key=lambda problem: problem.line or 0)
    settings, merged = _merge(layers, problems)
    if problems and on_error == "raise":
        raise SpecError(problems)
    origins = {
        dotted(path): merged.leaves[path].place.origin if path in merged.leaves else DEFAULT
        for path, _ in values_of(settings)
    }
    return Loaded(settings, origins, file, tuple(problems))


def _merge(layers: list[Layer], problems: list[Problem]) -> tuple[Settings, Layer]:
    while True:
        merged = Layer({path: leaf for layer in layers for path, leaf in layer.leaves.items()})
        given = set(merged.leaves)
        settings = merged.check()
        if not merged.problems:
            return settings, merged
        # Right in each layer and wrong together: what is below the wrong value takes its place.
        problems += merged.problems
        for path in given - set(merged.leaves):
            next(layer for layer in reversed(layers) if path in layer.leaves).leaves.pop(path)


def argument_layer(overrides: Mapping[str, Any]) -> Layer:
    """Read the arguments of `configure`; one that is None counts as not given."""
    layer = Layer()
    layer.take(
        {name: value for name, value in overrides.items() if name not in SHORT_ARGUMENTS},
        lambda path: Place("argument", "argument", dotted(path)),
    )
    for name in SHORT_ARGUMENTS:
        place = Place("argument", "argument", name)
        layer.take(overrides.get(name), lambda _path, place=place: place, ("static", name))  # type: ignore[misc]
    return layer


def _chosen_file(
    given: str | os.PathLike[str] | None, environ: Mapping[str, str]
) -> tuple[FilePath | None, list[Problem]]:
    named, by = given, "config_file"
    if named is None:
        named, by = environ.get(CONFIG_VARIABLE, "").strip() or None, CONFIG_VARIABLE
    if named is None:
        return next((file for file in _default_files(environ) if _is_file(file)), None), []
    file = FilePath(os.fsdecode(named))
    try:
        file = file.expanduser()
        missing = not file.exists()
    except (OSError, RuntimeError, ValueError):
        # Reading it says why.
        missing = False
    message = f"there is no such file; {by} names it"
    return file, [Problem(message, str(file))] if missing else []


def _default_files(environ: Mapping[str, str]) -> Iterator[FilePath]:
    yield FilePath("loglane.yaml")
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if home:
        yield FilePath(home, ".config", "loglane", "config.yaml")


def _is_file(file: FilePath) -> bool:
    try:
        return file.is_file()
    except (OSError, ValueError):
        # A folder that is closed to us has no file for us.
        return False


def values_of(model: BaseModel, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the path and the value of every setting; an empty map is one setting."""
    for name, value in model:
        path = (*at, name)
        if isinstance(value, BaseModel):
            yield from values_of(value, path)
        elif isinstance(value, Mapping) and value:
            yield from (((*path, key), item) for key, item in value.items())
        else:
            yield path, value
