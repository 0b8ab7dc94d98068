"""Run it: `make reliability`, or `python -m benchmarks.reliability --help`."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks import reliability
from benchmarks.reliability.machine import machine_line
from benchmarks.reliability.scenarios import scenarios
from loglane.errors import LoglaneError


def main() -> None:
    """Print the machine and the table; the exit code is 1 when a line was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability")
    parser.add_argument("only", nargs="*", choices=[*(item.name for item in scenarios()), []],
                        help="run only these")  # fmt: skip
    parser.add_argument("--collector", choices=("promtail", "alloy"), default="promtail")
    parser.add_argument("--lines", type=int, default=10_000, help="[default: 10000]")
    parser.add_argument("--rate", type=int, default=1000, help="lines a second [default: 1000]")
    parser.add_argument("--log-size", default="256k", help="of `rotation` [default: 256k]")
    parser.add_argument("--json", action="store_true", help="print the results as JSON at the end")
    given = parser.parse_args()
    try:
        print(machine_line(), end="\n\n")
        only = tuple(given.only)
        plan = reliability.Plan(given.collector, given.lines, given.rate, only, given.log_size)
        results = reliability.run(plan)
    except LoglaneError as error:
        sys.exit(f"error: {error}")
    if given.json:
        print(json.dumps(results, indent=2))
    sys.exit(0 if results["ok"] else 1)


if __name__ == "__main__":
    main()
