"""Settings for processes that multiprocessing starts without a fork.

A child gets its parent's process object, with `_config` in it: that is where the standard library
keeps what children inherit (cpython: Lib/multiprocessing/process.py, `BaseProcess.__init__`). So it
reaches children of children, those of a fork server and of process pools, and no other program.
"""

from __future__ import annotations

import pickle
from typing import Any

_KEY = "loglane"


def leave_for_children(given: dict[str, Any] | None) -> None:
    """Leave what `configure` was given; None takes it away.

    What cannot be pickled is left out by itself, as a processor that is a lambda.
    """
    config = _config()
    if config is None:
        return
    if given is None:
        config.pop(_KEY, None)
    else:
        config[_KEY] = {name: data for name, value in given.items() if (data := _pickled(value))}


def inherited() -> dict[str, Any]:
    """Return what the parent gave to `configure`, in a child of multiprocessing."""
    found = (_config() or {}).get(_KEY, {})
    # The bytes came with the process object, which is unpickled from the same source.
    return {name: pickle.loads(data) for name, data in found.items()}  # noqa: S301


def _config() -> dict[str, Any] | None:
    from multiprocessing import process

    return getattr(process.current_process(), "_config", None)


def _pickled(value: Any) -> bytes | None:
    try:
        return pickle.dumps(value)
    except Exception:  # noqa: BLE001 - pickle raises whatever the value does
        return None
