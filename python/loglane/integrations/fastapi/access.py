"""Who may see which lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from fastapi import Depends, HTTPException, params

log = logging.getLogger("loglane.logs_router")

# Of the service's arguments these are the router's own.
_RESERVED = frozenset({"start_time", "end_time", "limit", "offset", "cursor", "direction"})
# Of these every value must fit, of the others one.
_EACH = frozenset({"contains", "matches"})

Dependency = Callable[..., Any]


def allow_all() -> None:
    """Let everybody read every line: where the network decides already who can ask."""


def gate(authorize: Dependency | params.Depends, prefix: str) -> params.Depends:
    """Return the dependency that stands before everything else.

    Args:
        authorize: Raises for who may not read; an answer of False is refused too, because a check
            that returns it is easily written and would let everybody in.
        prefix: Of the router, for the warning.

    Returns:
        The dependency of the router.

    Raises:
        TypeError: It is no dependency.
    """
    call = authorize.dependency if isinstance(authorize, params.Depends) else authorize
    if not callable(call):
        raise TypeError(
            f"authorize must be a FastAPI dependency, not {authorize!r}; to let everybody read "
            "every line, write authorize=allow_all"
        )
    if call is allow_all:
        log.warning("%s is open: whoever reaches this app can read every log line", prefix)
    asked = authorize if isinstance(authorize, params.Depends) else Depends(authorize)

    async def pass_gate(allowed: Any = asked) -> None:
        if allowed is False:
            raise HTTPException(403, "you may not read logs")

    gated: params.Depends = Depends(pass_gate)
    return gated


async def see_everything() -> Mapping[str, Any]:
    """Narrow nothing: the scope of a router without one."""
    return {}


def narrow(filters: Mapping[str, Any], forced: Mapping[str, Any]) -> dict[str, Any] | None:
    """Join what a caller asks for with what he may see.

    Args:
        filters: What was asked for, by the argument's name; lists of text, or a text.
        forced: What the scope says.

    Returns:
        The filters for the service, or None when they can select nothing: the caller asked for
        what he may not see, or his scope is empty.

    Raises:
        TypeError: The scope is no mapping, or names what is no field: a mistake of the app.
    """
    if not isinstance(forced, Mapping):
        raise TypeError(f"scope must return a mapping of fields to values, not {forced!r}")
    wrong = _RESERVED.intersection(forced)
    if wrong:
        raise TypeError(f"scope can only force fields, not {', '.join(sorted(wrong))}")
    found = dict(filters)
    for name, value in forced.items():
        allowed = _values(value)
        # An empty value would mean 'without this field': never what a scope means, so it is closed.
        if not allowed or any(one is None or one == "" for one in allowed):
            return None
        asked = _values(filters.get(name, ()))
        if name in _EACH:
            allowed += asked
        elif asked:
            wanted = {str(one) for one in asked}
            allowed = [one for one in allowed if str(one) in wanted]
            if not allowed:
                return None
        found[name] = allowed
    return found


def _values(value: Any) -> list[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        value = [value]
    return [one.value if isinstance(one, Enum) else one for one in value]
