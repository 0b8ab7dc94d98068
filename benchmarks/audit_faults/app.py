"""An app that writes numbered, marked lines: `python -m benchmarks.audit_faults.app PLAN`.

Nothing here knows what goes wrong around it. Its stdout goes nowhere; it reports to files.
"""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

import loglane
from benchmarks.audit_faults.plan import Plan, event_id
from benchmarks.faults.plan import Counts
from loglane.audit import AuditWorker, audit_stats

_log = loglane.get_logger("faults")
_POLL_S = 0.02
_TICKS_PER_SECOND = 100


def run(plan: Plan) -> None:
    """Write the lines, wait as the plan says, and report."""
    loglane.configure(
        mode="container", service="audit-faults", env="dev", flow_control={"enabled": False},
        # A failure of this app is for whoever runs the case: on stderr.
        capture={"exceptions": False},
        audit={"enabled": True, **plan.audit},
    )  # fmt: skip
    with AuditWorker():
        size = _peak_bytes()
        began = time.monotonic()
        for number in _paced(plan):
            if plan.warm_up and number == plan.warm_up:
                _settle(plan)
                size = _peak_bytes()
            _log.info(
                "role_changed", resource=f"{plan.name}:{number}", user_id=number, role="admin",
                event_id=event_id(plan.name, number), persist_db=True,
            )  # fmt: skip
        seconds = time.monotonic() - began
        _settle(plan)
        stats = audit_stats()
    report = {"seconds": seconds, "grown_bytes": _peak_bytes() - size, "stats": stats}
    plan.report_file.write_bytes(orjson.dumps(report))


def _paced(plan: Plan) -> Iterator[int]:
    """Yield the numbers at the plan's rate, and count the calls between them."""
    counts = Counts(plan.counts_file)
    began, pause = time.monotonic(), max(plan.rate // _TICKS_PER_SECOND, 1)
    for number in range(plan.lines):
        if plan.rate and number % pause == 0:
            time.sleep(max(began + number / plan.rate - time.monotonic(), 0))
        counts.write(number + 1, number)
        yield number
        counts.write(number + 1, number + 1)


def _settle(plan: Plan) -> None:
    deadline = time.monotonic() + plan.settle_s
    while time.monotonic() < deadline and _is_busy():
        time.sleep(_POLL_S)


def _is_busy() -> bool:
    """Tell whether records wait in memory or in the outbox."""
    stats = audit_stats()
    return any(stats.get(name) for name in ("queued", "in_hand", "outbox"))


def _peak_bytes() -> int:
    """Return how large the process has been since it began."""
    status = Path("/proc/self/status")
    if status.exists():
        # A process that is started inherits the maximum of getrusage (getrusage(2)).
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(found[1]) * 1024 if found else 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    run(Plan.from_json(sys.argv[1]))
