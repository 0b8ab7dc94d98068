"""Fields that every line of the current task or thread carries.

One context variable holds one immutable set of fields, so adding the context to a line costs the
same however many context variables the process has.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from types import MappingProxyType, TracebackType
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


class Frame:
    """A set of fields that is never changed.

    Attributes:
        fields: The fields; nobody writes to this dict.
        scopes: The `bound` blocks that are open around these fields, each with the frame before.
        part: The fields as `owner` rendered them, kept here so that it goes when they go.
        owner: Who rendered them.
    """

    __slots__ = ("fields", "owner", "part", "scopes")

    def __init__(
        self, fields: dict[str, Any], scopes: tuple[tuple[object, Frame], ...] = ()
    ) -> None:
        self.fields = fields
        self.scopes = scopes
        self.part: bytes | None = None
        self.owner: object = None


EMPTY = Frame({})
_current: ContextVar[Frame] = ContextVar("loglane_context", default=EMPTY)

current_frame = _current.get
use_frame = _current.set


def get_context() -> Mapping[str, Any]:
    """Return the fields bound here, read-only."""
    return MappingProxyType(_current.get().fields)


def bind_context(**fields: Any) -> None:
    """Add fields to every following line of this task or thread."""
    frame = _current.get()
    _current.set(Frame({**frame.fields, **fields}, frame.scopes))


def unbind_context(*names: str) -> None:
    """Take fields away again; names that are not bound are ignored."""
    frame = _current.get()
    kept = {name: value for name, value in frame.fields.items() if name not in names}
    _current.set(Frame(kept, frame.scopes))


def clear_context() -> None:
    """Take every field away."""
    _current.set(Frame({}, _current.get().scopes))


def set_log_category(name: str) -> None:
    """Put following lines in a category, a label of theirs: `access`, `audit`, `backtest`."""
    bind_context(log_category=name)


class bound:  # noqa: N801 - used as a function: `with bound(...)` and `@bound(...)`
    """Bind fields for a block, or for each call of a function, and give back what was before.

    As a decorator it takes functions, coroutine functions, generators and asynchronous generators;
    a generator's consumer does not see what the generator binds. A `with` block that yields does
    show its fields to the consumer, as every context variable does (PEP 568 was not accepted).
    """

    def __init__(self, /, **fields: Any) -> None:
        self._fields = fields

    def _given(self) -> dict[str, Any]:
        """Return the fields to bind, each time that a block begins."""
        return self._fields

    def __enter__(self) -> None:
        before = _current.get()
        fields = {**before.fields, **self._given()}
        _current.set(Frame(fields, (*before.scopes, (self, before))))

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # A generator that is closed elsewhere ends here in a context that has no such scope.
        for owner, before in reversed(_current.get().scopes):
            if owner is self:
                _current.set(before)
                return

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Bind the fields for each call of a function."""
        return cast("Callable[P, R]", functools.wraps(function)(_within(function, self._given)))


def _within(
    function: Callable[..., Any], given: Callable[[], dict[str, Any]]
) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with bound(**given()):
            return function(*args, **kwargs)

    async def call_async(*args: Any, **kwargs: Any) -> Any:
        with bound(**given()):
            return await function(*args, **kwargs)

    def generate(*args: Any, **kwargs: Any) -> Any:
        return (yield from _drive(function(*args, **kwargs), given()))

    async def generate_async(*args: Any, **kwargs: Any) -> Any:
        async with aclosing(_drive_async(function(*args, **kwargs), given())) as items:
            async for item in items:
                yield item

    if inspect.isasyncgenfunction(function):
        return generate_async
    if inspect.isgeneratorfunction(function):
        return generate
    return call_async if inspect.iscoroutinefunction(function) else call


class _Inside:
    """Each `with` runs one step of a generator in the generator's own frame."""

    def __init__(self, fields: dict[str, Any]) -> None:
        outer = _current.get()
        self._frame = Frame({**outer.fields, **fields}, outer.scopes)
        self._outer = outer

    def __enter__(self) -> None:
        self._outer = _current.get()
        _current.set(self._frame)

    def __exit__(self, *_: object) -> None:
        self._frame = _current.get()
        _current.set(self._outer)


def _drive(body: Generator[Any, Any, Any], fields: dict[str, Any]) -> Generator[Any, Any, Any]:
    inside = _Inside(fields)
    resume, given = body.send, None
    while True:
        try:
            with inside:
                value = resume(given)
        except StopIteration as end:
            return end.value
        try:
            resume, given = body.send, (yield value)
        except GeneratorExit:
            with inside:
                body.close()
            raise
        except BaseException as error:  # noqa: BLE001 - handed to the generator, which decides
            resume, given = body.throw, error


async def _drive_async(
    body: AsyncGenerator[Any, Any], fields: dict[str, Any]
) -> AsyncGenerator[Any, Any]:
    inside = _Inside(fields)
    resume: Callable[[Any], Any] = body.asend
    given: Any = None
    while True:
        try:
            with inside:
                value = await resume(given)
        except StopAsyncIteration:
            return
        try:
            given = yield value
            resume = body.asend
        except GeneratorExit:
            with inside:
                await body.aclose()
            raise
        except BaseException as error:  # noqa: BLE001 - handed to the generator, which decides
            resume, given = body.athrow, error
