"""The direct push beside handlers of PyPI and the limit, against a real Loki, in one run."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.loki_process import running_loki
from benchmarks.shipping.goals import judge, without_timer
from benchmarks.shipping.rounds import Figures, Runner, peers, write_texts
from benchmarks.shipping.venv import handlers_python

LINES = 150_000
MEMORY_LINES = 600_000
ROUNDS = 5
# The first peer is compared with the last one: what slows the machine then slows both.
_LIMITS = {"limit, gzip JSON": "json.gz", "limit, JSON": "json", "limit, protobuf": "protobuf"}


def run(lines: int = LINES, rounds: int = ROUNDS) -> dict[str, Any]:
    """Print what was measured and the goals; needs the program `loki` and PyPI."""
    with (
        tempfile.TemporaryDirectory(prefix="loglane-shipping-") as name,
        handlers_python() as python,
        running_loki(_subfolder(Path(name), "loki")) as loki,
    ):
        texts = Path(name) / "lines"
        write_texts(texts, lines)
        runner = Runner(loki, texts, python)
        found = _measure(runner, lines, rounds)
        memory = runner.memory(MEMORY_LINES)
    print(table(found))
    print(
        f"\nLoki down for {MEMORY_LINES:,} lines: the process grew by "
        f"{memory['grown_bytes'] / 2**20:.1f} MiB, {memory['queued']:,.0f} lines are queued, "
        f"{memory['dropped']:,.0f} dropped\n"
    )
    verdicts = judge(found, memory["grown_bytes"])
    print("\n".join(str(verdict) for verdict in verdicts))
    print(without_timer(found))
    return {
        "ok": all(verdict.met for verdict in verdicts),
        "lines": lines,
        "figures": {title: asdict(figures) for title, figures in found.items()},
        "memory": memory,
        "goals": [verdict._asdict() | {"met": verdict.met} for verdict in verdicts],
    }


def _measure(runner: Runner, lines: int, rounds: int) -> dict[str, Figures]:
    everybody = [peer for peer in peers(lines) if runner.can_run(peer)]
    found = {title: Figures() for title in (*_LIMITS, *(peer.title for peer in everybody))}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for title, encoding in _LIMITS.items():
            runner.limit(encoding, lines, found[title])
        for peer in everybody:
            if peer.lines:
                runner.flat(peer, found[peer.title])
        for peer in everybody:
            if peer.paced:
                runner.paced(peer, found[peer.title])
    return found


def table(found: Mapping[str, Figures]) -> str:
    """Return the medians of the rounds as Markdown."""
    rows = ["| | lines/s | CPU a line, us | a call, ns |", "| --- | ---: | ---: | ---: |"]
    for title, figures in found.items():
        cells = (
            _median(figures.rate, ",.0f"),
            _median(figures.cpu_us, ".1f"),
            _median(figures.call_ns, ",.0f"),
        )
        rows.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _median(values: list[float], style: str) -> str:
    return format(statistics.median(values), style) if values else ""


def _subfolder(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made
