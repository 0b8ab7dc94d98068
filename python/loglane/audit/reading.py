"""What is read: filters, the order of records, and the cursor of a page."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Generic, Literal, TypedDict
from uuid import UUID

import orjson
from pydantic import ValidationError
from sqlalchemy import ColumnElement, Select, and_, or_, select
from typing_extensions import TypeVar

from loglane.audit.event import COLUMNS, AuditEvent
from loglane.audit.rows import kept_text
from loglane.audit.table import audit_records
from loglane.errors import AuditError

Read = TypeVar("Read", bound=AuditEvent, default=AuditEvent)
MAX_LIMIT = 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_CURSOR = re.compile(r"1:(-?[0-9]{1,18}):([0-9]{1,19})")
_LARGEST_ID = 2**63 - 1
_DAMAGED = "the cursor is none of an AuditPage; pass it on as it was returned"


class Filters(TypedDict, total=False):
    """What records are chosen by; None and what is left out choose all.

    Attributes:
        actor: Who did it.
        user_id: On whose behalf.
        action: What was done.
        resource: What it was done to.
        status: Whether it worked.
        trace_id: Of the request.
        since: The earliest time, inclusive; aware.
        until: The latest time, exclusive; aware.
    """

    actor: str | int | UUID | None
    user_id: str | int | UUID | None
    action: str | None
    resource: str | int | UUID | None
    status: Literal["success", "failure"] | None
    trace_id: str | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class AuditPage(Generic[Read]):
    """One page of records.

    Attributes:
        events: Newest first.
        cursor: Of the next page, for `query` and `history`; None when there is none.
    """

    events: tuple[Read, ...]
    cursor: str | None = None


def select_page(
    filters: Mapping[str, Any], *, limit: int, cursor: str | None = None
) -> Select[tuple[Any, ...]]:
    """Return the statement of a page: one record more than it has, to see whether another follows.

    Args:
        filters: See `Filters`.
        limit: Records of the page, 1 to 1000.
        cursor: Of the page before.

    Raises:
        TypeError: There is no such filter.
        ValueError: A time is naive, the limit or the cursor is none.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"limit should be 1 to {MAX_LIMIT}, not {limit!r}; use iter for all")
    conditions = _conditions(**filters)
    table = audit_records.c
    if cursor is not None:
        at, last = _position(cursor)
        # A comparison of pairs says the same, but MySQL and MariaDB find no index for it.
        conditions += [
            table.occurred_at <= at,
            or_(table.occurred_at < at, and_(table.occurred_at == at, table.id < last)),
        ]
    order = table.occurred_at.desc(), table.id.desc()
    return _records().where(*conditions).order_by(*order).limit(limit + 1)


def select_one(event_id: str | UUID) -> Select[tuple[Any, ...]]:
    """Return the statement of the record of an id."""
    return _records().where(audit_records.c.event_id == kept_text(str(event_id)).lower())


def page_of(
    model: type[Read] | None, rows: Sequence[Mapping[str, Any]], limit: int
) -> AuditPage[Read]:
    """Return the page that `select_page` has found.

    Raises:
        AuditError: A record does not fit the model.
    """
    events = tuple(event_of(model, row) for row in rows[:limit])
    return AuditPage(events, _cursor(rows[limit - 1]) if len(rows) > limit else None)


def event_of(model: type[Read] | None, row: Mapping[str, Any]) -> Read:
    """Return a record that was stored; an app's own fields are found in its `extra`.

    Raises:
        AuditError: It does not fit the model.
    """
    kind: Any = model or AuditEvent
    values = {name: row[name] for name in COLUMNS}
    values["extra"] = extra = dict(values["extra"])
    for name in kind.model_fields:
        if name not in COLUMNS and name in extra:
            values[name] = extra.pop(name)
    try:
        # As JSON, because a strict model takes a text for a date or a Decimal from there alone.
        event: Read = kind.model_validate_json(orjson.dumps(values))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
        )
        raise AuditError(
            f"record {row['event_id']} of action {row['action']!r} is no {kind.__name__} "
            f"({problems}); choose by action, or read without model="
        ) from error
    return event


def _records() -> Select[tuple[Any, ...]]:
    return select(audit_records.c.id, *(audit_records.c[name] for name in COLUMNS))


def _conditions(
    *,
    actor: str | int | UUID | None = None,
    user_id: str | int | UUID | None = None,
    action: str | None = None,
    resource: str | int | UUID | None = None,
    status: Literal["success", "failure"] | None = None,
    trace_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[ColumnElement[bool]]:
    if status not in (None, "success", "failure"):
        raise ValueError(f"status is success or failure, not {status!r}")
    equal = {
        "actor": actor, "user_id": user_id, "action": action, "resource": resource,
        "status": status, "trace_id": trace_id,
    }  # fmt: skip
    table = audit_records.c
    conditions = [
        table[name] == kept_text(str(value)) for name, value in equal.items() if value is not None
    ]
    if since is not None:
        conditions.append(table.occurred_at >= _aware("since", since))
    if until is not None:
        conditions.append(table.occurred_at < _aware("until", until))
    return conditions


def _aware(name: str, at: datetime) -> datetime:
    if at.utcoffset() is None:
        raise ValueError(f"{name} has no time zone; datetime.now(timezone.utc) has one")
    return at


def _cursor(row: Mapping[str, Any]) -> str:
    microseconds = (row["occurred_at"] - _EPOCH) // timedelta(microseconds=1)
    return urlsafe_b64encode(f"1:{microseconds}:{row['id']}".encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[datetime, int]:
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        found = _CURSOR.fullmatch(text)
        if found is None or int(found[2]) > _LARGEST_ID:
            raise ValueError(_DAMAGED)
        return _EPOCH + timedelta(microseconds=int(found[1])), int(found[2])
    except (AttributeError, NotBase64, UnicodeError, OverflowError, ValueError) as error:
        raise ValueError(_DAMAGED) from error
