"""The audit trail beside what apps write today, on databases that are started for the run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from benchmarks.audit import call, memory, rates
from benchmarks.audit.call import Call
from benchmarks.audit.goals import judge
from benchmarks.audit.memory import Memory
from benchmarks.audit.rates import Rates
from benchmarks.databases import KINDS, TITLES, open_database
from benchmarks.faults.bench import environment
from benchmarks.loki_process import ROOT

EVENTS = 100_000


def run() -> dict[str, Any]:
    """Print what was measured and the goals."""
    found: dict[str, Rates] = {}
    for kind in KINDS:
        print(f"running: rates, {TITLES[kind]}", file=sys.stderr)
        found[kind] = rates.measure(kind)
    print("running: the marked call", file=sys.stderr)
    marked = _measure_call()
    print("running: memory", file=sys.stderr)
    kept = memory.measure(EVENTS)
    _print(found, marked, kept)
    verdicts = judge(found, marked, kept)
    print("\n".join(str(verdict) for verdict in verdicts))
    return {
        "ok": all(verdict.met for verdict in verdicts),
        "rates": {kind: asdict(one) for kind, one in found.items()},
        "call": asdict(marked),
        "memory": asdict(kept),
        "goals": [verdict._asdict() | {"met": verdict.met} for verdict in verdicts],
    }


def _measure_call() -> Call:
    """Measure in a process of its own, whose lines go to nowhere."""
    with (
        tempfile.TemporaryDirectory(prefix="loglane-audit-call-") as name,
        open_database("mariadb", Path(name)) as database,
    ):
        subprocess.run(
            [sys.executable, "-m", call.__name__, database.url, name],
            check=True, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment(),
        )  # fmt: skip
        return Call(**orjson.loads((Path(name) / call.REPORT).read_bytes()))


def _print(found: Mapping[str, Rates], marked: Call, kept: Memory) -> None:
    print("| rows a second | batched worker | one commit a record | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for kind, one in found.items():
        batched, single = (statistics.median(rows) for rows in (one.batched, one.one_by_one))
        ratio = statistics.median(one.ratios)
        print(f"| {TITLES[kind]} | {batched:,.0f} | {single:,.0f} | {ratio:.1f}x |")
    print(
        f"\na call: plain {marked.plain:.1f} us, marked {marked.marked:.1f} us; at a steady rate, "
        "while records are stored:"
    )
    for name, (plain, own) in marked.steady.items():
        print(f"  {name}: plain {plain:.1f} us, marked {own:.1f} us")
    print(
        f"\nMariaDB away for {kept.events:,} records: written in {kept.seconds:.1f} s, "
        f"{kept.waited:,} waited in the outbox; the process grew by "
        f"{kept.grown_bytes / 2**20:.1f} MiB; {kept.rows:,} rows at the end\n"
    )
