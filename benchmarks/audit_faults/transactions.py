"""Transactions that are rolled back: `python -m benchmarks.audit_faults.transactions PLAN`."""

from __future__ import annotations

import asyncio
import sys

import orjson
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

import loglane
from benchmarks.audit_faults.plan import Plan
from benchmarks.databases import async_url
from loglane.audit import AuditEvent, AuditLog


class Refused(Exception):
    """What makes a business transaction fail."""


async def roll_back(url: str, count: int) -> None:
    """Roll transactions back that have an independent and an explicit record each."""
    engine = create_async_engine(async_url(url))
    session_of = async_sessionmaker(engine)
    async with AuditLog(url) as audit:
        for number in range(count):
            try:
                async with session_of.begin() as session:
                    # First: on SQLite a transaction that has written is the only one.
                    independent = AuditEvent(action="order", resource=f"independent:{number}")
                    await audit.create_log(independent, independent=True)
                    explicit = AuditEvent(action="order", resource=f"explicit:{number}")
                    await audit.create_log(explicit, session=session)
                    raise Refused
            except Refused:
                continue
    await engine.dispose()


def main() -> None:
    """Follow a plan."""
    plan = Plan.from_json(sys.argv[1])
    loglane.configure(
        mode="container", service="audit-faults", capture={"exceptions": False}, audit=plan.audit
    )
    asyncio.run(roll_back(plan.audit["url"], plan.lines))
    plan.report_file.write_bytes(orjson.dumps({"rolled_back": plan.lines}))


if __name__ == "__main__":
    main()
