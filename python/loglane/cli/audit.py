"""Commands of the audit trail: init, migrate, check, seal, verify."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
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
from loglane.errors import CheckFailed, SinkUnavailable

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from loglane.audit.schema import Change
    from loglane.audit.verification import Verification
    from loglane.settings.audit import Audit

audit = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, check and verify the tables of audit records.",
)
app.add_typer(audit, name="audit", epilog=examples("loglane audit init", "loglane audit check"))

Db = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Address of the database, such as postgresql://user@host/audit. [default: as set]",
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, readable=True, help="File with the password of --db."
    ),
]  # fmt: skip
SettingsFile = Annotated[
    Path | None, typer.Option("--config", help="Settings file. [default: as `configure` does]")
]
Expected = Annotated[
    list[str] | None,
    typer.Option("--expect", metavar="DAY=HASH", help="A hash that was kept elsewhere; repeat."),
]
# Looking through all records may take long.
_LONG_S = 600
_HASH = re.compile(r"[0-9a-f]{64}")


def read_day(text: str | date) -> date:
    """Read a day of the command line, in UTC."""
    try:
        return text if isinstance(text, date) else date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day, such as 2026-11-22") from None


Since = Annotated[Any, typer.Option(parser=read_day, metavar="DAY", help="First day, UTC.")]
Until = Annotated[Any, typer.Option(parser=read_day, metavar="DAY", help="Last day, UTC.")]


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
        place = _place(engine)
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


@audit.command(epilog=examples("loglane audit seal"))
def seal(
    db: Db = None,
    password_file: PasswordFile = None,
    file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Seal every record that has no seal yet.

    With `tamper_evident` a process does so by itself for what is new; this is for records of
    processes that write none in the background, and of transactions that took long.
    """
    from loglane.audit.faults import available
    from loglane.audit.seals import seal_records

    with opened(db, password_file, file) as engine:
        with available(engine.url), engine.connect() as connection:
            sealed = seal_records(connection, everything=True)
        place = _place(engine)
    print_result({"database": place, "sealed": sealed}, as_json, f"{place}: {sealed} sealed")


@audit.command(
    epilog=examples(
        "loglane audit verify",
        "loglane audit verify --since 2026-11-01 --json",
        "loglane audit verify --expect 2026-11-21=8d5f...",
    )
)
def verify(
    since: Since = None,
    until: Until = None,
    expect: Expected = None,
    db: Db = None,
    password_file: PasswordFile = None,
    file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Compute the chain of hashes again: no sealed record was changed or removed.

    Prints each day's number of records and last hash. Keep the hash where nobody who can write to
    the database can reach it, and give it with --expect: only this shows that the newest records
    were removed with their seals, or that all was computed anew. It exits with 1 on any break.
    """
    from loglane.audit.faults import available
    from loglane.audit.verification import verify_records

    expected = dict(map(_read_expected, expect or ()))
    with opened(db, password_file, file) as engine:
        with available(engine.url), engine.connect() as connection:
            found = verify_records(connection, since=since, until=until, expect=expected)
        place = _place(engine)
    _print_verification(place, found, as_json)
    if not found.passed:
        count = len(found.breaks)
        raise CheckFailed(f"the chain is broken in {count} place{'s' if count > 1 else ''}")


@contextmanager
def opened(
    db: str | None,
    password_file: Path | None,
    file: Path | None,
    *,
    makes_file: bool = False,
    answer_s: int = _LONG_S,
) -> Iterator[Engine]:
    """Open the database of --db, or of the settings.

    Args:
        db: Its address.
        password_file: Its password.
        file: Settings.
        makes_file: Whether a file of SQLite may be missing.
        answer_s: How long a server may take for an answer.

    Raises:
        SpecError: The address is none.
        SinkUnavailable: It is a file, and there is none.
    """
    from loglane.audit.database import open_sync_engine

    if db is None:
        settings = settings_of(file)
        db, secret = settings.url, password_file or settings.password_file
    else:
        secret = password_file
    engine = open_sync_engine(db, password_file=secret, pool_size=1, answer_s=answer_s)
    try:
        name = engine.url.database
        is_file = engine.url.get_backend_name() == "sqlite" and name and ":" not in name
        if is_file and name and not makes_file and not Path(name).exists():
            raise SinkUnavailable(f"there is no file {name}; `loglane audit init` makes it")
        yield engine
    finally:
        engine.dispose()


def settings_of(file: Path | None) -> Audit:
    """Return the section of the audit trail of the settings in force."""
    from loglane.settings import load_settings

    return load_settings({}, config_file=file).settings.audit


def _read_expected(pair: str) -> tuple[date, str]:
    day, _, kept = pair.partition("=")
    if not _HASH.fullmatch(kept.lower()):
        raise typer.BadParameter(f"{pair!r} is not DAY=HASH", param_hint="--expect")
    return read_day(day), kept.lower()


def _place(engine: Engine) -> str:
    from loglane.audit.faults import place_of

    return place_of(engine.url)


def _print_change(engine: Engine, change: Change, as_json: bool) -> None:
    place = _place(engine)
    facts = {"database": place, "before": change.before, "after": change.after}
    done = "made" if change.before is None else f"brought from {change.before}"
    text = f"{place}: tables {done}, revision {change.after}"
    if change.before == change.after:
        text = f"{place}: nothing to do, revision {change.after}"
    print_result(facts, as_json, text)


def _print_verification(place: str, found: Verification, as_json: bool) -> None:
    facts = {
        "database": place,
        "passed": found.passed,
        "days": [
            {"day": one.day.isoformat(), "records": one.count, "head": one.head}
            for one in found.days
        ],
        "breaks": [
            {
                "kind": one.kind,
                "day": one.day.isoformat() if one.day else None,
                "event_id": one.event_id or None,
                "text": one.text,
            }
            for one in found.breaks
        ],
        "pending": found.pending,
    }
    if as_json:
        print_result(facts, True, "")
        return
    print(place)
    # Never folded: the hash is there to be copied.
    print(f"{'day':<10}  {'records':>9}  head")
    for day in found.days:
        print(f"{day.day.isoformat()}  {day.count:>9}  {day.head}")
    console = Console(highlight=False, soft_wrap=True)
    for one in found.breaks:
        console.print(f"[red]{one.kind}[/] {escape(one.text)}")
    if found.pending:
        print(f"{found.pending} records of the last minute have no seal yet")
