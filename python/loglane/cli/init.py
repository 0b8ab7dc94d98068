"""The command that starts a project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from loglane.cli.application import AsJson, app, examples, print_result


@app.command(
    epilog=examples(
        "loglane init",
        "loglane init logs --name shop-logs",
        "loglane init logs --env dev --env prod --templates",
    )
)
def init(
    folder: Annotated[Path, typer.Argument(help="Where to; made when missing.")] = Path(),
    name: Annotated[
        str | None, typer.Option(help="Of the compose project. [default: the folder's name]")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(help="An environment; give it more than once. [default: dev, staging, prod]"),
    ] = None,
    templates: Annotated[
        bool, typer.Option("--templates", help="Copy the templates too, to change them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start a project: a spec, its environments, and a rendered stack.

    Nothing that is there is overwritten.
    """
    from loglane.stack.scaffold import ENVIRONMENTS, start_project

    made = start_project(folder, name, env or ENVIRONMENTS, templates)
    facts = {"folder": str(made.folder), "project": made.name, "files": list(made.files)}
    go = "" if folder.absolute() == Path.cwd() else f"  cd {os.path.relpath(folder)}\n"
    shown = [path for path in made.files if not path.startswith(("stack/rendered/", "templates/"))]
    rendered = sum(path.startswith("stack/rendered/") for path in made.files)
    lines = [f"wrote  {path}" for path in shown]
    lines += [f"wrote  {rendered} files in stack/rendered/"]
    if templates:
        copied = sum(path.startswith("templates/") for path in made.files)
        lines += [f"wrote  {copied} files in templates/"]
    text = "\n".join(lines) + (
        f"\n\nNext, for the project {made.name!r}:\n{go}"
        "  loglane up        starts the stack and says where Grafana is\n"
        "  loglane doctor    looks whether everything is well\n"
        "  git add .         all of it belongs into git; secrets are left out"
    )
    print_result(facts, as_json, text)
