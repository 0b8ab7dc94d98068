"""Run the benchmarks: `make bench`, or `python -m benchmarks --help` for one of them."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from typing import Any

from benchmarks import collector, devserver, log_call, reading, render, store
from benchmarks.audit import side_by_side as audit_trail
from benchmarks.log_call import report
from benchmarks.shipping import side_by_side
from loglane.errors import EnvironmentMissing

# They need Docker, programs of Loki's or minutes, so each runs only when it is asked for.
_ALONE = {
    "store": store.run,
    "collector": collector.run,
    "shipping": side_by_side.run,
    "reading": reading.run,
    "devserver": devserver.run,
    "audit": audit_trail.run,
}


def main() -> None:
    """Print the machine, then each benchmark; the exit code is 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "only",
        nargs="?",
        choices=("render", "log", *_ALONE),
        help="run only this one",
    )
    parser.add_argument(
        "--source", choices=collector.SOURCES, help="of `collector`: read only from here"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    # What is for people goes to stderr when stdout is for a machine.
    with contextlib.redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        try:
            results = _run(arguments.only, arguments.source)
        except EnvironmentMissing as error:
            sys.exit(f"error: {error}")
    if arguments.json:
        print(json.dumps(results, indent=2))
    sys.exit(0 if results["ok"] else 1)


def _run(only: str | None, source: str | None = None) -> dict[str, Any]:
    print(report.machine_lines(), end="\n\n")
    if only in _ALONE:
        found = collector.run((source,)) if only == "collector" and source else _ALONE[only]()
        return {"ok": found["ok"], only: found}
    results: dict[str, Any] = {}
    if only != "log":
        results["render"] = {"ok": render.run()}
        print()
    if only != "render":
        results["log"] = log_call.run()
    return {"ok": all(result["ok"] for result in results.values())} | results


if __name__ == "__main__":
    main()
