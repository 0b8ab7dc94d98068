"""The layer of the environment variables."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from loglane.settings.layers import Layer, Path, Place, kind_at, known_paths

PREFIX = "LOGLANE_"
# Shorter names of three keys; the longer name of the same key wins.
SHORT_NAMES: dict[str, Path] = {
    "LOGGING_MODE": ("mode",),
    "LOGGING_FORMAT": ("format",),
    "LOGGING_LEVEL": ("level",),
}
CONFIG_VARIABLE = "LOGLANE_CONFIG"


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Read every variable that names a setting; an empty one counts as not given."""
    layer = Layer()
    for name, path in _variables(environ):
        place = Place(f"environment {name}", "environment", name)
        if kind_at(path) is None:
            layer.problems.append(place.problem(_unknown(name)))
            continue
        try:
            value = _value(environ[name].strip(), path)
        except (ValueError, RecursionError):
            example = next(f"{name}__{key[-1].upper()}" for key in _below(path))
            message = f"should be a JSON object; or set {example} and its like one by one"
            layer.problems.append(place.problem(message))
            continue
        layer.take(value, lambda _path, place=place: place, path)  # type: ignore[misc]
    return layer


def _variables(environ: Mapping[str, str]) -> list[tuple[str, Path]]:
    """List the variables that are meant for us, the more specific ones last."""
    found = [(name, path) for name, path in SHORT_NAMES.items() if environ.get(name, "").strip()]
    ours = []
    for name in environ:
        if not name.startswith(PREFIX) or not environ[name].strip() or name == CONFIG_VARIABLE:
            continue
        path = _path(name)
        # Kubernetes sets LOGLANE_PORT and its like for a service of that name: not ours, no error.
        if "__" in name or kind_at(path) is not None:
            ours.append((name, path))
    return found + sorted(ours, key=lambda item: (len(item[1]), item[0]))


def _path(name: str) -> Path:
    path = tuple(name.removeprefix(PREFIX).lower().split("__"))
    for length in range(1, len(path)):
        if kind_at(path[:length]) == "map":
            # A variable's name has no dots, so `__` stands for them in the name of a logger.
            return (*path[:length], ".".join(path[length:]))
    return path


def _value(text: str, path: Path) -> Any:
    if kind_at(path) == "value" or (path == ("level",) and not text.startswith("{")):
        return text
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def _below(path: Path) -> list[Path]:
    below = [known for known in known_paths() if known[:-1] == path]
    return below or [(*path, "name")]


def _unknown(name: str) -> str:
    names = [PREFIX + "__".join(path).upper() for path in known_paths()]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
    return f"unknown key; did you mean {close[0]}?" if close else "unknown key"
