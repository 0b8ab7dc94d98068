"""A peer's own process: `python -m benchmarks.log_call.worker PEER`.

It reads one request a line from stdin, as JSON, and answers with one line of JSON on stderr. The
log lines go to stdout, a regular file that can also be read. A pipe's reader competes for the
cores, which made the ratios less steady.
"""

from __future__ import annotations

import contextvars
import gc
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks.log_call.cases import CASES, THREADS, Case, Loop

STDOUT = 1
MIN_BATCHES = 3
BUDGET_S = 0.01
BY_NAME = {case.name: case for case in CASES}


def main() -> None:
    """Answer requests until stdin ends."""
    peer = importlib.import_module(f"benchmarks.log_call.peers.{sys.argv[1]}")
    case, context = CASES[0], contextvars.copy_context()
    loop: Loop | None = None
    for request in sys.stdin:
        wanted = json.loads(request)
        if loop is None or case.name != wanted["case"]:
            # A context of its own for each case: what one binds is not on the lines of the next.
            case, context = BY_NAME[wanted["case"]], contextvars.copy_context()
            loop = context.run(_prepared, peer, case)
        answer = write_lines if wanted["do"] == "lines" else fastest_ns
        print(json.dumps(context.run(answer, case, loop)), file=sys.stderr)


def write_lines(case: Case, loop: Loop) -> int:
    """Replace what is in stdout's file by the lines of one call (a thread); return their count."""
    os.ftruncate(STDOUT, os.lseek(STDOUT, 0, os.SEEK_SET))
    _run(case)(loop, 1)
    return _lines_written()


def fastest_ns(case: Case, loop: Loop) -> float:
    """Return the time of one call in the fastest of several batches.

    Raises:
        RuntimeError: A batch had not written all of its lines when it ended.
    """
    run = _run(case)
    calls = case.batch * case.threads
    taken: list[int] = []
    gc.collect()
    ends = time.perf_counter() + BUDGET_S
    while len(taken) < MIN_BATCHES or time.perf_counter() < ends:
        # Each batch writes over the last one, so that the file's pages exist already.
        os.lseek(STDOUT, 0, os.SEEK_SET)
        taken.append(run(loop, case.batch))
        expected = 0 if case.says is None else calls
        if _lines_written() != expected:
            raise RuntimeError(f"{_lines_written()} lines were written, not {expected}")
    return min(taken) / calls


def _prepared(peer: Any, case: Case) -> Loop:
    for number in range(case.foreign_variables):
        contextvars.ContextVar(f"foreign_{number}", default=0).set(number)
    loop: Loop = peer.loop(case.loop)
    return loop


def _lines_written() -> int:
    size = os.lseek(STDOUT, 0, os.SEEK_CUR)
    return os.pread(STDOUT, size, 0).count(b"\n")


def _run(case: Case) -> Callable[[Loop, int], int]:
    return _in_threads if case.threads > 1 else _here


def _here(loop: Loop, count: int) -> int:
    began = time.perf_counter_ns()
    loop(count)
    return time.perf_counter_ns() - began


def _in_threads(loop: Loop, count: int) -> int:
    together = threading.Barrier(THREADS + 1)

    def work() -> None:
        together.wait()
        loop(count)

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(work,))
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    began = time.perf_counter_ns()
    together.wait()
    for thread in threads:
        thread.join()
    return time.perf_counter_ns() - began


if __name__ == "__main__":
    main()
