"""Rows a second: the batched worker, and one insert and commit for each record."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.audit import feed, naive
from benchmarks.databases import Database, Kind, open_database
from benchmarks.faults.bench import environment
from benchmarks.loki_process import ROOT

# What the queue holds by default.
BATCHED = 10_000
ONE_BY_ONE = 1_000
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Rates:
    """Rows a second, round by round.

    Attributes:
        batched: Of the worker with default settings, from a full queue to the last commit.
        one_by_one: Of one insert and commit for each record.
    """

    batched: list[float] = field(default_factory=list)
    one_by_one: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """How many times as fast the worker was in each round."""
        return [ours / other for ours, other in zip(self.batched, self.one_by_one, strict=True)]


def measure(kind: Kind, rounds: int = ROUNDS) -> Rates:
    """Let both write, in turns: into one server, or each into an SQLite file of its own.

    A file keeps the journal that it was given. So the other writer's has what SQLite gives it, as
    an app's own has, and not ours.
    """
    found = Rates()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loglane-rates-")))
        apart = folder / "apart"
        apart.mkdir()
        ours = other = stack.enter_context(open_database(kind, folder))
        if kind == "sqlite":
            other = stack.enter_context(open_database(kind, apart))
        for _ in range(rounds):
            found.batched.append(_batched(ours, folder))
            found.one_by_one.append(_one_by_one(other))
        expected = rounds * (feed.WARM_UP + BATCHED + ONE_BY_ONE)
        rows = ours.count() + (other.count() if other is not ours else 0)
        if rows != expected:
            raise AssertionError(f"{rows} rows instead of {expected}")
    return found


def _batched(database: Database, folder: Path) -> float:
    subprocess.run(
        [sys.executable, "-m", feed.__name__, database.url, str(folder), str(BATCHED)],
        check=True, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment(),
    )  # fmt: skip
    seconds: float = orjson.loads((folder / feed.REPORT).read_bytes())["seconds"]
    return BATCHED / seconds


def _one_by_one(database: Database) -> float:
    began = time.perf_counter()
    asyncio.run(naive.write(database, ONE_BY_ONE))
    return ONE_BY_ONE / (time.perf_counter() - began)
