"""A small shop: orders that succeed, fail, crash and dawdle, logged by loglane."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

import loglane
from loglane.integrations.asgi import RequestLogMiddleware

loglane.configure(service="shop", level="debug")
log = loglane.get_logger("shop")

PRICES = {"apple": 0.4, "pear": 0.5, "melon": 3.2}
orders: dict[int, dict[str, object]] = {}
numbers = itertools.count(1)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Say when the shop opens and closes."""
    # The dashboard Service marks this line on its charts, with the version.
    log.info("started", log_category="system", products=len(PRICES))
    yield
    log.info("stopped", log_category="system", orders=len(orders))


api = FastAPI(title="shop", lifespan=lifespan)
app = RequestLogMiddleware(api)


class NewOrder(BaseModel):
    """What a customer sends."""

    product: str
    quantity: int = Field(ge=1, le=100)
    user_id: str


@api.post("/orders", status_code=201)
async def create_order(order: NewOrder) -> dict[str, object]:
    """Take an order."""
    loglane.bind_context(user_id=order.user_id)
    price = PRICES.get(order.product)
    if price is None:
        log.warning("unknown product", product=order.product)
        raise HTTPException(404, "no such product")
    order_id = next(numbers)
    log.debug("price looked up", product=order.product, price=price)
    total = round(price * order.quantity, 2)
    orders[order_id] = {"id": order_id, **order.model_dump(), "total": total}
    log.info(
        "order_created",
        log_category="audit",
        event_id=str(uuid.uuid4()),
        order_id=order_id,
        total=total,
    )
    return orders[order_id]


@api.get("/orders/{order_id}")
async def read_order(order_id: int) -> dict[str, object]:
    """Show an order."""
    if order_id not in orders:
        log.warning("unknown order", order_id=order_id)
        raise HTTPException(404, "no such order")
    return orders[order_id]


@api.post("/orders/{order_id}/refund")
async def refund_order(order_id: int) -> dict[str, float]:
    """Refund a share of an order; it divides by zero, as real code does on a bad day."""
    order = orders[order_id]
    log.info("refund asked for", order_id=order_id)
    returned = 0
    return {"share": float(str(order["total"])) / returned}


@api.get("/report")
async def report() -> dict[str, int]:
    """Count the orders, slowly."""
    await asyncio.sleep(0.3)
    log.warning("slow report", seconds=0.3)
    return {"orders": len(orders)}
