"""The package's own process: `python -m benchmarks.shipping.worker TASK`.

Peers: `sink` is given ready-made lines; `push` is the log call of an app that pushes beside stdout,
`alone` of one that pushes and writes nothing else, `stdout` of one that does not push. Where stdout
leads is decided by whoever starts the process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import loglane
from benchmarks.shipping.lines import fields_of, level_of
from benchmarks.shipping.measure import Task, resident_bytes
from loglane.fields import LEVELS
from loglane.settings.loki import LokiPush
from loglane.sinks.loki import LokiSink

_FLUSH_S = 120.0
_WARM_UP = 1000
# Nothing is to be dropped because a benchmark writes faster than any Loki takes it.
_LARGE = {"max_items": 10_000_000, "max_bytes": "4GiB"}

Peer = tuple[Callable[[int], None], Callable[[], None]]


def main() -> None:
    """Do the task."""
    task = Task.from_argument()
    if task.mode == "memory":
        Path(task.out).write_text(json.dumps(_memory(task)))
        return
    peers = {"sink": _sink, "push": _push, "alone": _alone, "stdout": _stdout}
    call, finish = peers[task.peer](task)
    task.measure(call, finish)


def _sink(task: Task) -> Peer:
    sink = LokiSink(LokiPush(**_settings(task)))
    lines = [(text, LEVELS.index(level)) for level, text in task.ready_lines()]

    def finish() -> None:
        assert sink.flush(_FLUSH_S), "Loki has not confirmed every line"

    return lambda number: sink.write(*lines[number]), finish


def _alone(task: Task) -> Peer:
    # One line in a hundred is critical.
    return _push(task, {"console": "critical"})


def _push(task: Task, level: Any = "debug") -> Peer:
    call = _configured(task, {"loki": _settings(task), "level": level})

    def finish() -> None:
        # Its end sends what is left.
        loglane.reset()

    return call, finish


def _stdout(task: Task) -> Peer:
    return _configured(task, {}), lambda: None


def _settings(task: Task) -> dict[str, Any]:
    drain = {"timeouts": {"drain_s": _FLUSH_S}}
    return {**_base(task), "queue": _LARGE, **drain, **task.options}


def _base(task: Task) -> dict[str, Any]:
    return {"enabled": True, "level": "debug", "url": task.url}


def _configured(task: Task, settings: dict[str, Any]) -> Callable[[int], None]:
    loglane.configure(
        mode="container", service=task.service, env="dev", flow_control={"enabled": False},
        **{"level": "debug", **settings},
    )  # fmt: skip
    logger = loglane.get_logger("shop.orders")
    methods = {level: getattr(logger, level) for level in LEVELS}
    # Making the fields is the app's own business.
    calls = [(methods[level_of(number)], fields_of(number)) for number in range(task.lines)]

    def call(number: int) -> None:
        write, fields = calls[number]
        write("an order was placed", **fields)

    return call


def _memory(task: Task) -> dict[str, float]:
    """Log while Loki is down; tell by how much the process grew at most."""
    loglane.configure(
        mode="container", service=task.service, env="dev", level="debug",
        flow_control={"enabled": False}, loki={**_base(task), **task.options},
    )  # fmt: skip
    logger = loglane.get_logger("shop.orders")

    def write(first: int, count: int) -> None:
        for number in range(first, first + count):
            getattr(logger, level_of(number))("an order was placed", **fields_of(number))

    write(0, _WARM_UP)
    before = resident_bytes()
    write(_WARM_UP, task.lines - _WARM_UP)
    largest = resident_bytes(largest=True)
    stats = loglane.loki_sink_stats()
    dropped = sum(stats["dropped"].values())
    return {"grown_bytes": largest - before, "queued": stats["queued"], "dropped": dropped}


if __name__ == "__main__":
    main()
