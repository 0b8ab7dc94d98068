"""Commands of the stack: render, check, start, look at, stop."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer

from loglane.cli.application import (
    DEFAULT_SPEC,
    AsJson,
    Env,
    Out,
    SpecFile,
    app,
    coloured,
    examples,
    new_table,
    print_result,
    print_table,
    project_of,
)
from loglane.errors import CheckFailed


@app.command(epilog=examples("loglane render --env prod", "loglane render --check"))
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

    project = project_of(env, spec, out)
    tree = project.render()
    facts: dict[str, Any] = {"env": env, "out": str(project.out), "files": list(tree)}
    if check:
        project.require_rendered()
        diff = diff_tree(tree, project.out)
        print_result({**facts, "differs": bool(diff), "diff": diff}, as_json, diff.rstrip())
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
    print_result(
        {**facts, "written": changes.written, "removed": changes.removed}, as_json, "\n".join(lines)
    )


@app.command(epilog=examples("loglane validate", "loglane validate --env prod --json"))
def validate(env: Env = "dev", spec: SpecFile = DEFAULT_SPEC, as_json: AsJson = False) -> None:
    """Check the rendered files: by the programs, and for security.

    Each from PATH or from its pinned image; what is not there is said, and is no failure.
    """
    from loglane.stack.validate import validate as run_checks

    report = run_checks(project_of(env, spec, None))
    programs = new_table("check", "outcome", "by")
    for verdict in report.programs:
        programs.add_row(verdict.check, coloured(verdict.outcome), verdict.how)
    security = new_table("security", "outcome", "why")
    for found in report.security:
        security.add_row(found.name, coloured("passed" if found.passed else "failed"), found.why)
    if as_json:
        checks = [verdict.as_dict() for verdict in report.programs]
        found_safe = [found.as_dict() for found in report.security]
        print(json.dumps({"env": env, "checks": checks, "security": found_safe}))
    else:
        print_table(programs)
        print()
        print_table(security)
    if report.failures:
        raise CheckFailed("\n".join(report.failures))


@app.command(epilog=examples("loglane up", "loglane up --env staging --timeout 300"))
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

    project = project_of(env, spec, None)
    running = start(project, Reporter(), timeout_s=timeout)
    facts = {
        "grafana": running.grafana_url,
        "loki": running.loki_url,
        "gateway": running.gateway_url,
        "user": running.admin_user,
        "password_file": str(running.password_file),
        "probe_s": round(running.probe_s, 3),
    }
    text = (
        f"\nGrafana   {running.grafana_url}\n"
        f"  user    {running.admin_user}\n"
        f"  password  cat {running.password_file}\n"
        f"Loki      {running.loki_url}\n"
        + (f"Gateway   {running.gateway_url}\n" if running.gateway_url else "")
        + "\n"
        f"Containers with the label or the names under `apps` in {spec} are collected."
    )
    print_result(facts, as_json, text)


@app.command(epilog=examples("loglane down", "loglane down --env staging --volumes --yes"))
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

    project = project_of(env, spec, None)
    if volumes and not yes:
        question = f"Delete every stored line and dashboard of {project.spec.project!r}?"
        if not sys.stdin.isatty():
            raise typer.BadParameter("deleting needs an answer; give --yes", param_hint="--volumes")
        typer.confirm(question, abort=True)
    stop(project, volumes)


@app.command(epilog=examples("loglane status", "loglane status --env prod --json"))
def status(env: Env = "dev", spec: SpecFile = DEFAULT_SPEC, as_json: AsJson = False) -> None:
    """Show the stack's containers and how they are."""
    from loglane.stack import engine

    project = project_of(env, spec, None)
    found = engine.containers(engine.connect(), project.spec.project)
    if as_json:
        print(engine.as_json(found))
        return
    if not found:
        print(f"no containers of {project.spec.project!r}; `loglane up --env {env}` starts them")
        return
    table = new_table("service", "state", "health", "image")
    for container in found:
        health = coloured(container.health) if container.health else "-"
        table.add_row(container.service, container.state, health, container.image)
    print_table(table)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=examples(
        "loglane compose logs --tail 100 loki",
        "loglane compose --env prod exec grafana grafana cli plugins ls",
    ),
)
def compose(context: typer.Context, env: Env = "dev", spec: SpecFile = DEFAULT_SPEC) -> None:
    """Run `docker compose` on the stack."""
    from loglane.stack import engine

    engine.compose_version()
    project = project_of(env, spec, None)
    project.require_rendered()
    file = project.compose_file
    os.execvp("docker", ["docker", "compose", "--file", str(file), *context.args])  # noqa: S606, S607
