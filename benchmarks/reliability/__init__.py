"""What the chain loses: numbered lines through a stack of its own, while things go wrong.

    python -m benchmarks.reliability [--collector alloy] [--lines 10000] [--rate 1000] [SCENARIO]

Needs Docker and the pinned images. Prints a table as Markdown; exits with 1 when a line is lost.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import yaml

from benchmarks.reliability.scenarios import Scenario, run_scenario, scenarios
from loglane.stack import engine, probe
from loglane.stack.loadprobe import Outcome
from loglane.stack.probeapp import Load
from loglane.stack.project import Project, open_project
from loglane.stack.scaffold import start_project

_START_S = 180.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: with which collector, how many lines, how fast, which scenarios."""

    collector: str = "promtail"
    lines: int = 10_000
    rate: int = 1000
    only: tuple[str, ...] = ()
    log_size: str = "256k"


def run(plan: Plan) -> dict[str, Any]:
    """Print one row for each scenario; tell whether every line of every one was found."""
    client = engine.connect()
    every = scenarios(log_size=plan.log_size)
    chosen = [item for item in every if not plan.only or item.name in plan.only]
    print(f"{plan.lines:,} lines at {plan.rate:,} a second through {plan.collector}", end="\n\n")
    print("| while | lines | lost | doubled | p50 | p95 | p99 | max |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    rows = []
    with _stack(client, plan.collector) as project:
        for scenario in chosen:
            load = Load(plan.lines, plan.rate, timeout_s=180.0)
            print(f"running: {scenario.title}", file=sys.stderr)
            outcome = run_scenario(client, project.spec, scenario, load)
            print(_row(scenario, outcome), flush=True)
            rows.append({"scenario": scenario.name, **outcome.as_dict()})
    print("\nLatencies in seconds, from Docker's timestamp to the query that has the line.")
    return {"ok": all(row["lost"] == 0 for row in rows), "scenarios": rows}


def _row(scenario: Scenario, outcome: Outcome) -> str:
    taken = outcome.latency
    times = (taken.p50, taken.p95, taken.p99, taken.max) if taken else ()
    cells = [scenario.title, f"{outcome.written:,}", str(outcome.lost), str(outcome.doubled)]
    return "| " + " | ".join([*cells, *(f"{seconds:.2f}" for seconds in times)]) + " |"


@contextlib.contextmanager
def _stack(client: docker.DockerClient, collector: str) -> Iterator[Project]:
    """Start Loki and a collector as a fresh project renders them, on free ports."""
    with tempfile.TemporaryDirectory(prefix="loglane-") as folder:
        name = f"loglane-bench-{uuid.uuid4().hex[:8]}"
        start_project(Path(folder), name)
        overlay = Path(folder) / "stack" / "environments" / "dev.yaml"
        keys = yaml.safe_load(overlay.read_text())
        ports = dict(zip(("loki", "grafana", "promtail", "alloy"), _free_ports(4), strict=True))
        keys |= {"collector": collector, "ports": ports, "apps": {"label": f"collect={name}"}}
        overlay.write_text(yaml.safe_dump(keys))
        project = open_project("dev", Path(folder) / "stack" / "stack.yaml")
        project.write()
        try:
            engine.compose(project.compose_file, ["up", "--detach", "--quiet-pull", collector])
            probe.wait_until(lambda: _healthy(client, project), _START_S, f"{collector} is healthy")
            yield project
        finally:
            engine.compose(project.compose_file, ["down", "--volumes"])


def _healthy(client: docker.DockerClient, project: Project) -> bool:
    found = engine.containers(client, project.spec.project)
    return {item.service for item in found if item.health == "healthy"} >= {
        "loki",
        project.spec.collector,
    }


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for item in held:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in held]
    finally:
        for item in held:
            item.close()
