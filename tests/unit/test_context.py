"""Context is per task and per thread, and comes back as it was."""

from __future__ import annotations

import asyncio
import threading

import pytest

import loglane
from loglane import bind_context, bound, clear_context, get_context, unbind_context


@pytest.fixture(autouse=True)
def _clean():
    clear_context()
    yield
    clear_context()


def test_bind_adds_and_unbind_takes_away():
    """Bound fields pile up; unbinding an unknown name is no error."""
    bind_context(a=1, b=2)
    bind_context(b=3)
    unbind_context("a", "nope")
    assert {"b": 3} == get_context()


def test_context_cannot_be_changed_in_place():
    """What get_context returns is read-only."""
    with pytest.raises(TypeError):
        get_context()["a"] = 1  # type: ignore[index]


def test_bound_gives_back_what_was_there_also_after_an_error():
    """A block's fields end with the block."""
    bind_context(a=1)
    seen = []

    def fail():
        with bound(a=2, b=3):
            seen.append(dict(get_context()))
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    assert ([{"a": 2, "b": 3}], {"a": 1}) == (seen, get_context())


def test_threads_do_not_share_context():
    """A new thread begins empty, and what it binds stays there."""
    bind_context(a=1)
    seen = []

    def work():
        seen.append(dict(get_context()))
        bind_context(b=2)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ([{}], {"a": 1}) == (seen, get_context())


def test_tasks_see_their_creators_context_and_keep_their_own():
    """100 tasks bind at the same time; each sees its own value and its creator's."""

    async def task(number: int) -> dict[str, object]:
        bind_context(number=number)
        await asyncio.sleep(0)
        return dict(get_context())

    async def main():
        bind_context(a=1)
        return await asyncio.gather(*(task(number) for number in range(100))), get_context()

    found, outside = asyncio.run(main())
    assert [{"a": 1, "number": number} for number in range(100)] == found
    assert {"a": 1} == outside


def test_bound_decorates_functions_coroutines_and_generators():
    """Each call of a decorated function has the fields, and nothing is left afterwards."""
    seen = []

    @bound(a=1)
    def call():
        seen.append(dict(get_context()))

    @bound(a=2)
    async def call_async():
        await asyncio.sleep(0)
        seen.append(dict(get_context()))

    call()
    asyncio.run(call_async())
    assert [{"a": 1}, {"a": 2}] == seen
    assert {} == get_context()


def test_a_decorated_generator_keeps_its_fields_to_itself():
    """The body has the fields at every step; the consumer, in between, does not."""
    inside, outside = [], []

    @bound(a=1)
    def generate():
        inside.append(dict(get_context()))
        bind_context(b=2)
        got = yield "first"
        inside.append(dict(get_context()))
        try:
            yield got
        except ValueError:
            inside.append(dict(get_context()))
        return "end"

    def consume():
        generator = generate()
        outside.append((next(generator), dict(get_context())))
        bind_context(c=3)
        outside.append((generator.send("sent"), dict(get_context())))
        try:
            generator.throw(ValueError())
        except StopIteration as end:
            outside.append((end.value, dict(get_context())))

    consume()
    assert [{"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 2}] == inside
    assert [("first", {}), ("sent", {"c": 3}), ("end", {"c": 3})] == outside


def test_a_decorated_async_generator_keeps_its_fields_to_itself():
    """As for generators, also when it is closed early."""
    inside, outside = [], []

    @bound(a=1)
    async def generate():
        try:
            while True:
                inside.append(dict(get_context()))
                yield 1
                await asyncio.sleep(0)
        finally:
            inside.append(dict(get_context()))

    async def consume():
        generator = generate()
        async for _ in generator:
            outside.append(dict(get_context()))
            if len(outside) == 2:
                break
        await generator.aclose()
        outside.append(dict(get_context()))

    asyncio.run(consume())
    assert ([{"a": 1}] * 3, [{}] * 3) == (inside, outside)


def test_bound_can_be_entered_again_inside_of_itself():
    """One object serves nested blocks, as a decorated recursive function needs."""
    block = bound(a=1)
    with block:
        bind_context(b=2)
        with block:
            pass
        assert {"a": 1, "b": 2} == get_context()
    assert {} == get_context()


def test_a_block_that_ends_in_another_context_changes_nothing_there():
    """A generator closed by another thread must not give that thread its creator's fields."""

    def generate():
        with bound(request="old"):
            yield

    generator = generate()

    def start():
        next(generator)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    bind_context(request="new")
    generator.close()
    assert {"request": "new"} == get_context()


def test_set_log_category_binds_a_label():
    """The category is a field like any other."""
    loglane.set_log_category("backtest")
    assert {"log_category": "backtest"} == get_context()


def test_clear_inside_a_block_lasts_until_its_end():
    """A block gives back what was before it, whatever happened inside."""
    bind_context(a=1)
    with bound(b=2):
        clear_context()
        inside = dict(get_context())
    assert ({}, {"a": 1}) == (inside, get_context())


def test_one_block_object_serves_several_tasks():
    """Two tasks in the same `with_trace_id` object leave nothing behind."""
    block = bound(trace_id="shared")

    async def task(delay):
        with block:
            await asyncio.sleep(delay)
        return dict(get_context())

    async def main():
        return await asyncio.gather(task(0.02), task(0.0), task(0.01))

    assert [{}, {}, {}] == asyncio.run(main())


def test_any_name_can_be_bound():
    """A field from elsewhere may be called `self`."""
    with bound(self=1):
        assert {"self": 1} == get_context()
