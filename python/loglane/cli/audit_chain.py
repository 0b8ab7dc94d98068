"""Commands of the chain of hashes over audit records: seal, verify."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from loglane.cli.application import AsJson, examples, print_result
from loglane.cli.audit import audit
from loglane.cli.audit_database import Db, PasswordFile, SettingsFile, opened, place_of
from loglane.errors import CheckFailed

if TYPE_CHECKING:
    from loglane.audit.verification import Verification

Expected = Annotated[
    list[str] | None,
    typer.Option("--expect", metavar="DAY=HASH", help="A hash that was kept elsewhere; repeat."),
]
_HASH = re.compile(r"[0-9a-f]{64}")


def read_day(text: str | date) -> date:
    """Read a day of the command line, in UTC."""
    try:
        return text if isinstance(text, date) else date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day, such as 2026-11-22") from None


Since = Annotated[Any, typer.Option(parser=read_day, metavar="DAY", help="First day, UTC.")]
Until = Annotated[Any, typer.Option(parser=read_day, metavar="DAY", help="Last day, UTC.")]


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
        place = place_of(engine)
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
        place = place_of(engine)
    _print_verification(place, found, as_json)
    if not found.passed:
        count = len(found.breaks)
        raise CheckFailed(f"the chain is broken in {count} place{'s' if count > 1 else ''}")


def _read_expected(pair: str) -> tuple[date, str]:
    day, _, kept = pair.partition("=")
    if not _HASH.fullmatch(kept.lower()):
        raise typer.BadParameter(f"{pair!r} is not DAY=HASH", param_hint="--expect")
    return read_day(day), kept.lower()


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
