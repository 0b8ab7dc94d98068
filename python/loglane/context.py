"""Fields that every line of the current task or thread carries.

One context variable holds one read-only mapping, so adding the context to a line costs the same
however many context variables the process has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_EMPTY: Mapping[str, Any] = MappingProxyType({})
_context: ContextVar[Mapping[str, Any]] = ContextVar("loglane_context", default=_EMPTY)


def get_context() -> Mapping[str, Any]:
    """Return the fields bound here, read-only."""
    return _context.get()


def bind_context(**fields: Any) -> None:
    """Add fields to every following line of this task or thread."""
    _context.set(MappingProxyType({**_context.get(), **fields}))


def unbind_context(*names: str) -> None:
    """Take fields away again; names that are not bound are ignored."""
    kept = {name: value for name, value in _context.get().items() if name not in names}
    _context.set(MappingProxyType(kept))


def clear_context() -> None:
    """Take every field away."""
    _context.set(_EMPTY)


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Bind fields for the block and give back what was bound before."""
    before = _context.get()
    _context.set(MappingProxyType({**before, **fields}))
    try:
        yield
    finally:
        # Not reset(token): a block that ends in another context (a generator closed elsewhere)
        # would raise there.
        _context.set(before)
