"""What the rendered pipeline costs a collector: lines a second and CPU, beside smaller pipelines.

The same file of loglane's lines is read by the same program and pushed to a server that takes
everything and keeps nothing, so that neither Docker nor Loki sets the pace. The peers, interleaved:

- `labels`: one stage with a static label, the smallest pipeline there is;
- `level`: reads the level of a line, the one label of the contract that only the line knows.
"""

from __future__ import annotations

import copy
import http.server
import json
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from loglane.stack.render import render
from loglane.stack.spec import StackSpec

ROOT = Path(__file__).resolve().parent.parent
LINES = 200_000
ROUNDS = 3
GOAL = 0.8
PEERS = ("rendered", "labels", "level")
_TIMEOUT_S = 120.0
_SENT = {"promtail": "promtail_sent_entries_total", "alloy": "loki_write_sent_entries_total"}
_CPU = "process_cpu_seconds_total"
_LABELS = [{"static_labels": {"env": "dev"}}]
_LEVEL = [{"json": {"expressions": {"level": "level"}}}, {"labels": {"level": "level"}}]
_ALLOY = {
    "labels": 'stage.static_labels {\n values = {"env" = "dev"}\n }',
    "level": 'stage.json {\n expressions = {"level" = "level"}\n }\n'
    'stage.labels {\n values = {"level" = "level"}\n }',
}


@dataclass(frozen=True)
class Cost:
    """What one run took: lines a second, and microseconds of CPU a line."""

    lines_per_s: float
    cpu_us: float


@dataclass
class Sink:
    """A server of Loki's push API that keeps nothing but the times of the requests."""

    port: int = 0
    times: list[float] = field(default_factory=list)


def run() -> dict[str, Any]:
    """Print a table for each collector that is on this machine.

    Returns:
        The medians by collector and pipeline; `ok` is false when a goal is missed.
    """
    results: dict[str, Any] = {"ok": True, "lines": LINES, "rounds": ROUNDS}
    for collector in _SENT:
        binary = shutil.which(collector)
        if binary is None:
            print(f"collector, {collector}: skipped, there is no `{collector}` on PATH")
            continue
        with tempfile.TemporaryDirectory(prefix="loglane-bench-") as folder:
            costs = _rounds(binary, collector, Path(folder))
        results[collector] = costs
        results["ok"] &= _report(collector, costs)
    return results


def _rounds(binary: str, collector: str, folder: Path) -> dict[str, dict[str, float]]:
    source = folder / "logs" / "lines.log"
    source.parent.mkdir()
    _write_lines(source)
    found: dict[str, list[Cost]] = {peer: [] for peer in PEERS}
    for _ in range(ROUNDS):
        for peer in PEERS:
            with _sink() as sink:
                found[peer].append(_measure(binary, collector, peer, folder, sink))
    return {
        peer: {
            "lines_per_s": statistics.median(cost.lines_per_s for cost in costs),
            "cpu_us": statistics.median(cost.cpu_us for cost in costs),
        }
        for peer, costs in found.items()
    }


def _report(collector: str, costs: dict[str, dict[str, float]]) -> bool:
    ours = costs["rendered"]
    print(f"collector, {collector}, {LINES} lines, median of {ROUNDS}:")
    for peer, cost in costs.items():
        print(
            f"  {peer:9} {cost['lines_per_s']:8.0f} lines/s  {cost['cpu_us']:6.1f} us CPU a line"
            f"  rendered is {ours['lines_per_s'] / cost['lines_per_s']:.2f}x in lines/s, "
            f"{cost['cpu_us'] / ours['cpu_us']:.2f}x in CPU"
        )
    ok = ours["lines_per_s"] >= GOAL * costs["labels"]["lines_per_s"]
    print(f"  to reach {GOAL:g}x of labels: {'yes' if ok else 'NO'}")
    return ok


def _write_lines(path: Path) -> None:
    levels = ("info", "warning", "error")
    with path.open("w") as file:
        for number in range(LINES):
            line = {
                "timestamp": f"2026-11-22T00:00:00.{number:06d}Z", "level": levels[number % 3],
                "message": f"order {number} was placed", "logger": "shop.orders",
                "service": "shop", "env": "dev", "trace_id": f"{number:032x}",
                "span_id": f"{number:016x}", "request_id": f"req-{number}",
                "log_category": "orders", "amount": number / 100, "items": 3, "currency": "EUR",
            }  # fmt: skip
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


@contextmanager
def _sink() -> Iterator[Sink]:
    sink = Sink()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.send_header("Content-Length", "0")
            self.end_headers()
            sink.times.append(time.perf_counter())

        def log_message(self, *arguments: Any) -> None:
            """Stay quiet: the table is the output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _measure(binary: str, collector: str, peer: str, folder: Path, sink: Sink) -> Cost:
    with tempfile.TemporaryDirectory(dir=folder) as run_folder:
        state = Path(run_folder)
        port = _free_port()
        make = _promtail if collector == "promtail" else _alloy
        command = [binary, *make(peer, folder / "logs", state, sink.port, port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            cpu_s = _wait_for_all(collector, port, process)
        finally:
            process.terminate()
            process.wait()
    took = sink.times[-1] - sink.times[0]
    return Cost(LINES / took, cpu_s / LINES * 1e6)


def _wait_for_all(collector: str, port: int, process: subprocess.Popen[bytes]) -> float:
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, ConnectionError):
            continue
        if _value(text, _SENT[collector]) >= LINES:
            return _value(text, _CPU)
    raise SystemExit(f"{collector} did not send {LINES} lines in {_TIMEOUT_S:g} s")


def _value(metrics: str, name: str) -> float:
    return sum(float(found) for found in re.findall(rf"(?m)^{name}(?:{{.*}})? (\S+)$", metrics))


def _free_port() -> int:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        return int(server.server_address[1])


def _rendered(collector: str, logs: Path) -> str:
    # The rendered job of host files: its pipeline is that of the containers, without Docker.
    sources = {"files": ({"path": "/logs/lines.log", "service": "shop"},)}
    spec = StackSpec.model_validate({"env": "dev", "collector": collector, "sources": sources})
    name = "promtail.yaml" if collector == "promtail" else "config.alloy"
    text = render(spec, ROOT / "templates")[f"stack/rendered/{collector}/{name}"]
    return text.replace("/host/logs/", f"{logs}/")


def _promtail(peer: str, logs: Path, state: Path, sink: int, port: int) -> list[str]:
    config = copy.deepcopy(yaml.safe_load(_rendered("promtail", logs)))
    config["server"] |= {"http_listen_port": port, "http_listen_address": "127.0.0.1"}
    config["positions"]["filename"] = str(state / "positions.yaml")
    config["clients"][0]["url"] = f"http://127.0.0.1:{sink}/loki/api/v1/push"
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == "files"]
    if peer != "rendered":
        job["pipeline_stages"] = _LABELS if peer == "labels" else _LEVEL
    config["scrape_configs"] = [job]
    file = state / "promtail.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    return [f"-config.file={file}"]


def _alloy(peer: str, logs: Path, state: Path, sink: int, port: int) -> list[str]:
    blocks = re.findall(r"(?ms)^[a-z][^\n]*\{\n.*?^\}\n", _rendered("alloy", logs))
    wanted = ("logging", "loki.write", 'local.file_match "files"', 'loki.source.file "files"')
    text = "\n".join(block for block in blocks if block.startswith(wanted))
    stages = next(block for block in blocks if block.startswith('loki.process "files"'))
    if peer != "rendered":
        receiver = "forward_to = [loki.write.loki.receiver]"
        stages = f'loki.process "files" {{\n{receiver}\n{_ALLOY[peer]}\n}}\n'
    text = re.sub(r"(?m)^  legacy_positions_file.*$", "", text + "\n" + stages)
    text = text.replace("http://loki:3100", f"http://127.0.0.1:{sink}")
    file = state / "config.alloy"
    file.write_text(text)
    return [
        "run", f"--server.http.listen-addr=127.0.0.1:{port}", f"--storage.path={state}/data",
        "--disable-reporting", str(file),
    ]  # fmt: skip
