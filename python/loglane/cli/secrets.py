"""Commands of the secrets: init, set, rotate, list. A value is read from stdin, never shown."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from loglane.cli.application import (
    DEFAULT_SPEC,
    AsJson,
    Env,
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

if TYPE_CHECKING:
    from loglane.stack.rotation import Change
    from loglane.stack.secretfolder import Finding

secrets = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, check, give and rotate passwords and keys.",
)
app.add_typer(
    secrets,
    name="secrets",
    epilog=examples("loglane secrets init --env prod", "loglane secrets list"),
)


@secrets.command(epilog=examples("loglane secrets init", "loglane secrets init --env prod"))
def init(env: Env = "dev", spec: SpecFile = DEFAULT_SPEC, as_json: AsJson = False) -> None:
    """Make what is missing; what is there stays.

    Fails with a list when a secret is missing that only you can give, or one is weak.
    """
    from loglane.stack.secretfolder import SecretFolder

    project = project_of(env, spec, None)
    found = SecretFolder(project.spec, project.secrets).init()
    _print_findings(env, str(project.secrets), found, as_json)
    missing = [finding for finding in found if finding.outcome == "missing"]
    if missing:
        lines = [f"{finding.secret.name} is missing: {finding.detail}" for finding in missing]
        raise CheckFailed("\n".join(lines))


@secrets.command(name="list", epilog=examples("loglane secrets list --env prod --json"))
def list_them(env: Env = "dev", spec: SpecFile = DEFAULT_SPEC, as_json: AsJson = False) -> None:
    """Show which secrets are needed and which are there."""
    from loglane.stack.secretfolder import SecretFolder

    project = project_of(env, spec, None)
    found = SecretFolder(project.spec, project.secrets).look()
    _print_findings(env, str(project.secrets), found, as_json)


@secrets.command(
    name="set", epilog=examples("loglane secrets set alert_webhook_url --env prod < address.txt")
)
def set_one(
    name: Annotated[str, typer.Argument(help="Its name, as `loglane secrets list` shows it.")],
    env: Env = "dev",
    spec: SpecFile = DEFAULT_SPEC,
    as_json: AsJson = False,
) -> None:
    """Read a secret from stdin and write it.

    For example: pass show smtp | loglane secrets set grafana_smtp_password
    """
    from loglane.stack.rotation import give

    project = project_of(env, spec, None)
    terminal = sys.stdin.isatty()
    value = getpass.getpass(f"{name} (not shown): ") if terminal else sys.stdin.read()
    _print_changes(env, give(project, name, value), as_json)


@secrets.command(
    epilog=examples("loglane secrets rotate", "loglane secrets rotate grafana_admin_password")
)
def rotate(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Which ones. [default: all generated but gateway_ca]"),
    ] = None,
    env: Env = "dev",
    spec: SpecFile = DEFAULT_SPEC,
    as_json: AsJson = False,
) -> None:
    """Give secrets new values, also in what runs.

    Grafana is told its new password; the gateway starts anew, which takes a moment.
    """
    from loglane.stack.rotation import rotate as replace

    _print_changes(env, replace(project_of(env, spec, None), names or []), as_json)


def _print_findings(env: str, folder: str, found: list[Finding], as_json: bool) -> None:
    facts = {"env": env, "folder": folder, "secrets": [finding.as_dict() for finding in found]}
    if as_json:
        print_result(facts, as_json, "")
        return
    table = new_table("secret", "outcome", "what for", "note")
    for finding in found:
        secret = finding.secret
        table.add_row(secret.name, coloured(finding.outcome), secret.purpose, finding.detail)
    print_table(table)


def _print_changes(env: str, changes: list[Change], as_json: bool) -> None:
    facts = {
        "env": env,
        "changed": [
            {"name": change.secret.name, "follow_up": change.follow_up} for change in changes
        ],
    }
    lines = [f"{change.secret.name}: {change.follow_up}" for change in changes]
    print_result(facts, as_json, "\n".join(lines))
