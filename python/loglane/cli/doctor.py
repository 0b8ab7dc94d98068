"""The command that looks at everything."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from loglane.cli.application import DEFAULT_SPEC, AsJson, Env, SpecFile, app, examples, project_of
from loglane.errors import CheckFailed

if TYPE_CHECKING:
    from loglane.stack.doctor import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}
_INDENT = 21


@app.command(
    epilog=examples(
        "loglane doctor",
        "loglane doctor --env prod",
        """loglane doctor --json | jq '.findings[] | select(.level == "problem")'""",
    )
)
def doctor(
    env: Env = "dev",
    spec: SpecFile = DEFAULT_SPEC,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds that a line may take through the whole chain.")
    ] = 60,
    as_json: AsJson = False,
) -> None:
    """Look at everything, and say what mends what is wrong.

    Nothing is changed; one short-lived container reads the volumes, another one sends lines
    through the whole chain. It exits with 1 when there is a problem.
    """
    from loglane.stack.doctor import examine
    from loglane.stack.reporting import Reporter

    project = project_of(env, spec, None)
    found = []
    for finding in examine(project, Reporter(), timeout):
        found.append(finding)
        if not as_json:
            _show(finding)
    counts = {level: sum(item.level == level for item in found) for level in _COLOURS}
    if as_json:
        print(json.dumps({"env": env, **counts, "findings": [item.as_dict() for item in found]}))
    else:
        print("\n" + ", ".join(_counted(counts[level], level) for level in _COLOURS))
    if counts["problem"]:
        raise CheckFailed(
            f"{_counted(counts['problem'], 'problem')}; what mends each is said above"
        )


def _show(finding: Finding) -> None:
    console = Console(highlight=False, soft_wrap=True)
    # A pipe gets one line for each fact, however long.
    width = console.width - _INDENT if console.is_terminal else 10_000
    lines = textwrap.wrap(finding.what, width, break_on_hyphens=False, break_long_words=False)
    mark = f"[{_COLOURS[finding.level]}]{finding.level:9}[/]"
    console.print(f"{mark}{finding.topic:12}{escape(lines[0])}")
    for line in lines[1:]:
        console.print(" " * _INDENT + escape(line))
    if finding.mend:
        # Never broken, so that it can be copied.
        console.print(" " * _INDENT + f"[cyan]→ {escape(finding.mend)}[/]")


def _counted(count: int, level: str) -> str:
    return f"{count} {level}" + ("s" if level != "ok" and count != 1 else "")
