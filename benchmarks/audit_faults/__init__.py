"""What the audit trail loses: numbered records while something goes wrong, counted exactly.

    python -m benchmarks.audit_faults [--events 10000] [CASE ...]

Starts MariaDB, PostgreSQL and Redis from the machine's packages. Prints a table as Markdown; exits
with 1 when an acknowledged record is missing, or when one is there twice.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.audit_faults.bench import Outcome, Scale, open_bench
from benchmarks.audit_faults.cases import CASES, Case
from benchmarks.databases import TITLES, Kind


def run(scale: Scale, only: Sequence[str] = (), kinds: Sequence[Kind] = ()) -> dict[str, Any]:
    """Print a row for each case on each of its databases, and below the table what is wrong."""
    print("| while | database | acknowledged | rows | lost | twice | what else |")
    print("| --- | --- | ---: | ---: | ---: | ---: | --- |")
    outcomes: dict[str, Outcome] = {}
    for case in CASES:
        if only and case.name not in only:
            continue
        for kind in case.kinds:
            if kinds and kind not in kinds:
                continue
            print(f"running: {case.title}, {TITLES[kind]}", file=sys.stderr)
            outcome = outcomes[f"{case.name} {kind}"] = run_case(case, kind, scale)
            print(_row(case, kind, outcome), flush=True)
    problems = [f"{name}: {one}" for name, found in outcomes.items() for one in found.problems]
    print("\n".join(["", *(f"PROBLEM {problem}" for problem in problems)]))
    return {
        "ok": not problems,
        "cases": {name: asdict(outcome) for name, outcome in outcomes.items()},
    }


def run_case(case: Case, kind: Kind, scale: Scale) -> Outcome:
    """Run one case with servers of its own in a folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="loglane-audit-faults-") as name,
        open_bench(Path(name), kind, scale) as bench,
    ):
        return case.run(bench)


def _row(case: Case, kind: Kind, outcome: Outcome) -> str:
    counts = (outcome.acknowledged, outcome.rows, outcome.lost, outcome.twice)
    cells = [case.title, TITLES[kind], *(f"{count:,}" for count in counts), outcome.note]
    return "| " + " | ".join(cells) + " |"
