"""Take the context along: into pools of threads, and into other processes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from loglane.context import bound, get_context
from loglane.masking import Masker
from loglane.trace import active_span, new_trace_id, valid_id

P = ParamSpec("P")
R = TypeVar("R")

_masker = Masker()
# A carrier may come from a queue that others write to.
_MAX_FIELDS = 64
_MAX_TEXT = 1024


def use_masker(masker: Masker) -> None:
    """Say what must not leave the process; the pipeline does when it is configured."""
    global _masker  # noqa: PLW0603 - one for the process, as the settings are
    _masker = masker


def current_masker() -> Masker:
    """Return what hides secrets on the lines of this process."""
    return _masker


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function tied to the context of now; what it binds is gone when it returns."""
    context = copy_context()

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        # A copy for each call, because a context can be entered by one thread at a time.
        return context.copy().run(function, *args, **kwargs)

    return wrapper


class ContextThreadPoolExecutor(ThreadPoolExecutor):
    """A pool whose work sees the context of whoever submitted it, and leaves none behind."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit a call, as `ThreadPoolExecutor` does."""
        return super().submit(functools.partial(copy_context().run, fn, *args, **kwargs))


def context_carrier() -> dict[str, Any]:
    """Return the context for another process: a dict that JSON and pickle can hold.

    Fields whose values are no text, number, boolean or None go as text. Fields that masking hides
    by their name stay here, and texts are masked.
    """
    masker = _masker
    fields = dict(get_context())
    span = active_span()
    if span is not None:
        fields["trace_id"] = span[0]
    return {
        name: value if type(value) in (int, float, bool, type(None)) else masker.text(_text(value))
        for name, value in fields.items()
        if not masker.hides(name)
    }


def use_carrier(carrier: Mapping[str, Any]) -> bound:
    """Bind what `context_carrier` returned elsewhere, for a block or as a decorator.

    Args:
        carrier: From outside, so only plain values within limits are taken, and a `trace_id` that
            is none becomes a new one.
    """
    fields: dict[str, Any] = {}
    for name, value in list(carrier.items())[:_MAX_FIELDS]:
        if isinstance(name, str) and len(name) <= _MAX_TEXT:
            if isinstance(value, str):
                fields[name] = value[:_MAX_TEXT]
            elif value is None or isinstance(value, (bool, int, float)):
                fields[name] = value
    if "trace_id" in fields:
        fields["trace_id"] = valid_id(fields["trace_id"]) or new_trace_id()
    return bound(**fields)


def _text(value: Any) -> str:
    try:
        return str(value)[:_MAX_TEXT]
    except Exception as error:  # noqa: BLE001 - a field's own bug must not stop the carrier
        return f"<{type(value).__name__}: its str raised {type(error).__name__}>"
