"""What `configure` decides by: arguments, then environment variables, then these defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from loglane.errors import Problem, SpecError

Level = Annotated[
    Literal["debug", "info", "warning", "error", "critical"],
    BeforeValidator(lambda value: str(value).lower()),
]
Name = Annotated[str, Field(min_length=1, max_length=128)]


class Static(BaseModel):
    """Fields that are the same on every line of the process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: Name = "unknown"
    env: Name = "dev"


class Settings(BaseSettings):
    """Settings of the package.

    Environment variables: `LOGGING_LEVEL`, `LOGLANE_STATIC__SERVICE`, `LOGLANE_STATIC__ENV`.
    """

    model_config = SettingsConfigDict(
        env_prefix="LOGLANE_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    level: Level = Field(
        default="info", validation_alias=AliasChoices("level", "LOGGING_LEVEL", "LOGLANE_LEVEL")
    )
    static: Static = Static()


def load_settings(level: str | None = None, **static: str | None) -> Settings:
    """Combine arguments, environment and defaults; None means not given.

    Raises:
        SpecError: With every wrong value and where it belongs.
    """
    given: dict[str, Any] = {"static": {k: v for k, v in static.items() if v is not None}}
    if level is not None:
        given["level"] = level
    try:
        return Settings(**given)
    except SettingsError as error:
        # A section's variable, such as LOGLANE_STATIC, holds JSON or is left out.
        message = f"{error}; set LOGLANE_STATIC__SERVICE and its like one by one"
        raise SpecError([Problem(message, file="environment")]) from None
    except ValidationError as error:
        raise SpecError(
            [
                Problem(f"{item['input']!r}: {item['msg']}", path=".".join(map(str, item["loc"])))
                for item in error.errors()
            ]
        ) from None
