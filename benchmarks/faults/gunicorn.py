"""A web app under gunicorn, with several workers that share one WAL."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from benchmarks.faults.bench import Bench, dropped, environment, poll
from benchmarks.faults.plan import Plan
from benchmarks.loki_process import ROOT, free_ports

NAME = "web"
WORKERS = 4
_LINES_A_REQUEST = 100
_TIMEOUT_S = 60.0


@contextlib.contextmanager
def running_gunicorn(bench: Bench, loki: dict[str, Any], preload: bool) -> Iterator[str]:
    """Run the app with four workers; SIGTERM ends it, and it is waited for."""
    plan = Plan(NAME, str(bench.folder), loki=loki)
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "gunicorn", "benchmarks.faults.webapp:app"]
    command += ["--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}"]
    command += ["--graceful-timeout", "30", *(["--preload"] if preload else [])]
    with (bench.folder / "gunicorn.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=ROOT,
            env={**environment(), "FAULTS_PLAN": plan.to_json()},
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}/"
    try:
        poll(lambda: _answers(url), "gunicorn", _TIMEOUT_S)
        yield url
        process.terminate()
        process.wait(_TIMEOUT_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answered_lines(url: str, lines: int) -> int:
    """Have the workers write numbered lines; return how many, from 0."""

    def ask(first: int) -> None:
        params = {"first": first, "count": min(_LINES_A_REQUEST, lines - first)}
        client.get(url, params=params).raise_for_status()

    with (
        httpx2.Client(trust_env=False, timeout=_TIMEOUT_S) as client,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        list(pool.map(ask, range(0, lines, _LINES_A_REQUEST)))
    return lines


def workers_said(bench: Bench) -> tuple[int, int]:
    """Return how many lines the workers said they dropped, and how many workers there were."""
    reports = [json.loads(file.read_bytes()) for file in bench.folder.glob(f"{NAME}-*.worker.json")]
    served = [report for report in reports if report["served"]]
    return sum(dropped(report) for report in reports), len(served)


def _answers(url: str) -> bool:
    try:
        params = {"first": 0, "count": 0}
        return httpx2.get(url, params=params, trust_env=False, timeout=5.0).status_code == 200
    except httpx2.TransportError:
        return False
