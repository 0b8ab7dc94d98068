"""Handlers of PyPI in an environment of their own: `python -m benchmarks.shipping.handlers TASK`.

Each is given ready-made lines, so that neither rendering nor its formatter's habits count, and is
set up as its README says. `FORCED` is the one exception: loki-logger-handler sends every ten
seconds and documents no way to have it send now, so there an attribute of its own makes it.
"""

from __future__ import annotations

import json
import logging
import queue
import time
import urllib.parse
import urllib.request
from collections.abc import Callable

from benchmarks.shipping.measure import Task

FORCED = "forced"
_TIMEOUT_S = 120.0
_LOOK_EVERY_S = 0.05


def python_logging_loki(task: Task) -> tuple[logging.Handler, Callable[[], None]]:
    """Return the handler with its queue, as for apps that must not wait, and its end."""
    import logging_loki

    handler = logging_loki.LokiQueueHandler(
        queue.Queue(-1), url=_push_url(task), tags={"service": task.service}, version="1"
    )

    def finish() -> None:
        handler.listener.stop()
        _wait_until_stored(task)

    return handler, finish


def loki_logger_handler(task: Task) -> tuple[logging.Handler, Callable[[], None]]:
    """Return the handler, and its end."""
    from loki_logger_handler.loki_logger_handler import LokiLoggerHandler

    handler = LokiLoggerHandler(
        url=_push_url(task), labels={"service": task.service}, label_keys=["level"]
    )

    def finish() -> None:
        if task.options.get(FORCED):
            handler.flush_event.set()
        _wait_until_stored(task)

    return handler, finish


def _push_url(task: Task) -> str:
    return f"{task.url}/loki/api/v1/push"


def _wait_until_stored(task: Task) -> None:
    """Neither handler tells when Loki has the lines, so Loki is asked."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline and _stored(task) < task.lines:
        time.sleep(_LOOK_EVERY_S)


def _stored(task: Task) -> int:
    query = f'sum(count_over_time({{service="{task.service}"}}[1h]))'
    address = f"{task.url}/loki/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - loopback
        result = json.load(answer)["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def main() -> None:
    """Do the task."""
    task = Task.from_argument()
    peers = {"python-logging-loki": python_logging_loki, "loki-logger-handler": loki_logger_handler}
    handler, finish = peers[task.peer](task)
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    lines = [
        (logging.getLevelName(level.upper()), text.decode()) for level, text in task.ready_lines()
    ]

    def call(number: int) -> None:
        logger.log(*lines[number])

    task.measure(call, finish)


if __name__ == "__main__":
    main()
