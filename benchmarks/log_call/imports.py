"""What `import loglane` costs over `import structlog`, each in fresh interpreters.

Both are imported as in a plain `pip install loglane`, which has no rich: structlog imports rich
where it finds it, and beside that anything of ours would look cheap.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from benchmarks.log_call.rounds import environment

RUNS = 15

# Memory is what the process holds afterwards: peak memory is inherited from the parent on Linux
# (getrusage(2), ru_maxrss survives exec), so it serves only where there is no /proc.
_PROBE = """
import sys, time
sys.modules["rich"] = None
began = time.perf_counter_ns()
import {module}
took = time.perf_counter_ns() - began
try:
    import os
    with open("/proc/self/statm") as statm:
        held = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
except OSError:
    import resource
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held *= 1 if sys.platform == "darwin" else 1024
print("[%d, %d]" % (took, held))
"""


@dataclass(frozen=True)
class ImportCosts:
    """Medians over the runs; megabytes are of the whole process."""

    structlog_ms: float
    structlog_mb: float
    loglane_ms: float
    loglane_mb: float
    # Medians of each pair's own difference: a slow moment of the machine hits both of a pair.
    over_ms: float
    over_mb: float


def measure() -> ImportCosts:
    """Import each module in turn, in fresh interpreters."""
    _once("structlog")  # The first one may have to compile.
    _once("loglane")
    pairs = [(*_once("structlog"), *_once("loglane")) for _ in range(RUNS)]
    rows = [(*pair, pair[2] - pair[0], pair[3] - pair[1]) for pair in pairs]
    return ImportCosts(*(statistics.median(column) for column in zip(*rows, strict=True)))


def _once(module: str) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.format(module=module)],
        check=True,
        capture_output=True,
        cwd=tempfile.gettempdir(),
        env=environment(),
    )
    nanos, held = json.loads(done.stdout)
    return nanos / 1e6, held / 1e6
