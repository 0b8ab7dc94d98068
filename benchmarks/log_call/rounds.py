"""Runs the peers in turns, each in its own process, and keeps what they report."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.log_call.cases import CASES, Case
from benchmarks.log_call.check import problems

ROOT = Path(__file__).resolve().parent.parent.parent
ROUNDS = 11
TURNS = 5


class PeerError(Exception):
    """A peer's process failed, or its lines do not say what they must."""


class Worker:
    """One peer's process; its log lines go to a file, its answers come over stderr."""

    def __init__(self, peer: str, folder: Path) -> None:
        self.peer = peer
        self._file = folder / f"{peer}.jsonl"
        # Read and write: the worker counts the lines that it has written.
        with self._file.open("w+b") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.log_call.worker", peer],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                cwd=folder,
                env=environment(),
            )

    def lines(self, case: Case) -> list[bytes]:
        """Return the lines that one call of this case writes (one call in each thread)."""
        self._ask("lines", case)
        return self._file.read_bytes().splitlines()

    def nanos(self, case: Case) -> float:
        """Return the nanoseconds of one call in the fastest batch."""
        return float(self._ask("time", case))

    def close(self) -> None:
        """End the process."""
        with self._process:
            self._process.kill()

    def _ask(self, what: str, case: Case) -> Any:
        stdin, stderr = self._process.stdin, self._process.stderr
        assert stdin is not None
        assert stderr is not None
        answer = ""
        try:
            stdin.write(json.dumps({"do": what, "case": case.name}) + "\n")
            stdin.flush()
            answer = stderr.readline()
            return json.loads(answer)
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                stdin.close()  # The end of its work, if it still runs.
            raise PeerError(f"{self.peer}, {case.title}: {answer}{stderr.read()}") from None


def environment() -> dict[str, str]:
    """Return this process's environment without what would configure a peer."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOGGING_", "LOGLANE_", "LOGURU_", "PYTHON"))
    }
    return kept | {"PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def workers(peers: Sequence[str]) -> Iterator[list[Worker]]:
    """Start a process for each peer and end them all afterwards."""
    # Memory rather than a disk, where there is such a folder: a disk's own work comes and goes.
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        )
        started = []
        for peer in peers:
            started.append(Worker(peer, Path(folder)))
            stack.callback(started[-1].close)
        yield started


def check(peers: Sequence[str]) -> None:
    """Let each peer write its lines for each case and compare them with the case.

    Raises:
        PeerError: With everything that is wrong.
    """
    with workers(peers) as started:
        wrong = [
            f"{worker.peer}, {case.title}: {problem}"
            for case in CASES
            for worker in started
            for problem in problems(case, worker.lines(case))
        ]
    if wrong:
        raise PeerError("\n".join(wrong))


def measure(peers: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Return the microseconds of one call, `{case: {peer: [micros of each round]}}`.

    Each round starts fresh processes (where things lie in memory is luck) and goes through the
    cases, the peers in turns of a few milliseconds, so that a slow moment of the machine hits all.
    A round's time is that of the fastest batch in all its turns.

    Raises:
        PeerError: A process failed.
    """
    taken: dict[str, dict[str, list[float]]] = {
        case.name: {peer: [] for peer in peers} for case in CASES
    }
    for number in range(ROUNDS):
        with workers(peers) as started:
            for case in CASES:
                fastest = _in_turns(started, case, number)
                for peer, nanos in fastest.items():
                    taken[case.name][peer].append(nanos / 1000)
    return taken


def _in_turns(started: Sequence[Worker], case: Case, number: int) -> dict[str, float]:
    fastest = dict.fromkeys((worker.peer for worker in started), math.inf)
    for turn in range(TURNS):
        first = (number + turn) % len(started)
        for worker in (*started[first:], *started[:first]):
            fastest[worker.peer] = min(fastest[worker.peer], worker.nanos(case))
    return fastest
