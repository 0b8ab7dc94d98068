"""How long rendering takes, as a whole process: every golden tree, and a spec that grows.

The peer is a process that imports what rendering imports and does nothing: the floor of any
command line in Python with these libraries.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
RUNS = 9
LIMIT_S = 2.0

RENDER = [sys.executable, str(ROOT / "tests" / "golden" / "regenerate.py")]
FLOOR = [sys.executable, "-c", "import jinja2, yaml, pydantic"]

# A company's stack: so many services, and a tenant for every four of them.
APPS = (25, 50, 100, 200)
APPS_A_TENANT = 4
GROWING_LIMIT_S = 2.0
# Four times the apps may take at most so many times as long: linear, and room for noise.
GROWTH_LIMIT = 4.4


def run() -> bool:
    """Print the median times and their ratios; tell whether every goal is met."""
    return all([_environments(), _growing()])


def _environments() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        # Interleaved, so that a slow minute of the machine hits both.
        pairs = [
            (_seconds([*RENDER, f"{folder}/{number}"]), _seconds(FLOOR)) for number in range(RUNS)
        ]
    render_s, floor_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    ok = render_s < LIMIT_S
    print(
        f"render, every environment and variant, whole process: {render_s:.3f} s "
        f"({render_s / floor_s:.2f}x of importing jinja2, yaml and pydantic: {floor_s:.3f} s), "
        f"median of {RUNS}, to stay under {LIMIT_S:g} s: {'yes' if ok else 'NO'}"
    )
    return ok


def _growing() -> bool:
    with tempfile.TemporaryDirectory() as name:
        commands = {count: _command(Path(name) / str(count), count) for count in APPS}
        rounds = [
            {count: _seconds(command) for count, command in commands.items()} for _ in range(RUNS)
        ]
    median_s = {count: statistics.median(row[count] for row in rounds) for count in APPS}
    growth = median_s[APPS[-1]] / median_s[APPS[-3]]
    ok = median_s[APPS[-1]] < GROWING_LIMIT_S and growth < GROWTH_LIMIT
    for count, took_s in median_s.items():
        print(
            f"render, {count} apps and {count // APPS_A_TENANT} tenants, whole process: "
            f"{took_s:.3f} s ({took_s / median_s[APPS[0]]:.2f}x of {APPS[0]} apps)"
        )
    print(
        f"{APPS[-1]} apps take {growth:.2f}x of {APPS[-3]}, to stay under {GROWTH_LIMIT:g}x and "
        f"{GROWING_LIMIT_S:g} s: {'yes' if ok else 'NO'}"
    )
    return ok


def _command(folder: Path, apps: int) -> list[str]:
    """Write a project with so many apps, and return what renders it."""
    stack = folder / "stack"
    (stack / "environments").mkdir(parents=True)
    (folder / "templates").symlink_to(ROOT / "templates")
    (stack / "environments" / "dev.yaml").write_text("env: dev\n")
    (stack / "stack.yaml").write_text(yaml.safe_dump(big_spec(apps)))
    return [
        sys.executable, "-m", "loglane", "render",
        "--spec", str(stack / "stack.yaml"), "--out", str(folder / "out"), "--json",
    ]  # fmt: skip


def big_spec(apps: int) -> dict[str, Any]:
    """Return a spec with so many services of every format, and a tenant for every four."""
    formats = ("loglane", "json", "logfmt", "nginx", "apache", "postgresql", "python", "plain")
    names = [f"app-{number}" for number in range(apps)]
    services = {
        name: {
            "format": formats[number % len(formats)],
            "drop": [f"GET /health/{number}"],
            "rate_limit": {"lines_per_second": 500, "burst": 1000},
            "labels": {"team": f"team-{number // APPS_A_TENANT}"},
        }
        for number, name in enumerate(names)
    }
    tenants = {
        f"team-{number}": {
            "services": names[number * APPS_A_TENANT : (number + 1) * APPS_A_TENANT],
            "limits": {"ingestion_rate_mb": 4, "ingestion_burst_size_mb": 8},
            "retention": {
                "default": "14d",
                "streams": [{"selector": '{level="debug"}', "period": "2d"}],
            },
        }
        for number in range(apps // APPS_A_TENANT)
    }
    return {"project": "big", "services": services, "tenants": tenants, "metrics": True}


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
