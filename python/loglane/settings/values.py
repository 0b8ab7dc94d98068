"""What one value of the settings may look like, with a message of its own for each."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from loglane.fields import LABEL_NAME, LEVELS

LevelName = Literal["debug", "info", "warning", "error", "critical"]
ModeName = Literal["auto", "container", "local"]
FormatName = Literal["json", "plain"]
Scalar = str | int | float | bool

MAX_TEXT = 1024
# What the pipeline itself writes on a line; a static field of that name would be renamed there.
OWN_FIELDS = ("timestamp", "level", "message", "logger", "exception")

_ALIASES = {"warn": "warning", "fatal": "critical"}
_NUMBERS = {number: level for level, number in zip(LEVELS, range(10, 60, 10), strict=True)}
_SIZE = re.compile(r"(\d{1,15})\s*([kmg]?)(i?)b?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}


def level_name(value: Any) -> str:
    """Return the level that a name in any case, an alias or a number from 10 to 50 means.

    A number between two levels means the higher one, as a threshold does.

    Raises:
        ValueError: It means no level.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 10 <= value <= 50:
        return _NUMBERS[math.ceil(value / 10) * 10]
    text = value.strip().lower() if isinstance(value, str) else ""
    text = _ALIASES.get(text, text)
    if text in LEVELS:
        return text
    if text.isdecimal() and len(text) == 2:
        return level_name(int(text))
    raise ValueError(f"is not a level: {', '.join(LEVELS)}, or a number from 10 to 50")


def size_bytes(value: Any) -> int:
    """Return the bytes that `10485760`, `10MB` (decimal) or `10MiB` (binary) means.

    Raises:
        ValueError: It means no size.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or (match[3] and not match[2]):
        raise ValueError("is not a size; write bytes, or for example 10MB or 10MiB")
    base = 1024 if match[3] else 1000
    factor: int = base ** _POWERS[match[2].lower()]
    return int(match[1]) * factor


def mask_names(value: Any) -> tuple[str, ...]:
    """Return names of masked fields from a list, or from text with commas or as JSON.

    Raises:
        ValueError: It is no list of names.
    """
    wanted = "should be a list of names, such as [card_number, '!token']"
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("[") else value.split(",")
        except (ValueError, RecursionError):
            raise ValueError(wanted) from None
        value = [item for item in value if item != ""]
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError(wanted)
    names = tuple(item.strip() for item in value)
    wrong = [name for name in names if not 0 < len(name.removeprefix("!")) <= MAX_TEXT]
    if wrong:
        raise ValueError(f"has {wrong[0][:20]!r}, which is no name of a field")
    return names


def static_name(name: str) -> str:
    """Return the name of a static field of the user's.

    Raises:
        ValueError: It would not do as the name of a field, or the pipeline writes it itself.
    """
    if name in OWN_FIELDS:
        raise ValueError(f"{name!r} is written on every line already; take another name")
    if LABEL_NAME.match(name) is None or len(name) > 64:
        raise ValueError(f"{name[:40]!r} is not a field name; use letters, digits and '_'")
    return name


def static_value(value: Any) -> Scalar:
    """Return a static value: text, a number or a boolean.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(value, str):
        return text_value(value)
    if isinstance(value, (bool, int)) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError("should be a text, a number or a boolean")


def text_value(value: Any, longest: int = MAX_TEXT) -> str:
    """Return a text that is neither empty, nor long, nor holds what cannot be printed.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(value, str):
        raise ValueError("should be a text")
    if not 0 < len(value) <= longest:
        raise ValueError(f"should have from 1 to {longest} characters")
    if not value.isprintable():
        raise ValueError("has a character that cannot be printed")
    return value


def _version(value: Any) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return text_value(str(value) if is_number else value)


def _file_path(value: Any) -> str:
    from pathlib import Path

    text = text_value(os.fspath(value) if isinstance(value, os.PathLike) else value)
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError("has a '~' of a user without a home folder") from None


def _not_bool(wanted: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        # A boolean is an int in Python, so `first: yes` would mean 1.
        if isinstance(value, bool):
            raise ValueError(f"should be {wanted}")
        return value

    return check


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


Level = Annotated[LevelName, BeforeValidator(level_name)]
Mode = Annotated[ModeName, BeforeValidator(_lower)]
Format = Annotated[FormatName | None, BeforeValidator(_lower)]
Size = Annotated[int, Field(ge=0, le=2**50), BeforeValidator(size_bytes)]
LineSize = Annotated[int, Field(ge=512, le=262_144), BeforeValidator(size_bytes)]
Count = Annotated[int, Field(ge=1, le=10_000_000), BeforeValidator(_not_bool("a whole number"))]
Backups = Annotated[int, Field(ge=0, le=1000), BeforeValidator(_not_bool("a whole number"))]
Seconds = Annotated[
    float, Field(gt=0, le=86_400, allow_inf_nan=False), BeforeValidator(_not_bool("a number"))
]
Rate = Annotated[
    float,
    Field(ge=0, le=1, allow_inf_nan=False),
    BeforeValidator(_not_bool("a number from 0 to 1")),
]
Text = Annotated[str, Field(max_length=128), BeforeValidator(text_value)]
Version = Annotated[str, Field(max_length=128), BeforeValidator(_version)]
FilePath = Annotated[str, BeforeValidator(_file_path)]
Names = Annotated[tuple[str, ...], BeforeValidator(mask_names)]
LoggerName = Annotated[str, BeforeValidator(text_value)]
