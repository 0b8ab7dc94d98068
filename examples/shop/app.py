"""A small shop: orders that succeed, fail, crash and dawdle, logged and audited by loglane.

Three ways to an audit record: `create_order` writes its own in the business transaction,
`cancel_order` and `refund_order` are decorated, and `change_role` marks a log line.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import String
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import loglane
from loglane.audit import AuditEvent, AuditLog, audit_lifespan, audit_log
from loglane.audit.database import open_engine
from loglane.integrations.asgi import RequestLogMiddleware

# The orders and the audit trail are in one database, so that one transaction can hold both.
DATABASE = os.environ.get("SHOP_DATABASE", "sqlite:///shop.db")

loglane.configure(
    service="shop",
    level="debug",
    loggers={"aiosqlite": "warning", "alembic": "warning"},
    audit={"enabled": True, "url": DATABASE},
)
log = loglane.get_logger("shop")

PRICES = {"apple": 0.4, "pear": 0.5, "melon": 3.2}
engine = open_engine(DATABASE)
sessions = async_sessionmaker(engine, expire_on_commit=False)
audit = AuditLog()


class Table(DeclarativeBase):
    """Base of the shop's own tables."""


class Order(Table):
    """An order."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(64))
    quantity: Mapped[int]
    total: Mapped[float]


class NewOrder(BaseModel):
    """What a customer sends."""

    product: str
    quantity: int = Field(ge=1, le=100)
    user_id: str


class NewRole(BaseModel):
    """What an administrator sends."""

    role: str
    by: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the shop's table, run the audit worker, and say when the shop opens and closes."""
    async with engine.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
    async with audit_lifespan(app):
        # The dashboard Service marks this line on its charts, with the version.
        log.info("started", log_category="system", products=len(PRICES))
        yield
        log.info("stopped", log_category="system")
    await audit.close()
    await engine.dispose()


api = FastAPI(title="shop", lifespan=lifespan)
app = RequestLogMiddleware(api)


@api.post("/orders", status_code=201)
async def create_order(order: NewOrder) -> dict[str, Any]:
    """Take an order: it and its audit record are stored together, or neither of them is."""
    loglane.bind_context(user_id=order.user_id)
    price = PRICES.get(order.product)
    if price is None:
        log.warning("unknown product", product=order.product)
        raise HTTPException(404, "no such product")
    log.debug("price looked up", product=order.product, price=price)
    total = round(price * order.quantity, 2)
    async with sessions.begin() as session:
        stored = Order(**order.model_dump(), total=total)
        session.add(stored)
        await session.flush()
        event = AuditEvent(
            action="create_order",
            resource=f"order:{stored.id}",
            user_id=order.user_id,
            extra={"product": order.product, "total": total},
        )
        await audit.create_log(event, session=session)
    return {"id": stored.id, **order.model_dump(), "total": total}


@api.get("/orders/{order_id}")
async def read_order(order_id: int) -> dict[str, Any]:
    """Show an order."""
    order = await find_order(order_id)
    return {"id": order.id, "product": order.product, "total": order.total}


@api.delete("/orders/{order_id}", status_code=204)
@audit_log(action="cancel_order", resource="order:{order_id}", user_id="by")
async def cancel_order(order_id: int, by: str) -> None:
    """Cancel an order: recorded whether it works or not."""
    order = await find_order(order_id)
    log.info("order cancelled", order_id=order_id, by=by)
    async with sessions.begin() as session:
        await session.delete(order)


@api.post("/orders/{order_id}/refund")
@audit_log(action="refund_order", resource="order:{order_id}")
async def refund_order(order_id: int) -> dict[str, float]:
    """Refund a share of an order; it divides by zero, as real code does on a bad day."""
    order = await find_order(order_id)
    log.info("refund asked for", order_id=order_id)
    returned = 0
    return {"share": order.total / returned}


@api.put("/customers/{user_id}/role")
async def change_role(user_id: str, new: NewRole) -> dict[str, str]:
    """Give a customer another role: the line of the log is the record, too."""
    log.info(
        "role_changed",
        persist_db=True,
        actor=new.by,
        resource=f"customer:{user_id}",
        role=new.role,
    )
    return {"user_id": user_id, "role": new.role}


@api.get("/orders/{order_id}/history")
async def order_history(order_id: int) -> list[AuditEvent]:
    """Show what was done to an order, newest first."""
    page = await audit.history(f"order:{order_id}")
    return list(page.events)


@api.get("/report")
async def report() -> dict[str, int]:
    """Count the products, slowly."""
    await asyncio.sleep(0.3)
    log.warning("slow report", seconds=0.3)
    return {"products": len(PRICES)}


async def find_order(order_id: int) -> Order:
    """Return an order, or answer 404."""
    async with sessions() as session:
        order = await session.get(Order, order_id)
    if order is None:
        log.warning("unknown order", order_id=order_id)
        raise HTTPException(404, "no such order")
    return order
