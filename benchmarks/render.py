"""How long it takes to render all three environments, as a whole process.

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

ROOT = Path(__file__).resolve().parent.parent
RUNS = 9
LIMIT_S = 1.0

RENDER = [sys.executable, str(ROOT / "tests" / "golden" / "regenerate.py")]
FLOOR = [sys.executable, "-c", "import jinja2, yaml, pydantic"]


def run() -> bool:
    """Print the median times and their ratio; tell whether rendering stays under one second."""
    with tempfile.TemporaryDirectory() as folder:
        # Interleaved, so that a slow minute of the machine hits both.
        pairs = [
            (_seconds([*RENDER, f"{folder}/{number}"]), _seconds(FLOOR)) for number in range(RUNS)
        ]
    render_s, floor_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    ok = render_s < LIMIT_S
    print(
        f"render, 3 environments, whole process: {render_s:.3f} s "
        f"({render_s / floor_s:.2f}x of importing jinja2, yaml and pydantic: {floor_s:.3f} s), "
        f"median of {RUNS}, to stay under {LIMIT_S:g} s: {'yes' if ok else 'NO'}"
    )
    return ok


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
