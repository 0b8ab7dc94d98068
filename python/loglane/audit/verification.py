"""Whether the records are those that were sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from functools import partial
from typing import Any, Literal

from sqlalchemy import and_, not_, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from loglane.audit.chain import START, link
from loglane.audit.seals import COLUMNS, EXTRA, records, seals
from loglane.audit.table import audit_records, audit_seals

# Records that are so new may be on their way to be sealed.
SEALED_WITHIN = timedelta(minutes=1)
_AT_ONCE = 1000
_UNSEALED_SHOWN = 1000

_SEAL = [seals[name].label(f"seal_{name}") for name in ("day", "seq", "event_id", "hash")]

Kind = Literal["changed", "removed", "seal removed", "not sealed", "other head"]


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the chain and the records do not fit together.

    Attributes:
        kind: What is wrong.
        day: Of the chain; None for a record without seal.
        event_id: Of the record, or of the first one behind a seal that is gone; may be empty.
        text: The same for people.
    """

    kind: Kind
    day: date | None
    event_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Day:
    """A day's chain: how many records, and its last hash, to be kept elsewhere."""

    day: date
    count: int
    head: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes:
        days: Oldest first.
        breaks: In the order of the chain; then records without seal.
        pending: How many records are so new that they need no seal yet.
    """

    days: tuple[Day, ...]
    breaks: tuple[Break, ...]
    pending: int = 0

    @property
    def passed(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.breaks


async def verify(
    engine: AsyncEngine,
    *,
    since: date | None = None,
    until: date | None = None,
    expect: Mapping[date, str] | None = None,
) -> Verification:
    """Compute all hashes again; see `verify_records`."""
    async with engine.connect() as connection:
        return await connection.run_sync(
            verify_records, since=since, until=until, expect=expect or {}
        )


def verify_records(
    connection: Connection,
    *,
    since: date | None = None,
    until: date | None = None,
    expect: Mapping[date, str] | None = None,
) -> Verification:
    """Compute all hashes again and compare them.

    Args:
        connection: With no transaction begun.
        since: The first day, UTC, of sealing.
        until: The last day.
        expect: Hashes that were kept: each must be in the chain of its day. One of the day before
            the first day there is stands for seals that were archived.

    Raises:
        SQLAlchemyError: The database says no.
    """
    expect = dict(expect or {})
    with connection.begin():
        walk = _Walk(_before(connection, since, expect), expect)
        for row in _sealed(connection, since, until):
            walk.take(row)
        walk.finish(partial(_is_there, connection))
        unsealed, pending = _unsealed(connection, since, until)
    return Verification(tuple(walk.days()), (*walk.breaks, *unsealed), pending)


@dataclass
class _Walk:
    """Goes along the seals; after a break it goes on from what the seal says."""

    previous: str | None
    expect: dict[date, str]
    breaks: list[Break] = field(default_factory=list)
    _heads: dict[date, tuple[int, int, str]] = field(default_factory=dict)
    _met: set[date] = field(default_factory=set)

    def take(self, row: Mapping[Any, Any]) -> None:
        """Compare one seal with its record."""
        day, seq = row["seal_day"], row["seal_seq"]
        count, last, _ = self._heads.get(day, (0, 0, ""))
        if seq != last + 1:
            self._break("seal removed", row, f"of the seals before it are gone: {seq - last - 1}")
            self.previous = None
        if row["event_id"] is None:
            self._break("removed", row, "the record is gone")
        elif self.previous is not None and not _fits(self.previous, row):
            self._break("changed", row, "the record, or its seal, is not what was sealed")
        self.previous = row["seal_hash"]
        self._heads[day] = count + 1, seq, row["seal_hash"]
        if self.expect.get(day) == row["seal_hash"]:
            self._met.add(day)

    def finish(self, is_there: Callable[[date, str], bool]) -> None:
        """Miss the hashes that were expected and not met; those of other days are asked for."""
        for day in sorted(set(self.expect) - self._met):
            if day in self._heads or not is_there(day, self.expect[day]):
                text = f"{day}: its chain does not have the hash that was expected"
                self.breaks.append(Break("other head", day, "", text))

    def days(self) -> Iterator[Day]:
        """Yield what was walked along, by day."""
        for day, (count, _, head) in self._heads.items():
            yield Day(day, count, head)

    def _break(self, kind: Kind, row: Mapping[Any, Any], text: str) -> None:
        day, event_id = row["seal_day"], row["seal_event_id"]
        self.breaks.append(Break(kind, day, event_id, f"{day} {event_id}: {text}"))


def _fits(previous: str, row: Mapping[Any, Any]) -> bool:
    record = {name: value for name, value in row.items() if not name.startswith("seal_")}
    try:
        return bool(link(previous, record) == row["seal_hash"])
    except (ValueError, TypeError, RecursionError):
        # No JSON any more, which nobody sealed.
        return False


def _before(connection: Connection, since: date | None, expect: dict[date, str]) -> str | None:
    """Return the hash that the first seal follows."""
    first = select(seals.day).order_by(seals.day).limit(1)
    if since is not None:
        earlier = (
            select(seals.hash)
            .where(seals.day < since)
            .order_by(seals.day.desc(), seals.seq.desc())
            .limit(1)
        )
        found = connection.execute(earlier).scalar()
        if found is not None:
            return str(found)
        first = first.where(seals.day >= since)
    begins = connection.execute(first).scalar()
    kept = [day for day in expect if begins is not None and day < begins]
    return expect.pop(max(kept)) if kept else START


def _sealed(
    connection: Connection, since: date | None, until: date | None
) -> Iterator[Mapping[Any, Any]]:
    page = (
        select(
            *_SEAL,
            *COLUMNS,
            EXTRA,
        )
        .select_from(audit_seals.outerjoin(audit_records, seals.event_id == records.event_id))
        .order_by(seals.day, seals.seq)
        .limit(_AT_ONCE)
    )
    if since is not None:
        page = page.where(seals.day >= since)
    if until is not None:
        page = page.where(seals.day <= until)
    asked: Any = page
    while rows := _rows(connection, asked):
        yield from rows
        day, seq = rows[-1]["seal_day"], rows[-1]["seal_seq"]
        asked = page.where(or_(seals.day > day, and_(seals.day == day, seals.seq > seq)))


def _rows(connection: Connection, page: Any) -> list[Mapping[Any, Any]]:
    try:
        return list(connection.execute(page).mappings())
    except (ValueError, TypeError):
        # SQLite keeps anything in any column: one of them is no moment any more.
        bare = page.with_only_columns(*_SEAL, records.event_id, maintain_column_froms=True)
        return [_row(connection, page, row) for row in connection.execute(bare).mappings().all()]


def _row(connection: Connection, page: Any, bare: Mapping[Any, Any]) -> Mapping[Any, Any]:
    try:
        one = page.where(seals.event_id == bare["seal_event_id"])
        return connection.execute(one).mappings().one()
    except (ValueError, TypeError):
        return {**bare, "extra": ""}


def _unsealed(
    connection: Connection, since: date | None, until: date | None
) -> tuple[list[Break], int]:
    found = (
        select(records.event_id)
        .outerjoin(audit_seals, seals.event_id == records.event_id)
        .where(seals.event_id.is_(None))
        .order_by(records.id)
        .limit(_UNSEALED_SHOWN)
    )
    if since is not None:
        found = found.where(records.recorded_at >= _midnight(since))
    if until is not None:
        found = found.where(records.recorded_at < _midnight(until + timedelta(days=1)))
    now = datetime.now(timezone.utc)
    is_new = records.recorded_at.between(now - SEALED_WITHIN, now)
    late = connection.execute(found.where(not_(is_new))).scalars()
    breaks = [Break("not sealed", None, one, f"{one}: the record has no seal") for one in late]
    return breaks, len(connection.execute(found.where(is_new)).scalars().all())


def _is_there(connection: Connection, day: date, kept: str) -> bool:
    found = select(seals.seq).where(seals.day == day, seals.hash == kept)
    return connection.execute(found).first() is not None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.utc)
