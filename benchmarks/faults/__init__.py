"""What the direct push loses: numbered lines from app processes to a real Loki, counted exactly.

    python -m benchmarks.faults [--lines 100000] [CASE ...]

Needs the program `loki` on the PATH. Prints a table as Markdown; exits with 1 when a line is
missing that the sink did not name, or when one is stored twice.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.faults.bench import Outcome, Scale, open_bench
from benchmarks.faults.cases import CASES, Case
from benchmarks.faults.plan import Writer


def run(scale: Scale, only: Sequence[str] = (), writer: Writer = "loglane") -> dict[str, Any]:
    """Print a row for each case, and below the table what else was seen."""
    print("| while | lines | lost | doubled | said dropped | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    outcomes: dict[str, Outcome] = {}
    for case in CASES:
        if only and case.name not in only:
            continue
        print(f"running: {case.title}", file=sys.stderr)
        outcomes[case.name] = run_case(case, scale, writer)
        print(_row(case, outcomes[case.name]), flush=True)
    print()
    for name, outcome in outcomes.items():
        for remark in (outcome.note, *(f"PROBLEM: {problem}" for problem in outcome.problems)):
            if remark:
                print(f"{name}: {remark}")
    return {
        "ok": not any(outcome.problems for outcome in outcomes.values()),
        "cases": {name: asdict(outcome) for name, outcome in outcomes.items()},
    }


def run_case(case: Case, scale: Scale, writer: Writer = "loglane") -> Outcome:
    """Run one case with a Loki of its own in a folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="loglane-faults-", ignore_cleanup_errors=True) as name,
        open_bench(Path(name), scale, writer) as bench,
    ):
        return case.run(bench)


def _row(case: Case, outcome: Outcome) -> str:
    counts = (outcome.lines, outcome.lost, outcome.doubled, outcome.said)
    cells = [case.title, *(f"{count:,}" for count in counts), f"{outcome.seconds:.1f}"]
    return "| " + " | ".join(cells) + " |"
