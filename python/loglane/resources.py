"""Files that the package carries beside its code."""

from __future__ import annotations

from pathlib import Path

from loglane.errors import EnvironmentMissing


def packaged(name: str) -> Path:
    """Find a folder: in a wheel below `_bundle`, in a clone at its top.

    Raises:
        EnvironmentMissing: This installation has no such folder.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "_bundle" / name, package.parent.parent / name):
        if candidate.is_dir():
            return candidate
    raise EnvironmentMissing(f"this installation of loglane has no {name}; install it again")
