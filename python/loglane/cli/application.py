"""The command line's application, the options that commands share, and how they print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

try:
    import typer
    from rich.console import Console
    from rich.table import Table
except ModuleNotFoundError as missing:
    sys.exit(f"loglane: the command line needs {missing.name}: install the extra `cli`, or `all`")

if TYPE_CHECKING:
    from loglane.stack.project import Project

app = typer.Typer(
    name="loglane",
    help="A log stack as code, and the Python package that feeds it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def environments(context: typer.Context, incomplete: str) -> list[str]:
    """List the environments that a word may become, for the shell's completion."""
    spec = Path(context.params.get("spec") or DEFAULT_SPEC)
    found = sorted(path.stem for path in (spec.parent / "environments").glob("*.yaml"))
    return [name for name in found if name.startswith(incomplete)]


DEFAULT_SPEC = Path("stack/stack.yaml")
Env = Annotated[
    str,
    typer.Option(
        "--env",
        help="Environment: an overlay in stack/environments/.",
        autocompletion=environments,
    ),
]
SpecFile = Annotated[Path, typer.Option("--spec", help="The spec.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Output folder. [default: . for dev, else build/ENV]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def examples(*lines: str) -> str:
    """Return the end of a command's help: examples that are not broken into a paragraph."""
    # The first character tells click to leave the paragraph as it is.
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def project_of(env: str, spec: Path, out: Path | None) -> Project:
    """Open the project that a command was asked to work on."""
    from loglane.stack.project import open_project

    return open_project(env, spec, out)


def new_table(*columns: str) -> Table:
    """Return an empty table in the look that all commands share."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def print_table(shown: Table) -> None:
    """Print a table to stdout."""
    Console(soft_wrap=False, highlight=False).print(shown)


def coloured(outcome: str) -> str:
    """Mark up an outcome: green is good, red is bad, yellow is neither."""
    good = dict.fromkeys(("passed", "healthy", "made", "there"), "green")
    colour = {**good, **dict.fromkeys(("failed", "unhealthy", "missing", "weak"), "red")}
    return f"[{colour.get(outcome, 'yellow')}]{outcome}[/]"


def print_result(facts: dict[str, Any], as_json: bool, text: str) -> None:
    """Print the facts as one JSON object, or the same as text for people."""
    if as_json:
        print(json.dumps(facts))
    elif text:
        print(text)
