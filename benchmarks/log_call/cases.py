"""What is measured, and what every peer's lines must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

Loop = Callable[[int], None]
"""Makes that many log calls; the loop itself is part of what is timed, the same for each peer."""

LOGGER = "shop.orders"
SERVICE = "orders"
ENV = "prod"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
MESSAGE = "order_created"
FAILURE = "order_failed"
FIVE: dict[str, Any] = {
    "order_id": 17,
    "total": 99.5,
    "customer": "anna",
    "channel": "web",
    "paid": True,
}

THREADS = 4
FOREIGN = 50

# Fifty keys, two of them secret; `SECRET_KEYS` are the only ones to mask.
SECRET_KEYS = frozenset({"password", "token"})
SECRETS = ("hunter2", "tok-5f1c77")
NESTED: dict[str, Any] = {
    "customer": {
        "number": 7,
        "name": "Anna Berg",
        "language": "de",
        "password": SECRETS[0],
        "address": {"street": "Seestr. 4", "city": "Ulm", "zip": "89073", "country": "DE"},
        "preferences": {"newsletter": False, "theme": "dark", "currency": "EUR"},
    },
    "items": [
        {"sku": f"A-{number}", "title": "lamp", "price": 12.5, "count": number, "gift": False}
        for number in range(1, 5)
    ],
    "payment": {"method": "invoice", "token": SECRETS[1], "amount": 99.5, "currency": "EUR"},
    "shipping": {"carrier": "dhl", "days": 3, "express": False, "weight": 2.25},
    "totals": {"net": 83.61, "tax": 15.89, "gross": 99.5, "rate": 0.19},
}

# A local variable of the frame that raises: it must not be in any line.
LOCAL_SECRET = "local-4e1f0d"  # noqa: S105 - made up


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    title: str
    # Name of the peer's loop that the case runs; two cases run the five-field loop differently.
    loop: str
    # Log calls in one timed batch (of each thread): a few milliseconds with most peers, so that
    # some batches are not interrupted.
    batch: int
    # What its lines say beside the fields that every line has; no line at all where it is None.
    says: dict[str, Any] | None = field(default_factory=dict)
    level: str = "info"
    message: str = MESSAGE
    threads: int = 1
    foreign_variables: int = 0


CASES = (
    Case("disabled", "disabled level", "disabled", 5000, says=None),
    Case("five", "five fields", "five", 200, says=FIVE),
    Case("bound", "five bound, one more", "bound", 200, says=FIVE | {"step": 3}),
    Case("foreign", "five, 50 foreign vars", "five", 200, FIVE, foreign_variables=FOREIGN),
    Case("exception", "exception, 5 frames", "exception", 20, level="error", message=FAILURE),
    Case("nested", "50 nested keys, masked", "nested", 50, says={"order": NESTED}),
    Case("threads", "five, four threads", "five", 100, says=FIVE, threads=THREADS),
)


class OutOfStockError(Exception):
    """What the exception case raises."""


def fail() -> NoReturn:
    """Raise from the fourth frame down; the one that catches is the fifth of the traceback."""
    _order(17)


def _order(number: int) -> NoReturn:
    _reserve(f"A-{number}")


def _reserve(sku: str) -> NoReturn:
    _pick(sku, LOCAL_SECRET)


def _pick(sku: str, credential: str) -> NoReturn:
    raise OutOfStockError(f"no {sku} left, tried {len(credential)} shelves")


LAST_LINE = "benchmarks.log_call.cases.OutOfStockError: no A-17 left, tried 12 shelves"
# Without the underscore that some have.
FRAMES = ("exception", "fail", "order", "reserve", "pick")
