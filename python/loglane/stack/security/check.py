"""One security check: a name, the reason for it, and what finds problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loglane.stack.security.rendered import Rendered

Find = Callable[[Rendered], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Check:
    """A rule of the rendered tree; `find` yields one sentence for each place that breaks it."""

    name: str
    why: str
    find: Find
