"""Tamper evidence: seals that are written after the records, and link them by hashes.

A seal is not written in the transaction of its record: every such transaction would wait for the
one before. A sealer takes committed records that have none yet, in the order of their ids. Two
sealers meet on the primary key of `audit_seals`; the one that loses reads again.

Each UTC day has a chain, which starts from the last hash of the day before. Who may write into the
database may also compute it anew: only a hash kept elsewhere (`verify(expect=)`) shows that, or
that the newest records have gone together with their seals.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timezone
from typing import Any

from sqlalchemy import Text, cast, func, insert, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from loglane.audit.chain import START, link
from loglane.audit.database import SQLITE_BEGIN
from loglane.audit.table import audit_records, audit_seals

# A page is hashed between two turns of the event loop: a few milliseconds.
_AT_ONCE = 200
_ATTEMPTS = 5
# A transaction may commit records long after later ones were sealed: this many ids are looked at
# again. What is older is for `seal(everything=True)`, and `verify` names it.
_LOOK_BACK = 10_000
_HEADS = 50

records, seals = audit_records.c, audit_seals.c
# As text: no driver reads numbers of it in its own way, and what is no JSON can still be read.
COLUMNS = [column for column in records if column.name not in ("id", "extra")]
EXTRA = cast(records.extra, Text).label("extra")


async def seal(engine: AsyncEngine, *, everything: bool = False) -> int:
    """Seal committed records; see `seal_records`."""
    async with engine.connect() as connection:
        return await connection.run_sync(seal_records, everything=everything)


def seal_records(connection: Connection, *, everything: bool = False) -> int:
    """Seal committed records that have no seal yet, in transactions of their own.

    Args:
        connection: With no transaction begun.
        everything: Look through the whole table, not just at what is new.

    Returns:
        How many were sealed.

    Raises:
        SQLAlchemyError: The database says no.
    """
    sealed, floor = 0, 0 if everything else _floor(connection)
    while True:
        ids = _unsealed(connection, floor)
        if not ids:
            return sealed
        sealed += _seal_again(connection, ids)
        floor = ids[-1]


def _floor(connection: Connection) -> int:
    newest = (
        select(seals.event_id).order_by(seals.day.desc(), seals.seq.desc()).limit(_HEADS).subquery()
    )
    joined = audit_records.join(newest, newest.c.event_id == records.event_id)
    with _begun(connection):
        last = connection.execute(select(func.max(records.id)).select_from(joined)).scalar()
    return max(0, (last or 0) - _LOOK_BACK)


def _unsealed(connection: Connection, floor: int) -> list[int]:
    found = (
        select(records.id)
        .outerjoin(audit_seals, seals.event_id == records.event_id)
        .where(seals.event_id.is_(None), records.id > floor)
        .order_by(records.id)
        .limit(_AT_ONCE)
    )
    with _begun(connection):
        return list(connection.execute(found).scalars())


def _seal_again(connection: Connection, ids: Sequence[int]) -> int:
    for left in reversed(range(_ATTEMPTS)):
        try:
            with _begun(connection, writes=True):
                return _seal_once(connection, ids)
        except DBAPIError as error:
            # Another sealer was quicker: the key is taken, or the two wait for each other.
            if error.connection_invalidated or not left:
                raise
    return 0


def _seal_once(connection: Connection, ids: Sequence[int]) -> int:
    day, seq, previous = _head(connection)
    today = max(datetime.now(timezone.utc).date(), day)
    seq = seq if today == day else 0
    made: list[dict[str, Any]] = []
    for row in connection.execute(_to_seal(ids)).mappings():
        previous = link(previous, row)
        seq += 1
        made.append({"day": today, "seq": seq, "event_id": row["event_id"], "hash": previous})
    if made:
        connection.execute(insert(audit_seals), made)
    return len(made)


def _head(connection: Connection) -> tuple[date, int, str]:
    newest = (
        select(seals.day, seals.seq, seals.hash)
        .order_by(seals.day.desc(), seals.seq.desc())
        .limit(1)
    )
    found = connection.execute(newest).first()
    return (found.day, found.seq, found.hash) if found else (date.min, 0, START)


def _to_seal(ids: Sequence[int]) -> Any:
    return (
        select(*COLUMNS, EXTRA)
        .outerjoin(audit_seals, seals.event_id == records.event_id)
        .where(seals.event_id.is_(None), records.id.in_(ids))
        .order_by(records.id)
    )


def _begun(connection: Connection, *, writes: bool = False) -> Any:
    if connection.dialect.name == "sqlite":
        # What reads before it writes has to say so, or is refused when another wrote in between.
        how = "IMMEDIATE" if writes else ""
        connection.execution_options(**{SQLITE_BEGIN: how})
    return connection.begin()
