"""The `loglane` command. Exit codes: 0 done, 1 a check or a server said no, 2 wrong input."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from loglane.errors import CheckFailed, LoglaneError, SpecError

try:
    import typer
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
except ModuleNotFoundError as missing:
    sys.exit(f"loglane: the command line needs {missing.name}: install the extra `cli`, or `all`")

if TYPE_CHECKING:
    from loglane.stack.project import Project

app = typer.Typer(
    name="loglane",
    help="A log stack as code, and the Python package that feeds it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Env = Annotated[str, typer.Option("--env", help="Environment: an overlay in stack/environments/.")]
SpecFile = Annotated[Path, typer.Option("--spec", help="The spec.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Output folder. [default: . for dev, else build/ENV]")
]
SettingsFile = Annotated[
    Path | None, typer.Option("--config", help="Settings file. [default: as `configure` does]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DEFAULT_SPEC = Path("stack/stack.yaml")


@app.command()
def render(
    env: Env = "dev",
    spec: SpecFile = DEFAULT_SPEC,
    out: Out = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail with a diff when files differ.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write an environment's compose file and configs."""
    from loglane.stack.output import diff_tree

    project = _project(env, spec, out)
    tree = project.render()
    facts: dict[str, Any] = {"env": env, "out": str(project.out), "files": list(tree)}
    if check:
        project.require_rendered()
        diff = diff_tree(tree, project.out)
        _result({**facts, "differs": bool(diff), "diff": diff}, as_json, diff.rstrip())
        if diff:
            command = f"loglane render --env {env}" + (f" --out {out}" if out else "")
            raise CheckFailed(f"the files in {project.out} are not what {spec} says: `{command}`")
        if not as_json:
            print(f"{len(tree)} files in {project.out} are what {spec} says")
        return
    changes = project.write()
    lines = [f"wrote    {path}" for path in changes.written]
    lines += [f"removed  {path}" for path in changes.removed]
    lines += [f"{len(changes.unchanged)} of {len(tree)} files were up to date"]
    _result(
        {**facts, "written": changes.written, "removed": changes.removed}, as_json, "\n".join(lines)
    )


@app.command()
def validate(env: Env = "dev", spec: SpecFile = DEFAULT_SPEC, as_json: AsJson = False) -> None:
    """Let Loki, Promtail and compose check the rendered files.

    Each from PATH or from its pinned image; what is not there is said, and is no failure.
    """
    from loglane.stack.validate import validate as run_checkers

    verdicts = run_checkers(_project(env, spec, None))
    table = _table("check", "outcome", "by")
    for verdict in verdicts:
        table.add_row(verdict.check, _coloured(verdict.outcome), verdict.how)
    if as_json:
        print(json.dumps({"env": env, "checks": [verdict.as_dict() for verdict in verdicts]}))
    else:
        _print(table)
    failed = [verdict for verdict in verdicts if verdict.outcome == "failed"]
    if failed:
        raise CheckFailed("\n".join(f"{verdict.check}:\n{verdict.output}" for verdict in failed))


@app.command()
def up(
    env: Env = "dev",
    spec: SpecFile = DEFAULT_SPEC,
    timeout: Annotated[float, typer.Option(help="Seconds each server may take to answer.")] = 180,
    as_json: AsJson = False,
) -> None:
    """Render and start the stack, and wait until it answers.

    Done when a line pushed through Loki comes back by query.
    """
    from loglane.stack.reporting import Reporter
    from loglane.stack.runtime import up as start

    project = _project(env, spec, None)
    running = start(project, Reporter(), timeout_s=timeout)
    facts = {
        "grafana": running.grafana_url,
        "loki": running.loki_url,
        "user": running.admin_user,
        "password_file": str(running.password_file),
        "probe_s": round(running.probe_s, 3),
    }
    text = (
        f"\nGrafana   {running.grafana_url}\n"
        f"  user    {running.admin_user}\n"
        f"  password  cat {running.password_file}\n"
        f"Loki      {running.loki_url}\n\n"
        f"Containers with the label or the names under `apps` in {spec} are collected."
    )
    _result(facts, as_json, text)


@app.command()
def down(
    env: Env = "dev",
    spec: SpecFile = DEFAULT_SPEC,
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Delete the stored lines and dashboards too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deleting.")] = False,
) -> None:
    """Stop the stack. Stored lines stay unless --volumes is given."""
    from loglane.stack.runtime import down as stop

    project = _project(env, spec, None)
    if volumes and not yes:
        question = f"Delete every stored line and dashboard of {project.spec.project!r}?"
        if not sys.stdin.isatty():
            raise typer.BadParameter("deleting needs an answer; give --yes", param_hint="--volumes")
        typer.confirm(question, abort=True)
    stop(project, volumes)


@app.command()
def status(env: Env = "dev", spec: SpecFile = DEFAULT_SPEC, as_json: AsJson = False) -> None:
    """Show the stack's containers and how they are."""
    from loglane.stack import engine

    project = _project(env, spec, None)
    found = engine.containers(engine.connect(), project.spec.project)
    if as_json:
        print(engine.as_json(found))
        return
    if not found:
        print(f"no containers of {project.spec.project!r}; `loglane up --env {env}` starts them")
        return
    table = _table("service", "state", "health", "image")
    for container in found:
        health = _coloured(container.health) if container.health else "-"
        table.add_row(container.service, container.state, health, container.image)
    _print(table)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def compose(context: typer.Context, env: Env = "dev", spec: SpecFile = DEFAULT_SPEC) -> None:
    """Run `docker compose` on the stack.

    For example: loglane compose logs --tail 100 loki
    """
    from loglane.stack import engine

    engine.compose_version()
    project = _project(env, spec, None)
    project.require_rendered()
    file = project.compose_file
    os.execvp("docker", ["docker", "compose", "--file", str(file), *context.args])  # noqa: S606, S607


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3100,
    db: Annotated[
        Path | None, typer.Option(help="SQLite file to keep lines in. [default: memory]")
    ] = None,
) -> None:
    """Run the embedded server, for development and tests.

    It speaks Loki's HTTP API over SQLite. Never for production.
    """
    from loglane.devserver import serve as run_server

    run_server(host=host, port=port, db=None if db is None else str(db))


@app.command()
def demo(
    lines: Annotated[bool, typer.Option("--lines", help="Also print every line shipped.")] = False,
    loki: Annotated[
        str | None, typer.Option(help="URL of a running Loki. [default: an embedded server]")
    ] = None,
) -> None:
    """Run an example app and ask for every line it logged."""
    from loglane.demo import run_demo

    run_demo(show_lines=lines, loki=loki)


@app.command()
def config(file: SettingsFile = None, as_json: AsJson = False) -> None:
    """Show the package's settings in force and where each comes from."""
    from loglane.settings import load_settings, report

    loaded = load_settings({}, config_file=file)
    if as_json:
        print(json.dumps(report.facts(loaded)))
        return
    table = _table("setting", "value", "from")
    for row in report.rows(loaded):
        cells = map(escape, (row.name, row.value, row.origin))
        table.add_row(*cells, style=None if row.given else "dim")
    print(*report.summary(loaded), "", sep="\n", flush=True)
    # A pipe gets one line for each setting, however long.
    Console(highlight=False, width=None if sys.stdout.isatty() else 1000).print(table)


def _project(env: str, spec: Path, out: Path | None) -> Project:
    from loglane.stack.project import open_project

    return open_project(env, spec, out)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(table: Table) -> None:
    Console(soft_wrap=False, highlight=False).print(table)


def _coloured(outcome: str) -> str:
    colour = {"passed": "green", "healthy": "green", "failed": "red", "unhealthy": "red"}
    return f"[{colour.get(outcome, 'yellow')}]{outcome}[/]"


def _result(facts: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        print(json.dumps(facts))
    elif text:
        print(text)


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


def _report(error: LoglaneError) -> None:
    # A check that fails has printed what it found; any other error has printed nothing yet.
    if "--json" in sys.argv and not isinstance(error, CheckFailed):
        facts: dict[str, Any] = {"error": str(error)}
        if isinstance(error, SpecError):
            facts["problems"] = [asdict(problem) for problem in error.problems]
        print(json.dumps(facts))
    prefix = "error: " if "\n" not in str(error) else "error:\n"
    print(f"{prefix}{error}", file=sys.stderr)
