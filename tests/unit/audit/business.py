"""A small shop over SQLAlchemy, in whose transactions audit records are written."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import Integer, String, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from loglane.audit.database import open_engine, open_sync_engine
from loglane.audit.table import audit_records, metadata


class Base(DeclarativeBase):
    """Base of the shop's tables."""


class Order(Base):
    """One order."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(20))


def make_tables(url: str) -> str:
    """Make the shop's table and the audit trail's; return the URL."""
    with opened_sync(url) as engine:
        metadata.create_all(engine)
        Base.metadata.create_all(engine)
    return url


@contextmanager
def opened_sync(url: str, **options):
    engine = open_sync_engine(url, **options)
    try:
        yield engine
    finally:
        engine.dispose()


@asynccontextmanager
async def opened(url: str, **options):
    engine = open_engine(url, **options)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def shop(url: str, **options):
    """Yield a maker of sessions for a database."""
    async with opened(url, **options) as engine:
        yield async_sessionmaker(engine)


@contextmanager
def sync_shop(url: str, **options):
    """Yield a maker of sessions without asyncio."""
    with opened_sync(url, **options) as engine:
        yield sessionmaker(engine)


def stored(url: str) -> list[dict]:
    """Return the records of the audit trail, in the order of their ids."""
    with opened_sync(url) as engine, engine.connect() as connection:
        found = connection.execute(select(audit_records).order_by(audit_records.c.id))
        return [dict(row) for row in found.mappings()]


def actions(url: str) -> list[str]:
    """Return the actions that are recorded, sorted."""
    return sorted(row["action"] for row in stored(url))


def count_orders(url: str) -> int:
    with opened_sync(url) as engine, engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(Order)).scalar_one()
