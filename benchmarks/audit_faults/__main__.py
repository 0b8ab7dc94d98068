"""Run it: `make audit-faults`, or `python -m benchmarks.audit_faults --help`."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys

from benchmarks import audit_faults
from benchmarks.audit_faults.bench import Scale
from benchmarks.audit_faults.cases import CASES
from benchmarks.databases import KINDS
from benchmarks.log_call.report import machine_lines
from loglane.errors import EnvironmentMissing


def main() -> None:
    """Print the machine and the table; the exit code is 1 when something is not as it must be."""
    default = Scale()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit_faults", description=__doc__)
    names = [case.name for case in CASES]
    parser.add_argument("only", nargs="*", choices=[*names, []], help="run only these")
    parser.add_argument("--database", action="append", choices=KINDS, help="only on this one")
    parser.add_argument("--events", type=int, default=default.events, help="[default: 10000]")
    parser.add_argument("--rate", type=int, default=default.rate, help="a second [default: 1000]")
    parser.add_argument("--away", type=float, default=default.away_s,
                        help="seconds that a stopped server is away [default: 5]")  # fmt: skip
    parser.add_argument("--kills", type=int, default=default.kills, help="[default: 20]")
    parser.add_argument("--requests", type=int, default=default.requests, help="[default: 1000]")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    given = parser.parse_args()
    # Else the servers would outlive it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scale = Scale(given.events, given.rate, given.away, given.kills, given.requests)
    # What is for people goes to stderr when stdout is for a machine.
    with contextlib.redirect_stdout(sys.stderr if given.json else sys.stdout):
        print(machine_lines(), end="\n\n")
        try:
            results = audit_faults.run(scale, tuple(given.only), tuple(given.database or ()))
        except EnvironmentMissing as error:
            sys.exit(f"error: {error}")
    if given.json:
        print(json.dumps(results, indent=2))
    sys.exit(0 if results["ok"] else 1)


if __name__ == "__main__":
    main()
