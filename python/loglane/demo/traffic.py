"""Real requests to the example shop: most succeed, some do not."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import httpx2

from loglane.errors import LoglaneError

_START_TIMEOUT_S = 20.0


def wait_for_app(client: httpx2.Client, has_ended: Callable[[], bool]) -> None:
    """Wait until the app answers.

    Raises:
        LoglaneError: It ended, or did not answer within 20 s.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            client.get("/openapi.json")
        except httpx2.TransportError:
            if has_ended():
                raise LoglaneError("the example app ended before it answered") from None
            if time.monotonic() > deadline:
                raise LoglaneError("the example app did not answer within 20 s") from None
            time.sleep(0.05)
        else:
            return


def drive(client: httpx2.Client) -> tuple[dict[int, int], str]:
    """Send the requests.

    Returns:
        How many answers had which status, and the trace id of the request that crashed.
    """
    statuses: dict[int, int] = {}

    def send(method: str, path: str, **arguments: object) -> None:
        answer = client.request(method, path, **arguments)  # type: ignore[arg-type]
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1

    for number in range(20):
        product = ("apple", "pear", "melon")[number % 3]
        order = {"product": product, "quantity": number % 5 + 1, "user_id": f"u-{number % 4}"}
        send("POST", "/orders", json=order)
        send("GET", f"/orders/{number + 1}")
    send("POST", "/orders", json={"product": "apple", "quantity": 0, "user_id": "u-1"})
    send("POST", "/orders", json={"product": "apple"})
    send("POST", "/orders", json={"product": "durian", "quantity": 1, "user_id": "u-2"})
    send("GET", "/orders/4711")
    send("GET", "/report")
    send("PUT", "/customers/u-1/role", json={"role": "vip", "by": "u-0"})
    send("DELETE", "/orders/2", params={"by": "u-1"})
    send("DELETE", "/orders/4711", params={"by": "u-2"})
    send("GET", "/orders/2/history")
    trace_id = secrets.token_hex(16)
    parent = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    send("POST", "/orders/1/refund", headers=parent)
    return statuses, trace_id
