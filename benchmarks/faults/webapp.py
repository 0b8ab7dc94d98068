"""A WSGI app that logs numbered lines: `GET /?first=100&count=50`.

The plan comes in the variable FAULTS_PLAN.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson

import loglane
from benchmarks.faults.counting import SERVICE
from benchmarks.faults.plan import Plan
from benchmarks.shipping.lines import level_of

_AT_WORK_S = 0.02
PLAN = Plan.from_json(os.environ["FAULTS_PLAN"])
loglane.configure(
    mode="container", service=SERVICE, env="dev", level="debug",
    flow_control={"enabled": False}, loki={"enabled": True, "level": "debug", **PLAN.loki},
)  # fmt: skip
_logger = loglane.get_logger("faults")
_served = 0


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Log the lines that the request asks for."""
    global _served  # noqa: PLW0603 - a worker's own count
    asked = {name: int(values[0]) for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    for number in range(asked["first"], asked["first"] + asked["count"]):
        write = getattr(_logger, level_of(number))
        write("a numbered line", writer=PLAN.name, seq=number)
    # Longer than the lines take, so that others serve the requests that come meanwhile.
    time.sleep(_AT_WORK_S)
    _served += 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


def _report() -> None:
    # The parent that loaded the app for its workers serves nobody.
    report = {"stats": loglane.loki_sink_stats(), "served": _served}
    file = Path(PLAN.folder) / f"{PLAN.name}-{os.getpid()}.worker.json"
    file.write_bytes(orjson.dumps(report))


atexit.register(_report)
