"""Run the benchmarks: `make bench`, or `python -m benchmarks --help` for one of them."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from typing import Any

from benchmarks import collector, log_call, reading, render, store
from benchmarks.log_call import report


def main() -> None:
    """Print the machine, then each benchmark; the exit code is 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "only",
        nargs="?",
        choices=("render", "log", "store", "collector", "reading"),
        help="run only this one",
    )
    parser.add_argument(
        "--source", choices=collector.SOURCES, help="of `collector`: read only from here"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    # What is for people goes to stderr when stdout is for a machine.
    with contextlib.redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        results = _run(arguments.only, arguments.source)
    if arguments.json:
        print(json.dumps(results, indent=2))
    sys.exit(0 if results["ok"] else 1)


def _run(only: str | None, source: str | None = None) -> dict[str, Any]:
    print(report.machine_lines(), end="\n\n")
    results: dict[str, Any] = {}
    # Needs Docker and a minute, so it runs only when it is asked for.
    if only == "store":
        return {"ok": (found := store.run())["ok"], "store": found}
    # Needs the programs of Loki.
    if only == "reading":
        return {"ok": (found := reading.run())["ok"], "reading": found}
    # Needs the collectors' programs and some minutes.
    if only == "collector":
        sources = (source,) if source else collector.SOURCES
        return {"ok": (found := collector.run(sources))["ok"], "collector": found}
    if only != "log":
        results["render"] = {"ok": render.run()}
        print()
    if only != "render":
        results["log"] = log_call.run()
    return {"ok": all(result["ok"] for result in results.values())} | results


if __name__ == "__main__":
    main()
