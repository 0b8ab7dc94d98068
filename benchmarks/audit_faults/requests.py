"""Many requests at once over a small pool: `python -m benchmarks.audit_faults.requests PLAN`.

Each request writes a row of business data in a transaction, and a log line, which is marked or is
not. Rounds of both take turns, so that they meet the same machine.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import asdict, dataclass, field

import orjson
import sqlalchemy
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import loglane
from benchmarks.audit_faults.plan import Plan
from benchmarks.databases import async_url
from loglane.audit import audit_lifespan

POOL = 5
ROUNDS = 5
# SQLAlchemy's own default is 30 s, too.
_POOL_TIMEOUT_S = 30.0
_ORDERS = sqlalchemy.Table(
    "orders",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("amount", sqlalchemy.Integer, nullable=False),
)


@dataclass(slots=True)
class Measured:
    """What the requests of all rounds saw.

    Attributes:
        timeouts: Requests that got no connection in time.
        marked_s: Seconds of each request with a marked line, round by round.
        plain_s: The same with a plain one.
        marked: Marked lines whose call returned.
    """

    timeouts: int = 0
    marked_s: list[list[float]] = field(default_factory=list)
    plain_s: list[list[float]] = field(default_factory=list)
    marked: int = 0


async def measure(plan: Plan) -> Measured:
    """Run the rounds; `plan.lines` is the number of requests of one."""
    found = Measured()
    log = loglane.get_logger("requests")
    engine = create_async_engine(
        async_url(plan.audit["url"]), pool_size=POOL, max_overflow=0, pool_timeout=_POOL_TIMEOUT_S
    )
    async with engine.begin() as connection:
        await connection.run_sync(_ORDERS.create)

    async def request(is_marked: bool, taken: list[float]) -> None:
        began = time.perf_counter()
        try:
            await _order(engine)
        except PoolTimeout:
            found.timeouts += 1
        number = found.marked
        found.marked += is_marked
        log.info("order_created", resource=f"{plan.name}:{number}", persist_db=is_marked)
        taken.append(time.perf_counter() - began)

    for _ in range(ROUNDS):
        for is_marked, rounds in ((False, found.plain_s), (True, found.marked_s)):
            taken: list[float] = []
            await asyncio.gather(*(request(is_marked, taken) for _ in range(plan.lines)))
            rounds.append(taken)
    await engine.dispose()
    return found


async def _order(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(_ORDERS.insert().values(amount=7))


async def _run(plan: Plan) -> Measured:
    async with audit_lifespan(None):
        return await measure(plan)


def main() -> None:
    """Follow a plan and write what was measured where the plan says."""
    plan = Plan.from_json(sys.argv[1])
    loglane.configure(
        mode="container", service="audit-faults", flow_control={"enabled": False},
        # A failure of this app is for whoever runs the case: on stderr.
        capture={"exceptions": False},
        audit={"enabled": True, **plan.audit},
    )  # fmt: skip
    found = asyncio.run(_run(plan))
    plan.report_file.write_bytes(orjson.dumps(asdict(found)))


if __name__ == "__main__":
    main()
