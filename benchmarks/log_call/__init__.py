"""The cost of a log call, side by side with the libraries that loglane is compared with.

- `cases` names what is measured and what every peer's lines must say;
- `peers` has one module a library, each set up to say the same;
- `worker` is a peer's own process, `rounds` starts the workers and lets them run in turns;
- `check` compares the lines before anything is timed;
- `imports` measures `import loglane`;
- `goals` holds what has to be reached, `report` prints it.

The machines are noisy, so only ratios count: the peers of a case run one after the other within a
second, and each round's time is that of its fastest batch of calls.
"""

from __future__ import annotations

from typing import Any

from benchmarks.log_call import imports, report, rounds
from benchmarks.log_call.goals import judge
from benchmarks.log_call.peers import NAMES


def run() -> dict[str, Any]:
    """Check the peers, measure them, and print the table and the goals.

    Returns:
        What was measured, as plain data; `ok` tells whether every goal is reached.
    """
    print(
        f"log call: medians of {rounds.ROUNDS} rounds and of their ratios; "
        "the lines go to a regular file"
    )
    try:
        rounds.check(NAMES)
        times = rounds.measure(NAMES)
    except rounds.PeerError as error:
        print(f"not measured:\n{error}")
        return {"ok": False, "error": str(error)}
    costs = imports.measure()
    verdicts = judge(times, costs.over_ms, costs.over_mb)
    print(report.table(times, NAMES), end="\n\n")
    print(report.imports_lines(costs), end="\n\n")
    print(report.goals_lines(verdicts))
    ok = all(verdict.met for verdict in verdicts)
    return {"ok": ok} | report.data(times, costs, verdicts)
