"""What an error of a database means for a batch: try again, or refuse a record.

Codes: SQLite's result codes (https://www.sqlite.org/rescode.html), errors of MySQL and MariaDB
(https://mariadb.com/kb/en/mariadb-error-code-reference/), SQLSTATE of PostgreSQL
(https://www.postgresql.org/docs/current/errcodes-appendix.html).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from loglane.errors import SinkUnavailable

INIT = "`loglane audit init` makes the tables"
MIGRATE = "`loglane audit migrate` brings the tables up to date"


class Fault(Enum):
    """What is to be done about an error."""

    refused = "the record will never be taken"
    again = "trying at once helps: the connection was stale, or two writers met"
    later = "trying later may help"


# MySQL and MariaDB, by number; also what their drivers say themselves (2000 and above).
_MYSQL = {
    **dict.fromkeys(
        (
            1048,  # a column cannot be null
            1118, 1153,  # the row, or the packet, is too large
            1264, 1265, 1292, 1366, 1406,  # the value does not fit
            1364,  # a column has no default
            3140, 3141, 3819, 4025,  # no JSON; a constraint fails
        ),
        Fault.refused,
    ),
    # Deadlock; the server went away or hung up.
    **dict.fromkeys((1213, 2006, 2013, 2055), Fault.again),
}  # fmt: skip
# PostgreSQL, by SQLSTATE or its class.
_POSTGRES = {
    "22": Fault.refused,  # data exception
    "23": Fault.refused,  # integrity constraint violation
    "54": Fault.refused,  # a limit of the program, such as the size of a row
    "40": Fault.again,  # transaction rollback: deadlock, serialization
    "57P01": Fault.again,  # terminated by an administrator
    "57P02": Fault.again,
    "08": Fault.again,
}
_ADVICE = {
    "42P01": INIT, 1146: INIT, "no such table": INIT,
    "42703": MIGRATE, 1054: MIGRATE, "has no column": MIGRATE,
    # Of a connection that fails, psycopg has no code.
    'FATAL:  database "': "make the database first",
    "3D000": "make the database first", 1049: "make the database first",
    "unable to open database file": "does its folder exist, and may this user write there?",
}  # fmt: skip


def fault_of(error: BaseException) -> Fault:
    """Tell what an error means for the batch in whose writing it was raised."""
    if not isinstance(error, DBAPIError):
        # What a driver raises for a value that it cannot send.
        is_value = isinstance(error, (ValueError, TypeError, OverflowError))
        wrapped = isinstance(error, StatementError) and error.orig is not None
        return Fault.refused if is_value or wrapped else Fault.later
    code = _code(error)
    if isinstance(code, int) and code in _MYSQL:
        return _MYSQL[code]
    if isinstance(code, str):
        return _POSTGRES.get(code) or _POSTGRES.get(code[:2]) or Fault.later
    if error.connection_invalidated:
        return Fault.again
    # The classes of PEP 249, as every driver has them.
    names = {kind.__name__ for kind in type(error.orig).__mro__}
    return Fault.refused if names & {"DataError", "IntegrityError"} else Fault.later


def _code(error: DBAPIError) -> int | str | None:
    """Return MySQL's number or PostgreSQL's SQLSTATE; None when there is neither."""
    first = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if type(first) is int:
        # Drivers of MySQL have an SQLSTATE too, which says less.
        return first
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None


def reason_of(error: BaseException) -> str:
    """Return what the database said, in a line; neither statement nor values."""
    orig = error.orig if isinstance(error, StatementError) else None
    if orig is None:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    primary = getattr(getattr(orig, "diag", None), "message_primary", None)
    if not primary and len(orig.args) > 1 and type(orig.args[0]) is int:
        primary = f"{orig.args[1]} ({orig.args[0]})"
    return " ".join(str(primary or orig or type(orig).__name__).split())


def _advice(error: BaseException) -> str:
    code = _code(error) if isinstance(error, DBAPIError) else None
    if code is not None:
        return _ADVICE.get(code, "")
    said = str(error)
    return next(
        (what for word, what in _ADVICE.items() if isinstance(word, str) and word in said), ""
    )


def place_of(url: URL) -> str:
    """Return an address without user, password and options."""
    return URL.create(
        url.get_backend_name(), host=url.host, port=url.port, database=url.database
    ).render_as_string()


def advised(error: BaseException) -> str:
    """Return what the database said and what to do, in a line."""
    advice = _advice(error)
    return reason_of(error) + (f"; {advice}" if advice else "")


def unavailable(error: BaseException, url: URL) -> SinkUnavailable:
    """Return the error that says which database it is, what it said, and what to do."""
    return SinkUnavailable(f"{place_of(url)}: {advised(error)}")


ERRORS = (SQLAlchemyError, OSError, asyncio.TimeoutError)


@contextmanager
def available(url: URL) -> Iterator[None]:
    """Turn the errors of a database into `SinkUnavailable`."""
    try:
        yield
    except ERRORS as error:
        raise unavailable(error, url) from None
