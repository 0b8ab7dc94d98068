"""The database that the commands of the audit trail work on, and the options that name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loglane.errors import SinkUnavailable

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from loglane.settings.audit import Audit

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
# Looking through all records may take long.
_LONG_S = 600


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


def place_of(engine: Engine) -> str:
    """Return the address without its password."""
    from loglane.audit import faults

    return faults.place_of(engine.url)
