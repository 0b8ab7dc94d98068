"""Context is per task and per thread, and comes back as it was."""

from __future__ import annotations

import asyncio
import threading

import pytest

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
