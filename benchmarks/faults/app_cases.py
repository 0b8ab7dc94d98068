"""The app is killed, ends, forks, or has no room on its disk."""

from __future__ import annotations

import re
import signal
import time
from dataclasses import replace

from benchmarks.faults.bench import DRAIN_S, AppProcess, Bench, Outcome, Run, judge, poll
from benchmarks.faults.counting import Stored, tally
from benchmarks.faults.disk import small_disk
from benchmarks.faults.gunicorn import NAME, answered_lines, running_gunicorn, workers_said
from benchmarks.loki_process import free_ports

# What may be lost of a killed app: the lines of its last moment, by their number.
KILL_BOUND_S = 0.25
# A process looks every 30 s for what others have left.
_TAKEN_OVER_S = 120.0
# Beyond the drain deadline, for the interpreter's own end on a busy machine.
_MARGIN_S = 3.0
_FEW = 10


def app_killed(loki_away: bool) -> Run:
    """Return a case in which the app is killed with -9 and started again; it has a WAL."""

    def run(bench: Bench) -> Outcome:
        wal = {"wal": {"dir": str(bench.folder / "wal")}}
        first = bench.start("first", wal)
        _kill(bench, first, loki_away)
        second = bench.start("second", wal, lines=bench.scale.lines - first.returned)
        if loki_away:
            second.wait_for(0.2)
            bench.loki.start()
        second.wait()
        return _outcome_of_killed(bench, first, second, bench.said("second"))

    return run


def neighbour(bench: Bench) -> Outcome:
    """Kill one of two apps that share a WAL; the other one sends what it left."""
    wal = {"wal": {"dir": str(bench.folder / "wal")}}
    half = bench.scale.lines // 2
    first = bench.start("first", wal, lines=half)
    second = bench.start("second", wal, lines=half, waits=True)
    _kill(bench, first, loki_away=True)
    bench.loki.start()
    # Nobody but the second one can bring the last line that the WAL surely has.
    kept = int(first.returned - KILL_BOUND_S * bench.scale.rate)
    poll(lambda: bench.has("first", kept), "the lines of the killed app", _TAKEN_OVER_S)
    second.signal(signal.SIGTERM)
    second.wait(-signal.SIGTERM)
    # After a signal it reports nothing.
    return _outcome_of_killed(bench, first, second, 0)


def _kill(bench: Bench, app: AppProcess, loki_away: bool) -> None:
    if loki_away:
        app.wait_for(0.1)
        bench.loki.stop()
    app.wait_for(0.5)
    app.signal(signal.SIGKILL)
    app.wait(-signal.SIGKILL)


def _outcome_of_killed(bench: Bench, first: AppProcess, second: AppProcess, said: int) -> Outcome:
    """Judge what became of the lines of a killed app and of the one that sent them."""
    seconds, stored = bench.seconds, bench.stored()
    # The last call may have handed its line over and not have returned.
    handed = first.begun if any(_is_last(entry, first) for entry in stored) else first.returned
    cut, whole = (
        tally(stored, app.plan.name, range(count))
        for app, count in ((first, handed), (second, second.returned))
    )
    lost = len(cut.missing)
    problems = []
    if cut.missing != tuple(range(handed - lost, handed)):
        problems.append("lines are missing that are not the app's last ones")
    if lost > KILL_BOUND_S * bench.scale.rate:
        problems.append(f"more is missing than the lines of {KILL_BOUND_S:g} s")
    note = f"what is lost are the last {lost / bench.scale.rate * 1000:.1f} ms before the kill"
    # Nobody was left to say what was lost, so it is judged as if somebody had.
    return replace(judge([cut, whole], said + lost, seconds, problems, note), said=said)


def _is_last(entry: Stored, app: AppProcess) -> bool:
    return (entry.writer, entry.seq) == (app.plan.name, app.begun - 1)


def disk_full(bench: Bench) -> Outcome:
    """Let the WAL's disk run full while Loki is away, and give room again."""
    # The lines take three times as much.
    with small_disk(bench.folder / "small", bench.scale.lines * 100) as disk:
        bench.loki.stop()
        changes = {} if disk.is_mounted else _tight_files(bench)
        app = bench.start("app", {"wal": {"dir": str(disk.folder)}}, **changes)
        app.wait_for(0.8)
        disk.give_room()
        bench.loki.start()
        app.wait()
        said = bench.said("app")
        times = len(re.findall("(?i)wal|no space|file too large", app.stderr))
        problems = [] if times else ["stderr does not say that the WAL cannot be written"]
        note = "a tmpfs" if disk.is_mounted else "a limit of the files' size"
        return bench.outcome({"app": app.returned}, said, problems, note=note)


def _tight_files(bench: Bench) -> dict[str, int]:
    lines = bench.scale.lines
    return {"tight_from": lines // 5, "tight_to": lines * 3 // 5, "tight_bytes": 64 * 1024}


def clock_back(bench: Bench) -> Outcome:
    """Set the app's clock back by ten minutes in the middle."""
    app = bench.start(clock_back_at=bench.scale.lines // 2)
    app.wait()
    return bench.outcome({"app": app.returned}, bench.said("app"))


def fork(bench: Bench) -> Outcome:
    """Fork while the queue is full of lines that Loki has not; both processes go on writing."""
    # The parent writes it all, the child from here on.
    at = bench.scale.lines // 2
    half = bench.scale.lines - at
    bench.loki.stop()
    app = bench.start(fork_at=at)
    app.wait_for(0.75)
    bench.loki.start()
    app.wait()
    said = bench.said("app", "app-child")
    # Loki stores what both send once, so it would not show.
    sent = bench.report("app-child")["stats"]["sent"]
    problems = [] if sent == half else [f"the child sent {sent} lines, and wrote {half}"]
    return bench.outcome({"app": app.returned, "app-child": half}, said, problems)


def gunicorn(preload: bool) -> Run:
    """Return a case of a web app with four workers and one WAL."""

    def run(bench: Bench) -> Outcome:
        wal = {"wal": {"dir": str(bench.folder / "wal")}}
        with running_gunicorn(bench, {**bench.settings, **wal}, preload) as url:
            lines = answered_lines(url, bench.scale.lines)
        said, workers = workers_said(bench)
        problems = [] if workers > 1 else ["one worker served everything"]
        note = f"{workers} workers served"
        # Requests overtake each other.
        return bench.outcome({NAME: lines}, said, problems, note, is_ordered=False)

    return run


def short(bench: Bench) -> Outcome:
    """Write a few lines and end at once."""
    app = bench.start(lines=_FEW, rate=0, settle_s=0)
    return _ended(bench, app, 0)


def terminated(bench: Bench) -> Outcome:
    """Write a few lines, and be ended by SIGTERM."""
    app = bench.start(lines=_FEW, rate=0, settle_s=0, waits=True)
    app.wait_for(1.0)
    app.signal(signal.SIGTERM)
    return _ended(bench, app, -signal.SIGTERM)


def _ended(bench: Bench, app: AppProcess, code: int) -> Outcome:
    app.wait_for(1.0)
    began = time.monotonic()
    app.wait(code)
    took = time.monotonic() - began
    note = f"ended {took:.2f} s after its last line"
    return bench.outcome({"app": app.returned}, 0, _too_long(took), note=note)


def down_for_good(bench: Bench) -> Outcome:
    """End while Loki is away and stays so: the process ends in time and says what is lost."""
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    app = bench.start(loki={"url": nobody}, lines=bench.scale.lines // 10, settle_s=0)
    app.wait_for(1.0)
    began = time.monotonic()
    app.wait()
    took = time.monotonic() - began
    problems = _too_long(took)
    told = re.search(r"(\d+) lines are lost", app.stderr)
    said = bench.said("app") + (int(told[1]) if told else 0)
    note = f"ended {took:.2f} s after its last line"
    return bench.outcome({"app": app.returned}, said, problems, note)


def _too_long(took_s: float) -> list[str]:
    limit = DRAIN_S + _MARGIN_S
    return [] if took_s <= limit else [f"it took {took_s:.1f} s to end, not {limit:g}"]
