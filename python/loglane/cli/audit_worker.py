"""The command that stores the audit records that other processes have put into Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loglane.cli.application import examples
from loglane.cli.audit import audit
from loglane.cli.audit_database import Db, PasswordFile, SettingsFile
from loglane.errors import CheckFailed


@audit.command(
    epilog=examples(
        "loglane audit worker --redis redis://127.0.0.1:6379/0 --db postgresql://audit@db/audit",
        "loglane audit worker --config /etc/loglane/loglane.yaml --workers 4",
        "loglane audit worker --drain",
    )
)
def worker(
    *,
    redis: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the Redis. [default: as set]")
    ] = None,
    redis_password_file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, readable=True, help="File with the password of --redis."
        ),
    ] = None,
    db: Db = None,
    password_file: PasswordFile = None,
    file: SettingsFile = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Batches that are stored at a time. [default: as set]"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of this worker in the group. [default: HOST-PID]"),
    ] = None,
    drain: Annotated[
        bool, typer.Option("--drain", help="Store what is there, and end; as for cron.")
    ] = False,
) -> None:
    """Store the audit records that other processes put into Redis.

    Runs until SIGTERM or Ctrl-C. What it has not stored then stays in Redis. It waits for a Redis
    or a database that is away. Several may run; they share the work.
    """
    from loglane.audit.transport.process import run_worker

    tally = run_worker(
        redis={"url": redis, "password_file": redis_password_file},
        audit={"url": db, "password_file": password_file, "workers": workers},
        config_file=file,
        name=name,
        drain=drain,
    )
    if drain and tally.left:
        raise CheckFailed(f"batches that stay in the stream: {tally.left}; the log says why")
