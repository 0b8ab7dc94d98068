"""Uvicorn's logging through loglane, also in the parent of `--workers` and `--reload`.

    uvicorn.run("app:app", workers=2, log_config=LOG_CONFIG)
    uvicorn --workers 2 --log-config "$(python -m loglane.integrations.uvicorn)" app:app

A single process needs neither: `loglane.configure` takes uvicorn's loggers over.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_HANDLER = "loglane"
# The form of logging.config.dictConfig.
LOG_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {_HANDLER: {"class": "loglane.records.LoglaneHandler"}},
    "loggers": {
        # A handler of its own: the parent of workers never imports the app that configures.
        "uvicorn": {"handlers": [_HANDLER], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "INFO"},
        "uvicorn.access": {"handlers": [], "level": "INFO", "propagate": True},
        "uvicorn.asgi": {"handlers": [], "level": "INFO", "propagate": True},
    },
}
# The same for the command line, which takes a file.
LOG_CONFIG_FILE = Path(__file__).with_name("uvicorn.json")

if __name__ == "__main__":
    sys.stdout.write(f"{LOG_CONFIG_FILE}\n")
