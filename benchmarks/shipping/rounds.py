"""Runs every peer in a process of its own, in turns, against one Loki."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx2

from benchmarks.loki_process import ROOT, LokiProcess, free_ports
from benchmarks.shipping.batches import ENCODINGS, make_batches
from benchmarks.shipping.handlers import FORCED
from benchmarks.shipping.limit import push_back_to_back
from benchmarks.shipping.lines import make_lines
from benchmarks.shipping.measure import Task

_TIMEOUT_S = 300.0
# As a busy app.
RATE = 10_000
# What a job may leave to be sent at once: two and a half batches.
BURST = 10_000
BURST_SINK = f"loglane, sink.write, {BURST:,} lines"
FORCED_HANDLER = "loki-logger-handler 1.1.2, made to send at once"
QUEUE_BYTES = 64 * 1024 * 1024


class Peer(NamedTuple):
    """Who writes lines: `lines` at full speed, `paced` at an app's, with stdout leading there."""

    title: str
    name: str
    module: str = "benchmarks.shipping.worker"
    lines: int = 0
    paced: int = 20_000
    stdout: Literal["null", "pipe"] = "null"
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


def peers(lines: int) -> tuple[Peer, ...]:
    """Return everybody who is measured; `lines` are written by those who are fast."""
    handlers = "benchmarks.shipping.handlers"
    as_json = {"batch": {"encoding": "json"}}
    return (
        Peer("loglane, sink.write", "sink", lines=lines),
        Peer("loglane, sink.write, gzip JSON", "sink", lines=lines, paced=0, options=as_json),
        Peer("loglane without push, stdout to null", "stdout"),
        Peer("loglane, log call, push alone", "alone", lines=lines),
        Peer("loglane without push, stdout a pipe", "stdout", stdout="pipe"),
        Peer("loglane, log call, stdout to null", "push", lines=lines),
        Peer("loglane, log call, stdout a pipe", "push", lines=lines, stdout="pipe"),
        # It takes some milliseconds for each.
        Peer("python-logging-loki 0.3.1", "python-logging-loki", handlers, 1000, 1000),
        Peer(BURST_SINK, "sink", lines=BURST, paced=0),
        Peer("loki-logger-handler 1.1.2", "loki-logger-handler", handlers, BURST),
        Peer(
            FORCED_HANDLER, "loki-logger-handler", handlers, lines // 3, paced=0,
            options={FORCED: True},
        ),
    )  # fmt: skip


@dataclass
class Figures:
    """What was measured of one peer or limit, a value for each round.

    Attributes:
        rate: Confirmed lines a second.
        cpu_us: Microseconds of CPU a line in the app's process.
        call_ns: Nanoseconds of one call in a paced app, the median of its calls.
    """

    rate: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    call_ns: list[float] = field(default_factory=list)


class Runner:
    """Starts the processes and reads their figures.

    Args:
        loki: Where lines go.
        texts: File of ready-made lines.
        handlers_python: A Python that has the handlers of PyPI.
    """

    def __init__(self, loki: LokiProcess, texts: Path, handlers_python: Path | None) -> None:
        self._loki = loki
        self._texts = texts
        self._handlers_python = handlers_python

    def can_run(self, peer: Peer) -> bool:
        """Tell whether the peer is installed."""
        return self._python(peer) is not None

    def limit(self, encoding: str, lines: int, figures: Figures) -> None:
        """Push ready-made batches."""
        service = _service()
        batches = make_batches(make_lines(lines, service), service, ENCODINGS[encoding])
        figures.rate.append(lines / push_back_to_back(self._loki.url, batches, ENCODINGS[encoding]))
        self._require_stored(service, lines)

    def flat(self, peer: Peer, figures: Figures) -> None:
        """Let a peer write as fast as it can until Loki has all."""
        service = _service()
        found = self._run(peer, "flat", peer.lines, service)
        self._require_stored(service, peer.lines)
        figures.rate.append(peer.lines / found["seconds"])
        figures.cpu_us.append(found["cpu_s"] / peer.lines * 1e6)

    def paced(self, peer: Peer, figures: Figures) -> None:
        """Let a peer write like an app."""
        figures.call_ns.append(self._run(peer, "paced", peer.paced, _service())["median_ns"])

    def memory(self, lines: int) -> dict[str, float]:
        """Let an app log while Loki is down; the bound of the queue is `QUEUE_BYTES`."""
        # Only the bound in bytes is to hold it.
        queue = {"max_bytes": QUEUE_BYTES, "max_items": 10_000_000}
        options = {"queue": queue, "timeouts": {"drain_s": 1}}
        peer = Peer("", "push", options=options)
        return self._run(peer, "memory", lines, _service(), f"http://127.0.0.1:{free_ports(1)[0]}")

    def _python(self, peer: Peer) -> Path | None:
        own = peer.module.endswith("worker")
        return Path(sys.executable) if own else self._handlers_python

    def _run(
        self,
        peer: Peer,
        mode: Literal["flat", "paced", "memory"],
        lines: int,
        service: str,
        url: str | None = None,
    ) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "figures.json"
            where = url or self._loki.url
            task = Task(
                peer.name, mode, lines, RATE, where, service, str(self._texts), str(out),
                peer.options,
            )  # fmt: skip
            command = [str(self._python(peer)), "-m", peer.module, task.to_json()]
            said = _run_process(command, peer.stdout)
            if not out.exists():
                raise AssertionError(f"{peer.title} failed: {said[-2000:]}")
            found: dict[str, float] = json.loads(out.read_text())
            return found

    def _require_stored(self, service: str, lines: int) -> None:
        found = _stored(self._loki.url, service)
        if found != lines:
            raise AssertionError(f"Loki has {found} of {lines} lines of {service}")


def write_texts(file: Path, lines: int) -> None:
    """Write ready-made lines for the processes."""
    with file.open("wb") as out:
        for line in make_lines(lines, "shop"):
            out.write(line.level.encode() + b"\t" + line.text + b"\n")


def _service() -> str:
    return f"bench-{uuid.uuid4().hex[:8]}"


def _run_process(command: list[str], stdout: Literal["null", "pipe"]) -> str:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOGGING_", "LOGLANE_"))
    } | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "python")])}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE if stdout == "pipe" else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )
    # Somebody reads what is written, as Docker does.
    reader = threading.Thread(target=_read_away, args=(process,))
    reader.start()
    assert process.stderr is not None
    try:
        said = process.stderr.read().decode(errors="replace")
        process.wait(_TIMEOUT_S)
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()
    return said


def _read_away(process: subprocess.Popen[bytes]) -> None:
    if process.stdout is not None:
        with process.stdout:
            while os.read(process.stdout.fileno(), 1 << 16):
                pass


def _stored(url: str, service: str) -> int:
    """Count the entries of a service."""
    query = f'sum(count_over_time({{service="{service}"}} [1h]))'
    # Of a moment that no line is after.
    params = {"query": query, "time": str(time.time_ns() + 10**9)}
    answer = httpx2.get(f"{url}/loki/api/v1/query", params=params, trust_env=False, timeout=60.0)
    answer.raise_for_status()
    result = answer.json()["data"]["result"]
    return int(result[0]["value"][1]) if result else 0
