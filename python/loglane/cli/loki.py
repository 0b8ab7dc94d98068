"""What every command that asks Loki shares: how to reach it, and what its errors become."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loglane.cli.notes import clock
from loglane.errors import LoglaneError, QueryError, ServiceUnavailable, TooManyResults
from loglane.fields import LEVELS

if TYPE_CHECKING:
    from loglane.query import LogService, Query

HOUR_NS = 3600 * 10**9
DEFAULT_URL = "http://127.0.0.1:3100"


def _file(variable: str, text: str) -> Any:
    return typer.Option(
        envvar=f"LOGLANE_LOKI__{variable}", exists=True, dir_okay=False, readable=True, help=text
    )


# The variables are those by which the package pushes to the same Loki.
Url = Annotated[
    str,
    typer.Option(
        envvar="LOGLANE_LOKI__URL",
        help="Address of Loki.",
    ),
]
Tenant = Annotated[
    str | None,
    typer.Option(
        envvar="LOGLANE_LOKI__TENANT",
        help="For a Loki with tenants.",
    ),
]
User = Annotated[
    str | None,
    typer.Option(
        envvar="LOGLANE_LOKI__AUTH__USERNAME",
        help="Who asks, for a gateway in front; with --password-file.",
    ),
]
PasswordFile = Annotated[
    Path | None, _file("AUTH__PASSWORD_FILE", "File with the password of --user.")
]
TokenFile = Annotated[
    Path | None, _file("AUTH__TOKEN_FILE", "File with a bearer token, instead of --user.")
]
CaFile = Annotated[
    Path | None,
    _file("TLS__CA_FILE", "Certificates to trust: gateway_ca.pem of a stack with a gateway."),
]
CertFile = Annotated[
    Path | None,
    _file(
        "TLS__CERT_FILE",
        "Certificate to show, for a server that asks for one; with its key, or --key-file.",
    ),
]
KeyFile = Annotated[Path | None, _file("TLS__KEY_FILE", "Its key.")]


def read_moment(text: str | None) -> int | None:
    """Read a time of the command line, in nanoseconds; a naive one is local."""
    if text is None or isinstance(text, int):
        return text
    from loglane.query.moments import to_ns

    try:
        return to_ns(text, time.time_ns())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def span_of(since: int | None, until: int | None, hours: int = 1) -> tuple[int, int]:
    """Return the time range of a command in nanoseconds.

    Args:
        since: Its begin; None is `hours` before the end.
        until: Its end; None is now.
        hours: How far to look back.
    """
    end_ns = time.time_ns() if until is None else until
    start_ns = end_ns - hours * HOUR_NS if since is None else since
    if start_ns > end_ns:
        raise typer.BadParameter(
            f"the range ends at {clock(end_ns)}, before it starts at {clock(start_ns)}",
            param_hint="--until",
        )
    return start_ns, end_ns


def levels(incomplete: str) -> list[str]:
    """List the levels that a word may become, for the shell's completion."""
    return [name for name in LEVELS if name.startswith(incomplete)]


Since = Annotated[
    Any,
    typer.Option(
        parser=read_moment, metavar="TIME",
        help="From when: so long ago (15m, 1h30m, 7d), or 2026-11-22T03:04 (local; with Z UTC).",
    ),
]  # fmt: skip
Until = Annotated[
    Any, typer.Option(parser=read_moment, metavar="TIME", help="Until when. [default: now]")
]
Services = Annotated[
    list[str] | None, typer.Option("--service", "-s", help="Of this service; repeat for several.")
]
Levels = Annotated[
    list[str] | None,
    typer.Option("--level", "-l", help="Of this level; repeat.", autocompletion=levels),
]
Contains = Annotated[
    list[str] | None,
    typer.Option("--contains", "-c", help="With this text; repeat, and each must be there."),
]
FieldValues = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="NAME=VALUE",
        help="With this field: a label, an id, or one of the line's JSON (a.b is b inside a).",
    ),
]

# Names that the service has for something else.
_TAKEN = frozenset(
    {"limit", "offset", "cursor", "direction", "start_time", "end_time", "contains", "matches"}
)


@dataclass(frozen=True, slots=True)
class Access:
    """How a command was told to reach Loki."""

    url: str
    tenant: str | None = None
    user: str | None = None
    password_file: Path | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @contextmanager
    def open(self) -> Iterator[LogService]:
        """Open a service; its errors become messages that say what to do, and exit codes."""
        from loglane.query import LogService

        if (self.user is None) != (self.password_file is None):
            raise typer.BadParameter("--user and --password-file go together")
        if self.user is not None and self.token_file is not None:
            raise typer.BadParameter("give --user or --token-file, not both")
        if self.key_file is not None and self.cert_file is None:
            raise typer.BadParameter("--key-file goes with --cert-file")
        for file in (self.password_file, self.token_file):
            _check_text(file)
        auth = None
        if self.user is not None and self.password_file is not None:
            auth = self.user, self.password_file
        certificate = None
        if self.cert_file is not None:
            # A file may hold both.
            certificate = self.cert_file, self.key_file or self.cert_file
        with (
            readable_errors(),
            LogService(
                self.url,
                tenant=self.tenant,
                auth=auth,
                token=self.token_file,
                ca_file=self.ca_file,
                client_cert=certificate,
            ) as service,
        ):
            yield service


def _check_text(file: Path | None) -> None:
    try:
        if file is not None:
            file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _WrongQuestion(f"{file} is no text: it cannot be a password or a token") from None


class _WrongQuestion(LoglaneError):
    """What was asked can have no answer."""

    exit_code = 2


@contextmanager
def readable_errors() -> Iterator[None]:
    """Say what to do about an error of the service."""
    try:
        yield
    except ServiceUnavailable as error:
        raise ServiceUnavailable(
            f"{error}\n`make up` (or `loglane up`) starts a stack, `loglane serve` a server for "
            "development; --url names one that runs elsewhere"
        ) from None
    except TooManyResults:
        raise
    except QueryError as error:
        if error.status != 400:
            raise
        raise _WrongQuestion(f"Loki refused the query: {error}\nthe query: {error.query}") from None
    except (ValueError, TypeError) as error:
        raise _WrongQuestion(str(error)) from None


def read_filters(
    service: Sequence[str] | None,
    level: Sequence[str] | None,
    contains: Sequence[str] | None,
    field: Sequence[str] | None,
    **more: Any,
) -> dict[str, Any]:
    """Return the filters of a command by the names that `LogService` has for them."""
    given: Mapping[str, Any] = {"service": service, "level": level, "contains": contains, **more}
    found: dict[str, Any] = {name: value for name, value in given.items() if value}
    for pair in field or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--field")
        if name in _TAKEN:
            raise typer.BadParameter(
                f"{name!r} means something else here; write LogQL: "
                f'\'{{service=~".+"}} | json | {name}="..."\'',
                param_hint="--field",
            )
        before = found.setdefault(name, [])
        if isinstance(before, str):
            raise typer.BadParameter(f"{name} is given twice", param_hint="--field")
        before.append(value)
    return found


def query_of(filters: Mapping[str, Any]) -> Query:
    """Return the query that the service makes of filters."""
    from loglane.query.filters import Filters, Places
    from loglane.query.logql import Query

    named = {one.name for one in fields(Filters)}
    others = {name: value for name, value in filters.items() if name not in named}
    given = {name: value for name, value in filters.items() if name in named}
    return Filters(**given, fields=others).query(Places(), Query())
