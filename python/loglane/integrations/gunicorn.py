"""Gunicorn's logging through loglane: `--logger-class loglane.integrations.gunicorn.Logger`."""

from __future__ import annotations

import logging
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from loglane.logger import active_engine
from loglane.pipeline import configure, get_logger
from loglane.records import LoglaneHandler


class Logger(GunicornLogger):  # type: ignore[misc]
    """Writes what gunicorn says through loglane, from the arbiter on.

    Before an app has configured loglane, environment variables and the settings file decide. With
    `--access-logfile -` it writes an access line for each request; leave that out where loglane's
    own middleware writes one.
    """

    def setup(self, cfg: Any) -> None:
        """Set the levels as gunicorn does, without its handlers."""
        self.loglevel = self.LOG_LEVELS.get(str(cfg.loglevel).lower(), logging.INFO)
        if active_engine() is None:
            configure(on_error="defaults")
        # Handlers of their own: uvicorn's worker gives its loggers those of gunicorn's.
        for logger, is_wanted in ((self.error_log, True), (self.access_log, bool(cfg.accesslog))):
            logger.handlers[:] = [LoglaneHandler()] if is_wanted else []
            logger.propagate = False
        self.error_log.setLevel(self.loglevel)

    def access(self, resp: Any, _req: Any, environ: Any, request_time: Any) -> None:
        """Write the access line of one request, when access logs are on."""
        if not self.cfg.accesslog:
            return
        get_logger("gunicorn.access").info(
            "request",
            log_category="access",
            method=environ.get("REQUEST_METHOD"),
            path=environ.get("PATH_INFO"),
            status=_status(resp.status),
            duration_ms=round(request_time.total_seconds() * 1000, 3),
            client=environ.get("REMOTE_ADDR"),
        )

    def reopen_files(self) -> None:
        """Do nothing: there are no files of gunicorn's."""

    def close_on_exec(self) -> None:
        """Do nothing: there are no files of gunicorn's."""


def _status(status: Any) -> int | str:
    code = str(status).partition(" ")[0]
    return int(code) if code.isdigit() else code
