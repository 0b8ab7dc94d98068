"""What all maps of the settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """Base of every map: frozen, no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def wrong_key(key: str, reason: str) -> PydanticCustomError:
    """Return the error for a key that is wrong beside others."""
    return PydanticCustomError("wrong_key", "{reason}", {"key": key, "reason": reason})
