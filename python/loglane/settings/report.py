"""What `loglane config` shows: each setting in force, where it comes from, and no secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loglane.container import resolve_mode
from loglane.settings.layers import dotted
from loglane.settings.loading import DEFAULT, Loaded, values_of
from loglane.settings.secrecy import masked


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `given` tells a value that somebody set from a default."""

    name: str
    value: str
    origin: str
    given: bool


def summary(loaded: Loaded) -> list[str]:
    """Return the lines above the table: the file that was read, and the mode."""
    settings = loaded.settings
    mode, why = resolve_mode(settings.mode, container_enabled=settings.container.enabled)
    shown = f"auto -> {mode}" if settings.mode == "auto" else mode
    return [f"file  {loaded.file or 'none found'}", f"mode  {shown}, {why}"]


def rows(loaded: Loaded) -> list[Row]:
    """Return a row for every setting, in the order of the section."""
    found = []
    for path, value in values_of(loaded.settings):
        name = dotted(path)
        origin = loaded.origins[name]
        found.append(Row(name, _written(_plain(masked(path, value))), origin, origin != DEFAULT))
    return found


def facts(loaded: Loaded) -> dict[str, Any]:
    """Return the same for machines."""
    settings = loaded.settings
    mode, why = resolve_mode(settings.mode, container_enabled=settings.container.enabled)
    shown: dict[str, Any] = {}
    for path, value in values_of(settings):
        inner = shown
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = _plain(masked(path, value))
    return {
        "file": None if loaded.file is None else str(loaded.file),
        "mode": {"set": settings.mode, "resolved": mode, "because": why},
        "settings": shown,
        "origins": loaded.origins,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    return value


def _written(value: Any) -> str:
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(value)
    text = str(value)
    return text if text.isprintable() else repr(text)
