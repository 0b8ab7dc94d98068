"""What every part of the spec is built from: the base model, and errors of several keys at once."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict

Found = list[tuple[tuple[str | int, ...], str]]
T = TypeVar("T")


class CrossKeyError(ValueError):
    """Values that are right one by one and wrong together: a list of (path, message)."""

    def __init__(self, found: Found) -> None:
        super().__init__("; ".join(message for _, message in found))
        self.found = found


def value_unless(found: Found, value: T) -> T:
    """Return `value`, or raise what was found wrong with it.

    Raises:
        CrossKeyError: `found` is not empty.
    """
    if found:
        raise CrossKeyError(found)
    return value


class Model(BaseModel):
    """Base of the spec's maps: frozen, no unknown key, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
