"""What it takes to read 100,000 entries out of a real Loki: `iter_logs` beside `logcli`.

Both ask the same Loki for the same entries, one after the other in each round, and write the lines
to a file that keeps nothing. `logcli` reads pages of 1000 by default; it is measured with that and
with the 5000 that `iter_logs` asks for, and the faster of the two is the goal.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.loki_process import running_loki
from loglane.errors import EnvironmentMissing
from loglane.query import LogService, LokiClient, Stream

ENTRIES = 100_000
ROUNDS = 5
GOAL = 1.5
_AT_ONCE = 5000
_LINES_A_TRACE = 5
_SELECTOR = '{service=~".+"}'
_LEVELS = ("debug", "info", "info", "info", "info", "warning", "error")
_SERVICES = ("api", "worker")


def run() -> dict[str, Any]:
    """Print the times and the ratio; skip, and be content, when a program is missing."""
    try:
        if shutil.which("logcli") is None:
            raise EnvironmentMissing(
                "there is no `logcli` on PATH; its releases are at "
                "https://github.com/grafana/loki/releases"
            )
        with (
            tempfile.TemporaryDirectory(prefix="loglane-bench-") as name,
            running_loki(Path(name)) as loki,
        ):
            end_ns = time.time_ns()
            start_ns = end_ns - ENTRIES * 10**6
            _fill(loki.url, start_ns)
            times = _rounds(loki.url, start_ns, end_ns)
    except EnvironmentMissing as error:
        print(f"reading: skipped. {error}")
        return {"ok": True, "skipped": str(error)}
    return _report(times)


def _version() -> str:
    """Return what `loki -version` says first."""
    said = subprocess.run(["loki", "-version"], capture_output=True, text=True, check=True).stdout
    return said.partition("(")[0].strip()


def _report(times: dict[str, list[float]]) -> dict[str, Any]:
    medians = {peer: statistics.median(taken) for peer, taken in times.items()}
    ours = medians["iter_logs"]
    fastest = min(taken for peer, taken in medians.items() if peer.startswith("logcli"))
    ok = ours <= GOAL * fastest
    print(f"{_version()}, {ENTRIES:,} entries, median of {ROUNDS}:")
    for peer, taken in medians.items():
        print(
            f"  {peer:18} {taken:6.2f} s  {ENTRIES / taken:8,.0f} entries/s  "
            f"iter_logs takes {ours / taken:.2f}x of it"
        )
    print(f"  at most {GOAL:g}x of the faster logcli: {'yes' if ok else 'NO'}")
    return {"ok": ok, "entries": ENTRIES, "rounds": ROUNDS, "seconds": medians}


def _rounds(url: str, start_ns: int, end_ns: int) -> dict[str, list[float]]:
    peers: dict[str, Callable[[], int]] = {
        "iter_logs": lambda: _iter_logs(url, start_ns, end_ns),
        "logcli, batch 1000": lambda: _logcli(url, start_ns, end_ns, 1000),
        "logcli, batch 5000": lambda: _logcli(url, start_ns, end_ns, 5000),
    }
    times: dict[str, list[float]] = {peer: [] for peer in peers}
    for number in range(ROUNDS + 1):
        for peer, read in peers.items():
            began = time.perf_counter()
            count = read()
            taken = time.perf_counter() - began
            if count != ENTRIES:
                raise SystemExit(f"{peer} read {count} of {ENTRIES} entries")
            # The first round warms Loki up.
            if number:
                times[peer].append(taken)
    return times


def _iter_logs(url: str, start_ns: int, end_ns: int) -> int:
    count = 0
    with LogService(url) as service, Path(os.devnull).open("w") as out:
        for entry in service.iter_logs(start_time=start_ns, end_time=end_ns):
            out.write(entry.raw)
            out.write("\n")
            count += 1
    return count


def _logcli(url: str, start_ns: int, end_ns: int, batch: int) -> int:
    command = [
        "logcli", "query", f"--addr={url}", f"--from={_rfc3339(start_ns)}",
        f"--to={_rfc3339(end_ns)}", f"--limit={ENTRIES}", f"--batch={batch}", "--forward",
        "--output=raw", "--quiet", _SELECTOR,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        count = 0
        while block := process.stdout.read(1 << 20):
            count += block.count(b"\n")
    return count


def _rfc3339(at_ns: int) -> str:
    shown = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ns // 10**9))
    return f"{shown}.{at_ns % 10**9:09d}Z"


def _fill(url: str, start_ns: int) -> None:
    with LokiClient(url, timeout_s=60) as client:
        for first in range(0, ENTRIES, _AT_ONCE):
            streams: dict[tuple[str, str], list[tuple[int, str, dict[str, str]]]] = {}
            for number in range(first, first + _AT_ONCE):
                trace = number // _LINES_A_TRACE
                service = _SERVICES[trace % len(_SERVICES)]
                level = _LEVELS[number % len(_LEVELS)]
                entry = _entry(start_ns + number * 10**6, number, service, level)
                streams.setdefault((service, level), []).append(entry)
            client.push(
                Stream({"service": service, "env": "dev", "level": level}, entries)
                for (service, level), entries in streams.items()
            )


def _entry(at_ns: int, number: int, service: str, level: str) -> tuple[int, str, dict[str, str]]:
    trace_id = f"{number // _LINES_A_TRACE:032x}"
    record = {
        "timestamp": _rfc3339(at_ns), "level": level, "message": f"order {number} accepted",
        "logger": "shop.orders", "service": service, "env": "dev", "trace_id": trace_id,
        "portfolio_id": f"p-{number % 50}", "amount": number % 1000 / 10,
    }  # fmt: skip
    return at_ns, json.dumps(record), {"trace_id": trace_id}
