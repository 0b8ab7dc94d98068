"""The log calls of a library that takes fields as keyword arguments."""

from __future__ import annotations

from itertools import repeat
from typing import Any

from benchmarks.log_call.cases import FAILURE, MESSAGE, NESTED, Loop, OutOfStockError, fail


def keyword_loop(log: Any, name: str) -> Loop:
    """Return the loop that makes these calls on `log`, written out as an app writes them.

    Args:
        log: Has `debug`, `info`, `exception` and `bind`.
        name: Name of the loop, as in `Case.loop`.
    """
    bound = log.bind(order_id=17, total=99.5, customer="anna", channel="web", paid=True)

    def disabled(count: int) -> None:
        for _ in repeat(None, count):
            log.debug(MESSAGE, order_id=17, total=99.5, customer="anna", channel="web", paid=True)

    def five(count: int) -> None:
        for _ in repeat(None, count):
            log.info(MESSAGE, order_id=17, total=99.5, customer="anna", channel="web", paid=True)

    def one_more(count: int) -> None:
        for _ in repeat(None, count):
            bound.info(MESSAGE, step=3)

    def exception(count: int) -> None:
        try:
            fail()
        except OutOfStockError:
            for _ in repeat(None, count):
                log.exception(FAILURE)

    def nested(count: int) -> None:
        for _ in repeat(None, count):
            log.info(MESSAGE, order=NESTED)

    loops = {"disabled": disabled, "five": five, "bound": one_more}
    return (loops | {"exception": exception, "nested": nested})[name]
