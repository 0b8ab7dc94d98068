"""The results as a table of at most 100 columns, or as plain data for JSON."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.log_call.cases import CASES
from benchmarks.log_call.goals import FLOOR, STRUCTLOG, Times, Verdict, ratio
from benchmarks.log_call.imports import ImportCosts

HEADINGS = {
    "loglane_defaults": ("loglane", "defaults"),
    "structlog_fast": ("structlog", "fast path"),
    "structlog_stdlib": ("structlog", "stdlib"),
    "json_logger": ("json-logger", "orjson"),
    "loguru_flat": ("loguru", "flat orjson"),
    "floor": ("floor", "orjson"),
}
LIBRARIES = ("loglane", "structlog", "python-json-logger", "loguru", "orjson")
BASES = {"of structlog": STRUCTLOG, "of floor": FLOOR}

_TITLE_WIDTH = 22
_CELL_WIDTH = 13


def machine() -> dict[str, Any]:
    """Return what the numbers depend on: machine, Python and the libraries' versions."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def machine_lines() -> str:
    """Return the machine and the versions in two lines."""
    of = machine()
    libraries = ", ".join(f"{name} {number}" for name, number in of["libraries"].items())
    return f"Python {of['python']}, {of['system']} {of['machine']}, {of['cpus']} CPUs\n{libraries}"


def table(times: Times, peers: Sequence[str]) -> str:
    """Return the cases as rows and the peers as columns."""
    lines = [
        _row("", [HEADINGS[peer][0] for peer in peers]),
        _row("microseconds a call", [HEADINGS[peer][1] for peer in peers]),
    ]
    for case in CASES:
        row = times[case.name]
        lines.append(_row(case.title, [f"{statistics.median(row[peer]):.2f}" for peer in peers]))
        for title, base in BASES.items():
            cells = [f"{ratio(row[peer], row[base]):.2f}x" for peer in peers]
            lines.append(_row(f"  {title}", cells))
    return "\n".join(lines)


def _row(title: str, cells: list[str]) -> str:
    return f"{title:<{_TITLE_WIDTH}}" + "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)


def imports_lines(costs: ImportCosts) -> str:
    """Return what the imports cost."""
    return (
        "import in a fresh interpreter, without rich (memory: the whole process)\n"
        f"  structlog {costs.structlog_ms:.1f} ms, {costs.structlog_mb:.1f} MB;"
        f" loglane {costs.loglane_ms:.1f} ms, {costs.loglane_mb:.1f} MB"
    )


def goals_lines(verdicts: Sequence[Verdict]) -> str:
    """Return a line for each goal."""
    return "\n".join(_goal(verdict) for verdict in verdicts)


def _goal(goal: Verdict) -> str:
    value = "not measured" if goal.value is None else f"{goal.value:.2f}{goal.unit}"
    limit = f"at most {goal.limit:g}{goal.unit}"
    if goal.allowed != goal.limit:
        limit += f" (noise: {goal.allowed:g}{goal.unit})"
    return f"{goal.title:<46}{value:>12}, {limit:<29}{'yes' if goal.met else 'NO'}"


def data(times: Times, costs: ImportCosts, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        "machine": machine(),
        "cases": {
            case: {
                peer: {"micros": statistics.median(taken), "rounds": list(taken)}
                | {name.replace(" ", "_"): ratio(taken, row[base]) for name, base in BASES.items()}
                for peer, taken in row.items()
            }
            for case, row in times.items()
        },
        "imports": asdict(costs),
        "goals": [asdict(verdict) | {"met": verdict.met} for verdict in verdicts],
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"
