"""An app that does, within a second, what the dashboards show: run by test_dashboards.py."""

from __future__ import annotations

import os
from wsgiref.util import setup_testing_defaults

import loglane
from loglane.integrations.wsgi import RequestLogWsgiMiddleware

log = loglane.get_logger("package")


def fail() -> None:
    """Raise."""
    raise LookupError("no order 17\nand a second line")


def answer(_environ, start):
    """Answer one request."""
    start("200 OK", [])
    return [b"done"]


if __name__ == "__main__":
    log.info("started", log_category="system")
    # More than LOGLANE_FLOW_CONTROL__FIRST allows: a summary follows at the end.
    for _ in range(5):
        try:
            fail()
        except LookupError:
            log.exception("it failed")
    # One line that stdout does not take: another one says that it was lost.
    stdout = os.dup(1)
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    log.info("nobody reads this")
    os.dup2(stdout, 1)
    environ: dict[str, object] = {}
    setup_testing_defaults(environ)
    b"".join(RequestLogWsgiMiddleware(answer)(environ, lambda *_: None))
