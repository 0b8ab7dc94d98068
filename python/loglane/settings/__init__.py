"""What `configure` decides by: arguments, environment, a YAML file, defaults.

Nothing heavy is imported until settings are loaded or a model is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from loglane.settings.loading import Loaded
    from loglane.settings.model import Settings

__all__ = ["Loaded", "Settings", "load_settings"]


def load_settings(
    overrides: Mapping[str, Any],
    *,
    config_file: str | os.PathLike[str] | None = None,
    on_error: Literal["raise", "defaults"] = "raise",
    environ: Mapping[str, str] = os.environ,
) -> Loaded:
    """Combine arguments, environment variables, a file and defaults, the first one given wins.

    Args:
        overrides: Keys of the `logging:` section, nested as there, and `service`, `env` and
            `version` for the static fields. None means not given.
        config_file: YAML file with a `logging:` section. Else `LOGLANE_CONFIG`, else
            `loglane.yaml`, else `~/.config/loglane/config.yaml`.
        on_error: `defaults` leaves out what is wrong and returns the problems.
        environ: Environment variables.

    Returns:
        The settings in force, and where each value comes from.

    Raises:
        SpecError: Something is wrong; with every problem of every source.
    """
    from loglane.settings.loading import load

    return load(overrides, config_file, on_error, environ)


def __getattr__(name: str) -> Any:
    if name == "Settings":
        from loglane.settings.model import Settings

        return Settings
    if name == "Loaded":
        from loglane.settings.loading import Loaded

        return Loaded
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
