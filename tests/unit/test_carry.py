"""The context goes along into pools and other processes, and nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

import loglane
from loglane import ContextThreadPoolExecutor, bind_context, carry, get_context, use_carrier


@pytest.fixture(autouse=True)
def _clean():
    loglane.clear_context()
    yield
    loglane.clear_context()


def leave_something() -> dict[str, object]:
    before = dict(get_context())
    bind_context(left_behind=True)
    return before


def test_pool_work_sees_its_submitter_and_leaves_nothing():
    """200 tasks on two reused threads: each sees exactly what was bound when it was submitted."""
    with ContextThreadPoolExecutor(max_workers=2) as pool:
        futures = []
        for number in range(200):
            with loglane.bound(number=number):
                futures.append(pool.submit(leave_something))
        found = [future.result() for future in futures]
    assert [{"number": number} for number in range(200)] == found


def test_pool_map_carries_too():
    """`map` submits, so it carries the context of the caller."""
    bind_context(a=1)
    with ContextThreadPoolExecutor(max_workers=2) as pool:
        found = list(pool.map(lambda _: leave_something(), range(20)))
    assert [{"a": 1}] * 20 == found


def test_carry_ties_a_function_to_the_context_of_now():
    """In any pool, at the same time in several threads, and other context variables come along."""
    other: ContextVar[int] = ContextVar("other", default=0)
    other.set(5)
    bind_context(a=1)
    tied = carry(lambda: (leave_something(), other.get()))
    bind_context(a=2)
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = [future.result() for future in [pool.submit(tied) for _ in range(50)]]
    assert [({"a": 1}, 5)] * 50 == found


def test_run_in_executor_carries_with_our_pool():
    """Asyncio's executor copies nothing by itself; ours does."""

    async def main():
        loop = asyncio.get_running_loop()
        with ContextThreadPoolExecutor(max_workers=1) as pool:
            bind_context(a=1)
            return await loop.run_in_executor(pool, leave_something)

    assert {"a": 1} == asyncio.run(main())


def test_to_thread_carries():
    """asyncio.to_thread copies the context, and ours is in it."""

    async def main():
        bind_context(a=1)
        return await asyncio.to_thread(leave_something), dict(get_context())

    assert ({"a": 1}, {"a": 1}) == asyncio.run(main())


def test_carrier_goes_through_json_and_pickle():
    """What one process gives, another binds."""
    bind_context(user_id=7, trace_id="t1", ratio=0.5, paid=True, none=None)
    expected = dict(get_context())
    carrier = loglane.context_carrier()
    loglane.clear_context()
    found = []
    for copy in (json.loads(json.dumps(carrier)), pickle.loads(pickle.dumps(carrier))):
        with use_carrier(copy):
            found.append(dict(get_context()))
    assert [expected, expected] == found
    assert {} == get_context()


class _Broken:
    def __str__(self):
        raise RuntimeError("no")


def test_carrier_holds_text_for_other_values_and_no_secrets():
    """Objects go as text, hidden names stay, and a broken object does not stop the carrier."""
    bind_context(items=[1, 2], password="hunter2", broken=_Broken())
    expected = {"items": "[1, 2]", "broken": "<_Broken: its str raised RuntimeError>"}
    assert expected == loglane.context_carrier()


def test_a_hostile_carrier_is_cut_down():
    """Too many fields, long texts, odd names, containers, and a trace id that is none."""
    hostile = {
        1: "x",
        "nested": {"a": 1},
        "long": "x" * 10_000,
        "trace_id": "a\nb",
        **{f"n{number}": number for number in range(1000)},
    }
    with use_carrier(hostile):
        found = dict(get_context())
    assert 1024 == len(found["long"])
    assert len(found) <= 64
    assert "nested" not in found
    assert 1 not in found
    assert "\n" not in found["trace_id"]


def test_carrier_obeys_the_settings(lines):
    """Names that the app hides stay, those that it does not hide go, and texts are masked."""
    loglane.configure(mask_fields=["iban", "!token"])
    bind_context(iban="DE1", token="t", dsn="postgres://u:hunter2@h/x")
    assert {"token": "t", "dsn": "postgres://***@h/x"} == loglane.context_carrier()
