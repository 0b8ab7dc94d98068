"""The settings as frozen models: every key of the `logging:` section with its default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from loglane.fields import ERROR_LEVELS
from loglane.settings.audit import Audit
from loglane.settings.loki import LokiPush
from loglane.settings.section import Section, wrong_key
from loglane.settings.values import (
    Backups,
    Count,
    FilePath,
    Format,
    Level,
    LineSize,
    LoggerName,
    Mode,
    Names,
    Rate,
    Scalar,
    Seconds,
    Size,
    Text,
    Version,
    static_name,
    static_value,
)


class Levels(Section):
    """The lowest level that is written, for each place that lines go to."""

    console: Level = "info"
    file: Level = "debug"


class Container(Section):
    """What is done in a container.

    Attributes:
        enabled: Whether `mode: auto` may choose container mode.
        json_output: One JSON object a line; else readable lines without colours.
    """

    enabled: bool = True
    json_output: bool = True


class Local(Section):
    """The file beside the console in local mode; a `file_path` is relative to the working folder.

    Attributes:
        file_enabled: Whether there is a file.
        file_path: The file.
        max_bytes: Size after which it is rotated; 0 never rotates.
        backups: Rotated files that are kept.
    """

    file_enabled: bool = True
    file_path: FilePath = "app.log"
    max_bytes: Size = 10 * 1024 * 1024
    backups: Backups = 5


class Static(BaseModel):
    """Fields that are the same on every line of the process; more may be added."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Annotated[Scalar, BeforeValidator(static_value)]]

    service: Text = "unknown"
    env: Text = "dev"
    version: Version | None = None

    @model_validator(mode="after")
    def _names(self) -> Static:
        for name in self.__pydantic_extra__ or ():
            try:
                static_name(name)
            except ValueError as error:
                raise wrong_key(name, str(error)) from None
        return self

    def fields(self) -> dict[str, Scalar]:
        """Return every static field that has a value."""
        return {name: value for name, value in self if value is not None}


class Capture(Section):
    """What else goes through the pipeline.

    Attributes:
        logging: Records of the standard library's loggers.
        warnings: What `warnings` shows.
        exceptions: Uncaught exceptions, of threads and tasks too.
    """

    logging: bool = True
    warnings: bool = True
    exceptions: bool = True


class FlowControl(Section):
    """Repeated errors: the first ones of a window pass, then every so many, the rest is counted."""

    enabled: bool = True
    first: Count = 1000
    every: Count = 100
    window_s: Seconds = 60
    max_patterns: Count = 1000


class Sampling(Section):
    """The share of lines that is kept, from 0 to 1; errors are always kept."""

    rate: Rate = 1.0
    levels: Mapping[Level, Rate] = Field(default_factory=dict)
    loggers: Mapping[LoggerName, Rate] = Field(default_factory=dict)

    @field_validator("levels", mode="after")
    @classmethod
    def _errors_are_kept(cls, levels: Mapping[Level, float]) -> Mapping[Level, float]:
        for level in ERROR_LEVELS:
            if levels.get(level, 1.0) < 1:  # type: ignore[call-overload]
                reason = "errors are never sampled away; leave this level out"
                raise wrong_key(level, reason)
        return levels


class Settings(Section):
    """Everything that decides how lines are written.

    Attributes:
        mode: `auto` finds out whether the process runs in a container.
        format: None is JSON in a container and readable lines in local mode.
        level: The lowest level that is written, on the console and in the file.
        container: What is done in a container.
        local: What is done outside one.
        mask_fields: Names masked besides the built-in ones; `!name` takes a built-in one away.
        static: Fields that are the same on every line.
        caller: Whether a line says which module and line wrote it.
        max_line_bytes: Longer lines are cut. Docker splits lines at 16 KiB, Loki refuses 256 KiB.
        loggers: Levels of loggers of the standard library, by name.
        capture: What else goes through the pipeline.
        flow_control: What happens to repeated errors.
        sampling: The share of lines that is kept.
        loki: Direct push to Loki, for processes that no collector sees.
        audit: The audit trail: records in a SQL database, beside the log lines.
    """

    mode: Mode = "auto"
    format: Format = None
    level: Levels = Levels()
    container: Container = Container()
    local: Local = Local()
    mask_fields: Names = ()
    static: Static = Static()
    caller: bool = False
    max_line_bytes: LineSize = 16_000
    loggers: Mapping[LoggerName, Level] = Field(default_factory=dict)
    capture: Capture = Capture()
    flow_control: FlowControl = FlowControl()
    sampling: Sampling = Sampling()
    loki: LokiPush = LokiPush()
    audit: Audit = Audit()

    @model_validator(mode="after")
    def _plain_is_local(self) -> Settings:
        if self.mode == "container" and self.format == "plain":
            reason = "'plain' is for local mode; with mode 'container' leave it out"
            raise wrong_key("format", reason)
        return self

    def line_format(self, mode: Literal["container", "local"]) -> Literal["json", "plain"]:
        """Return how lines for people or machines are written on the console in a mode."""
        if mode == "local":
            return self.format or "plain"
        return "json" if self.container.json_output or self.format == "json" else "plain"
