"""Commands of the tables of audit records: init, migrate, check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from loglane.cli.application import (
    AsJson,
    app,
    coloured,
    examples,
    new_table,
    print_result,
    print_table,
)
from loglane.cli.audit_database import Db, PasswordFile, SettingsFile, opened, place_of
from loglane.errors import CheckFailed

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from loglane.audit.schema import Change

audit = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, check and verify the tables of audit records.",
)
app.add_typer(audit, name="audit", epilog=examples("loglane audit init", "loglane audit check"))


@audit.command(
    epilog=examples("loglane audit init", "loglane audit init --db postgresql://app@db/audit")
)
def init(
    db: Db = None,
    password_file: PasswordFile = None,
    file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Make the tables, or bring them up to date. The database itself must be there."""
    from loglane.audit import schema

    with opened(db, password_file, file, makes_file=True) as engine:
        _print_change(engine, schema.init(engine), as_json)


@audit.command(epilog=examples("loglane audit migrate --config app.yaml"))
def migrate(
    db: Db = None,
    password_file: PasswordFile = None,
    file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Bring the tables up to date; fails when there are none."""
    from loglane.audit import schema

    with opened(db, password_file, file) as engine:
        _print_change(engine, schema.migrate(engine), as_json)


@audit.command(epilog=examples("loglane audit check", "loglane audit check --json"))
def check(
    db: Db = None,
    password_file: PasswordFile = None,
    file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Check that records can be written: it is reached, up to date, whole and takes a record.

    The record is taken back. It exits with 1 when something is wrong.
    """
    from loglane.audit import schema
    from loglane.audit.database import ANSWER_S

    with opened(db, password_file, file, answer_s=ANSWER_S) as engine:
        report = schema.check(engine)
        place = place_of(engine)
    found = [{"name": one.name, "passed": one.passed, "text": one.text} for one in report.findings]
    newest = report.newest.isoformat() if report.newest else None
    facts = {
        "database": place,
        "passed": report.passed,
        "findings": found,
        "records": report.records,
        "sealed": report.seals,
        "newest": newest,
    }
    if as_json:
        print_result(facts, True, "")
    else:
        print(place)
        table = new_table("check", "", "found")
        for one in report.findings:
            word = coloured("passed" if one.passed else "failed")
            table.add_row(one.name, word, escape(one.text))
        print_table(table)
        if report.passed:
            print(f"{report.records} records, {report.seals} sealed, newest {newest or 'none'}")
    if not report.passed:
        raise CheckFailed(next(one.text for one in report.findings if not one.passed))


def _print_change(engine: Engine, change: Change, as_json: bool) -> None:
    place = place_of(engine)
    facts = {"database": place, "before": change.before, "after": change.after}
    done = "made" if change.before is None else f"brought from {change.before}"
    text = f"{place}: tables {done}, revision {change.after}"
    if change.before == change.after:
        text = f"{place}: nothing to do, revision {change.after}"
    print_result(facts, as_json, text)
