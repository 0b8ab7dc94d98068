"""The `loglane` command. Exit codes: 0 done, 1 a check or a server said no, 2 wrong input."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any, NoReturn

from loglane.cli.application import app

from loglane.cli import init  # isort: skip - as --help lists them
from loglane.cli import stack  # isort: skip
from loglane.cli import secrets  # isort: skip
from loglane.cli import doctor  # isort: skip
from loglane.cli import probe  # isort: skip
from loglane.cli import logs  # isort: skip
from loglane.cli import figures  # isort: skip
from loglane.cli import audit, audit_chain, audit_dead, audit_worker  # isort: skip
from loglane.cli import package  # isort: skip
from loglane.errors import CheckFailed, EnvironmentMissing, LoglaneError, SpecError

__all__ = [
    "app",
    "audit",
    "audit_chain",
    "audit_dead",
    "audit_worker",
    "doctor",
    "figures",
    "init",
    "logs",
    "main",
    "package",
    "probe",
    "secrets",
    "stack",
]

# What a command imports beyond the extra `cli`.
_EXTRAS = {
    "serve": "dev-server", "demo": "demo", "config": "cli",
    "logs": "query", "labels": "query", "stats": "query", "audit": "audit",
}  # fmt: skip


def main() -> NoReturn:
    """Run the command line; errors become one message and an exit code, never a traceback."""
    code: str | int | None = 0
    try:
        app()
    except SystemExit as stop:
        code = stop.code
    except LoglaneError as error:
        _report(error)
        code = error.exit_code
    except ModuleNotFoundError as missing:
        package = (missing.name or "loglane").partition(".")[0]
        if package == "loglane":
            raise
        _report(_without_extra(package))
        code = EnvironmentMissing.exit_code
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    try:
        sys.stdout.flush()
    except OSError as error:
        # What is still buffered has nowhere to go. A reader that has gone (`| head`) is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"error: cannot write the output: {error.strerror}", file=sys.stderr)
            code = code or 1
    sys.exit(code)


def _without_extra(package: str) -> EnvironmentMissing:
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    extra = "redis" if package == "redis" else _EXTRAS.get(command, "stack")
    return EnvironmentMissing(
        f"`loglane {command}` needs {package}: install the extra `{extra}`, or `all`"
    )


def _report(error: LoglaneError) -> None:
    # A check that fails has printed what it found; any other error has printed nothing yet.
    if "--json" in sys.argv and not isinstance(error, CheckFailed):
        facts: dict[str, Any] = {"error": str(error)}
        if isinstance(error, SpecError):
            facts["problems"] = [asdict(problem) for problem in error.problems]
        print(json.dumps(facts))
    prefix = "error: " if "\n" not in str(error) else "error:\n"
    print(f"{prefix}{error}", file=sys.stderr)
