"""What goes wrong in the made-up history: errors with a place in the code, a storm held back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# As Python writes it; loglane keeps that form (docs/logging.md).
TRACEBACK = """Traceback (most recent call last):
  File "/app/main.py", line 31, in handle
    return await call(request)
           ^^^^^^^^^^^^^^^^^^^
  File "{file}", line {line}, in {function}
    {source}
{kind}: {text}"""


@dataclass(frozen=True)
class Incident:
    """One kind of error.

    Attributes:
        route: The route in which it happens.
        share: How often, of the requests to that route.
        is_new: It came with the new version.
    """

    route: str
    share: float
    service: str
    logger: str
    message: str
    file: str
    line: int
    function: str
    source: str
    kind: str
    text: str
    is_new: bool = False


INCIDENTS = (
    Incident(
        "/orders", 0.02, "payments", "payments.bank", "the bank did not answer",
        "/app/payments/bank.py", 88, "charge", "answer = await bank.post(card)",
        "TimeoutError", "no answer after 30 s (attempt {number})",
    ),
    Incident(
        "/orders/{order_id}/refund", 0.2, "shop", "loglane.access", "unhandled exception",
        "/app/shop/refund.py", 42, "share_of", "return total / returned",
        "ZeroDivisionError", "float division by zero",
    ),
    Incident(
        "/products", 0.01, "shop", "loglane.access", "unhandled exception",
        "/app/shop/products.py", 17, "describe", "return texts[product_id]",
        "KeyError", "{number}", is_new=True,
    ),
    Incident(
        "/report", 0.03, "shop", "shop.report", "report failed for order {number}",
        "/app/shop/report.py", 63, "run", "rows = await database.fetch(query)",
        "sqlalchemy.exc.OperationalError", "server closed the connection after {number} rows",
    ),
)  # fmt: skip

# The line that the flow control writes when a storm of errors ends.
SUMMARY: dict[str, Any] = {
    "message": "repeated errors were suppressed",
    "fields": {"logger": "mailer.smtp"},
    "suppressed": 180,
    "count": 200,
    "pattern": "mail could not be sent to %s",
    "error": "ConnectionRefusedError",
    "where": "/app/mailer/smtp.py:29",
}
