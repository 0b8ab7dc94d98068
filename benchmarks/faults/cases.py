"""Everything that goes wrong, by name."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.faults import app_cases, loki_cases
from benchmarks.faults.bench import Run


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that goes wrong; `may_lose` when some are lost that the sink names, or cannot."""

    name: str
    title: str
    run: Run
    may_lose: bool = False


CASES: tuple[Case, ...] = (
    Case("calm", "nothing happens", loki_cases.calm),
    Case("loki-stopped", "Loki is stopped for a while", loki_cases.stopped),
    Case("loki-killed", "Loki is killed (-9) and started", loki_cases.killed),
    Case("429", "429 to every second request", loki_cases.limited),
    Case("429-retry-after", "the same with `Retry-After: 1`", loki_cases.told_to_wait),
    Case(
        "500",
        "500 to every second request, half of which Loki has stored",
        loki_cases.failing,
    ),
    Case("slow", "Loki takes long for each request", loki_cases.slow),
    Case(
        "overflow", "Loki is away, and the queue holds a fifth", loki_cases.overflow, may_lose=True
    ),
    Case(
        "app-killed", "the app is killed (-9) and started, with a WAL",
        app_cases.app_killed(loki_away=False), may_lose=True,
    ),
    Case(
        "app-killed-away", "the same while Loki is away",
        app_cases.app_killed(loki_away=True), may_lose=True,
    ),
    Case(
        "neighbour", "the same, and another app on the same WAL sends its lines",
        app_cases.neighbour, may_lose=True,
    ),
    Case("disk-full", "Loki is away, and the WAL's disk is full for a while", app_cases.disk_full),
    Case("clock-back", "the clock is set back by 10 minutes", app_cases.clock_back),
    Case("fork", "Loki is away, and the app forks; both write on", app_cases.fork),
    Case("gunicorn", "gunicorn with 4 workers and one WAL", app_cases.gunicorn(preload=False)),
    Case("gunicorn-preload", "the same, loaded before the fork", app_cases.gunicorn(preload=True)),
    Case("short", "a job of 10 lines", app_cases.short),
    Case("sigterm", "a job of 10 lines, ended by SIGTERM", app_cases.terminated),
    Case(
        "down-for-good", "Loki is down and stays so", app_cases.down_for_good, may_lose=True
    ),
)  # fmt: skip
