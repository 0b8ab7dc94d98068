"""What the rendered pipeline costs a collector: lines a second and CPU, beside smaller pipelines.

The same lines of loglane's are read by the same program and pushed to a server that takes
everything and keeps nothing, so that Loki does not set the pace. Two sources: `docker`, as in a
rendered stack, from the log of a container that has written them; and `file`, where reading costs
least and so the pipeline weighs most. The peers, interleaved:

- `contract`: the smallest pipeline that stores the contract: the JSON is read, labels and ids are
  set, and nothing is dropped, matched or made equal;
- `labels`: one stage with a static label, after the same rules of discovery;
- `bare`: the same without any rule (of Docker only; a file has none), the smallest there is;
- `level`: reads the level of a line, the one label of the contract that only the line knows.
"""

from __future__ import annotations

import http.server
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.collector_source import Config, Source, docker_source, file_source
from loglane.errors import EnvironmentMissing

LINES = 200_000
ROUNDS = 3
GOAL = 0.8
SOURCES = ("docker", "file")
COLLECTORS = ("promtail", "alloy")
_OPENERS = {"docker": docker_source, "file": file_source}
_TIMEOUT_S = 120.0
# The answer costs a collector some CPU itself.
_SAMPLE_S = 0.4
_SENT = {"promtail": "promtail_sent_entries_total", "alloy": "loki_write_sent_entries_total"}
_CPU = "process_cpu_seconds_total"


class Cost(NamedTuple):
    """What one run took: lines a second, and microseconds of CPU a line."""

    lines_per_s: float
    cpu_us: float


class Sample(NamedTuple):
    """What a collector has sent and used at one moment."""

    at_s: float
    sent: float
    cpu_s: float


def run(sources: tuple[str, ...] = SOURCES) -> dict[str, Any]:
    """Print a table for each source and each collector that is on this machine.

    Returns:
        The medians by source, collector and pipeline; `ok` is false when a goal is missed.
    """
    results: dict[str, Any] = {"ok": True, "lines": LINES, "rounds": ROUNDS}
    found = {name: shutil.which(name) for name in COLLECTORS}
    for name in sources:
        try:
            with _OPENERS[name](LINES) as source:
                costs = _costs(source, found)
        except EnvironmentMissing as error:
            print(f"collector, source {name}: skipped. {error}")
            continue
        results[name] = costs
        for collector, peers in costs.items():
            results["ok"] &= _report(f"{collector} from {name}", peers)
    return results


def _costs(source: Source, binaries: dict[str, str | None]) -> dict[str, dict[str, Cost]]:
    costs = {}
    for collector, binary in binaries.items():
        if binary is None:
            print(f"collector, {collector}: skipped, there is no `{collector}` on PATH")
            continue
        costs[collector] = _rounds(binary, source.config(collector), source.peers)
    return costs


def _rounds(binary: str, config: Config, peers: tuple[str, ...]) -> dict[str, Cost]:
    found: dict[str, list[Cost]] = {peer: [] for peer in peers}
    for _ in range(ROUNDS):
        for peer in peers:
            with _sink() as port:
                found[peer].append(_measure(binary, config, peer, port))
    return {
        peer: Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))
        for peer, costs in found.items()
    }


def _report(title: str, costs: dict[str, Cost]) -> bool:
    ours = costs["rendered"]
    print(f"{title}, {LINES} lines, median of {ROUNDS}:")
    for peer, cost in costs.items():
        print(
            f"  {peer:9} {cost.lines_per_s:8.0f} lines/s  {cost.cpu_us:6.1f} us CPU a line"
            f"  rendered is {ours.lines_per_s / cost.lines_per_s:.2f}x in lines/s, "
            f"{cost.cpu_us / ours.cpu_us:.2f}x in CPU"
        )
    reached = {}
    for peer in ("contract", "labels"):
        fast = ours.lines_per_s >= GOAL * costs[peer].lines_per_s
        cheap = costs[peer].cpu_us >= GOAL * ours.cpu_us
        print(f"  {GOAL:g}x of {peer}: lines/s {_word(fast)}, CPU {_word(cheap)}")
        reached[peer] = fast and cheap
    # Who stores no field of a line does another job: said above, and no reason to fail.
    return reached["contract"]


def _word(reached: bool) -> str:
    return "yes" if reached else "NO"


@contextmanager
def _sink() -> Iterator[int]:
    """Serve Loki's push API on a port, and keep nothing."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Stay quiet: the table is the output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _measure(binary: str, config: Config, peer: str, sink: int) -> Cost:
    with tempfile.TemporaryDirectory(prefix="loglane-bench-") as name:
        state = Path(name)
        port = _free_port()
        command = [binary, *config.arguments(peer, state, sink, port)]
        log = state / "log"
        with log.open("w") as output:
            environment = os.environ | config.environment
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            first, last = _first_and_last(config.collector, port, process, log)
        finally:
            process.terminate()
            process.wait()
    # The start of the program is left out: it is the same for every pipeline.
    sent = last.sent - first.sent
    return Cost(sent / (last.at_s - first.at_s), (last.cpu_s - first.cpu_s) / sent * 1e6)


def _first_and_last(
    collector: str, port: int, process: subprocess.Popen[bytes], log: Path
) -> tuple[Sample, Sample]:
    """Take the first moment with lines and the last before the end, however late that is seen."""
    found: list[Sample] = []
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(_SAMPLE_S)
        sample = _sample(collector, port)
        if sample is None or sample.sent == 0:
            continue
        if sample.sent >= LINES and len(found) > 1:
            return found[0], found[-1]
        found.append(sample)
    said = log.read_text()[-2000:]
    raise SystemExit(f"{collector} did not send {LINES} lines in {_TIMEOUT_S:g} s. {said}")


def _sample(collector: str, port: int) -> Sample | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return None
    return Sample(time.perf_counter(), _value(text, _SENT[collector]), _value(text, _CPU))


def _value(metrics: str, name: str) -> float:
    return sum(float(found) for found in re.findall(rf"(?m)^{name}(?:{{.*}})? (\S+)$", metrics))


def _free_port() -> int:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        return int(server.server_address[1])
