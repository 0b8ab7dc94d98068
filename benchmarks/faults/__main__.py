"""Run it: `make faults`, or `python -m benchmarks.faults --help`."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from typing import get_args

from benchmarks import faults
from benchmarks.faults.bench import Scale
from benchmarks.faults.cases import CASES
from benchmarks.faults.plan import Writer
from benchmarks.log_call.report import machine_lines
from loglane.errors import EnvironmentMissing


def main() -> None:
    """Print the machine and the table; the exit code is 1 when something is not as it must be."""
    default = Scale()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    names = [case.name for case in CASES]
    parser.add_argument("only", nargs="*", choices=[*names, []], help="run only these")
    parser.add_argument("--lines", type=int, default=default.lines, help="[default: 100000]")
    parser.add_argument("--rate", type=int, default=default.rate, help="a second [default: 10000]")
    parser.add_argument("--away", type=float, default=default.away_s,
                        help="seconds that a stopped Loki is away [default: 30]")  # fmt: skip
    parser.add_argument("--delay", type=float, default=default.delay_s,
                        help="seconds that a slow Loki takes [default: 5]")  # fmt: skip
    parser.add_argument("--writer", choices=get_args(Writer), default="loglane",
                        help="or a naive sink, whose losses must be found")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    given = parser.parse_args()
    scale = Scale(given.lines, given.rate, given.away, given.delay)
    # What is for people goes to stderr when stdout is for a machine.
    with contextlib.redirect_stdout(sys.stderr if given.json else sys.stdout):
        print(machine_lines(), end="\n\n")
        try:
            results = faults.run(scale, tuple(given.only), given.writer)
        except EnvironmentMissing as error:
            sys.exit(f"error: {error}")
    if given.json:
        print(json.dumps(results, indent=2))
    sys.exit(0 if results["ok"] else 1)


if __name__ == "__main__":
    main()
