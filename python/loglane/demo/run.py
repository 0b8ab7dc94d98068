"""Run the demo and say whether every line was found again exactly once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx2

from loglane.audit import SyncAuditLog
from loglane.demo.collector import Collector
from loglane.demo.report import Report
from loglane.demo.traffic import drive, wait_for_app
from loglane.devserver import running
from loglane.errors import CheckFailed, LoglaneError
from loglane.query import LokiClient
from loglane.resources import packaged

SERVICE = "shop"
ENV = "dev"
EVERYTHING = f'{{service="{SERVICE}"}}'
_STOP_TIMEOUT_S = 10


def run_demo(show_lines: bool = False, loki: str | None = None) -> None:
    """Run app and server, ship, query, print.

    Args:
        show_lines: Also print every line shipped.
        loki: URL of a running Loki; by default an embedded server is started.

    Raises:
        CheckFailed: A line that the app wrote was not found exactly once, or an audit record has no
            line.
    """
    report = Report()
    began_ns = time.time_ns()
    server = running() if loki is None else nullcontext(loki)
    folder = tempfile.TemporaryDirectory(prefix="loglane-demo-")
    with server as url, LokiClient(url) as client, folder as name:
        kind = "embedded Loki-compatible server" if loki is None else "Loki"
        report.title(f"{kind} on {url}")
        collector = Collector(client, SERVICE, ENV)
        try:
            with _app(collector, Path(name)) as (address, process):
                report.title(f"example FastAPI app under uvicorn on {address}")
                with httpx2.Client(base_url=address, timeout=10, trust_env=False) as http:
                    wait_for_app(http, lambda: process.poll() is not None)
                    statuses, trace_id = drive(http)
                report.statuses(statuses)
        except LoglaneError:
            report.lines(line.text for line in collector.lines)
            raise
        window = began_ns, time.time_ns() + 1
        if show_lines:
            report.lines(line.text for line in collector.lines)
        report.queries(client, window, trace_id)
        with SyncAuditLog(f"sqlite:///{name}/shop.db") as audit:
            records = audit.query(limit=1000).events
        report.records(records)
        found = Counter((e.timestamp_ns, e.line) for e in client.iter_range(EVERYTHING, *window))
    written = Counter((line.timestamp_ns, line.text) for line in collector.lines)
    missing = (written - found).total() if written else 1
    doubled = (found - written).total()
    told = {fields.get("event_id") for fields in map(_fields, found)}
    untold = [record.event_id for record in records if record.event_id not in told]
    report.verdict(written.total(), missing, doubled, len(records), len(untold))
    if missing or doubled:
        raise CheckFailed(f"{missing} lines are missing and {doubled} are too many")
    if untold or not records:
        raise CheckFailed(f"of {len(records)} audit records {len(untold)} have no line")


def _fields(found: tuple[int, str]) -> dict[str, Any]:
    try:
        fields = json.loads(found[1])
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


@contextmanager
def _app(collector: Collector, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    port = _free_port()
    arguments = ["--app-dir", str(packaged("examples") / "shop"), "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and app
        [sys.executable, "-m", "uvicorn", "app:app", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Its database, and the outbox of its audit records.
        cwd=folder,
        env={
            **os.environ,
            "LOGGING_MODE": "container",
            "LOGLANE_STATIC__ENV": ENV,
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    assert process.stderr is not None  # noqa: S101
    with process:
        collector.attach(process.stdout, process.stderr)
        try:
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            # The app has closed its streams, so this ends, also when the block above failed.
            collector.finish()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
