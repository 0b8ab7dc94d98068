"""What apps write today: one insert and one commit for each record, over SQLAlchemy's async ORM."""

from __future__ import annotations

from datetime import datetime, timezone

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from benchmarks.databases import Database
from loglane.audit.table import audit_records
from loglane.event_id import new_event_id


class Base(DeclarativeBase):
    """The app's models."""


class Record(Base):
    """A record in the same table, with the same indexes."""

    __table__ = audit_records


async def write(database: Database, count: int) -> None:
    """Write records one after the other, as a request does at its end."""
    engine = create_async_engine(database.async_url)
    session = async_sessionmaker(engine, expire_on_commit=False)
    try:
        for number in range(count):
            async with session() as open_session:
                open_session.add(_record(number))
                await open_session.commit()
    finally:
        await engine.dispose()


def _record(number: int) -> Record:
    now = datetime.now(timezone.utc)
    return Record(
        event_id=new_event_id(),
        occurred_at=now,
        recorded_at=now,
        actor=str(number),
        user_id=str(number),
        action="role_changed",
        resource=f"user:{number}",
        status="success",
        service="audit-rates",
        env="dev",
        extra={"role": "admin"},
    )
