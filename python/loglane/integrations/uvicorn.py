"""Uvicorn's logging through loglane, for `uvicorn.run(log_config=LOG_CONFIG)`.

Not needed under `uvicorn app:app` when the app calls `loglane.configure`; it is for a program that
configures first and starts uvicorn afterwards, which would put its own handlers in place again.
"""

from __future__ import annotations

from typing import Any

# The form of logging.config.dictConfig. Records go up to the root logger's handler.
LOG_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {
        name: {"handlers": [], "level": "INFO", "propagate": True}
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
    },
}
