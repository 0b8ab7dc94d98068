"""What a function of templates is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from loglane.devserver.template.values import Value

# `any` is Go's interface{}; `value` takes everything, also nothing, as Go's own functions do.
Kind: TypeAlias = Literal["string", "int", "float64", "time.Time", "any", "value"]


@dataclass(frozen=True, slots=True)
class Function:
    """A function, the kinds of its parameters and of all that may follow them."""

    call: Callable[..., Value]
    parameters: tuple[Kind, ...] = ()
    variadic: Kind | None = None
