"""`loglane audit dead`: records that the database refused, and a second try for them."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.markup import escape

from loglane.cli.application import AsJson, examples, new_table, print_result, print_table
from loglane.cli.audit import audit
from loglane.cli.audit_database import SettingsFile
from loglane.errors import AuditError

if TYPE_CHECKING:
    from loglane.sinks.audit import DeadLetter

OutboxFile = Annotated[
    Path | None, typer.Option("--outbox", help="The outbox. [default: the one of the settings]")
]
Retry = Annotated[
    bool, typer.Option("--retry", help="Let them be tried again by the next worker.")
]  # fmt: skip


@audit.command(
    epilog=examples(
        "loglane audit dead",
        "loglane audit dead --json | jq '.dead[].record'",
        "loglane audit dead --outbox /var/lib/app/audit-outbox.db --retry",
    )
)
def dead(
    outbox: OutboxFile = None,
    retry: Retry = False,
    file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """List the dead letters of the outbox: records that were none, or that the database refused.

    With --retry they wait for the database again, as after a migration or a fixed model.
    """
    from loglane.sinks.audit import Outbox

    path, max_bytes = _place(outbox, file)
    if not path.exists():
        raise AuditError(f"{path}: there is no outbox; name it with --outbox")
    box = Outbox(path, max_bytes)
    try:
        letters = box.dead()
        revived = box.revive([letter.id for letter in letters]) if retry else 0
        pending, _ = box.counts()
    finally:
        box.close()
    facts = {
        "outbox": str(path),
        "pending": pending,
        "revived": revived,
        "dead": [_facts(letter) for letter in letters],
    }
    if as_json or not letters:
        print_result(facts, as_json, f"{path}: no dead letters, {pending} records wait")
        return
    table = new_table("found", "event_id", "reason")
    for letter in letters:
        table.add_row(_moment(letter.at), letter.event_id or "-", escape(letter.reason))
    print_table(table)
    if retry:
        print(f"{revived} of them are tried again; {pending} records wait in {path}")
    else:
        print(f"{len(letters)} dead letters, {pending} records wait in {path}")


def _place(outbox: Path | None, file: Path | None) -> tuple[Path, int]:
    from loglane.settings import load_settings

    settings = load_settings({}, config_file=file).settings.audit.outbox
    if outbox is not None:
        return outbox, settings.max_bytes
    if settings.path is None:
        raise AuditError("the settings name no outbox; name one with --outbox")
    return Path(settings.path), settings.max_bytes


def _facts(letter: DeadLetter) -> dict[str, Any]:
    try:
        record = orjson.loads(letter.body)
    except ValueError:
        record = letter.body.decode(errors="replace")
    return {
        "id": letter.id,
        "event_id": letter.event_id,
        "at": _moment(letter.at),
        "reason": letter.reason,
        "record": record,
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds")
