"""What a caller asks for, read once for every method: filters, time range and paging."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from loglane.query.filters import Filters, Places
from loglane.query.logql import Query
from loglane.query.moments import DAY_NS, HOUR_NS, Moment, Span, to_datetime, to_ns

Direction = Literal["forward", "backward"]

# As in Loki and Grafana: who asks for lines without a time asks what happened just now.
LOOK_BACK_NS = HOUR_NS
# Who asks for an id does not know when it was.
LOOK_BACK_FOR_ID_NS = DAY_NS

_FILTERS = tuple(one.name for one in fields(Filters) if one.name != "fields")
_TIMES = ("start_time", "end_time")
_PAGING = ("limit", "offset", "direction", "cursor")


@dataclass(frozen=True, slots=True)
class Search:
    """One question, checked.

    Attributes:
        query: What to select by; LogQL of the caller as text.
        span: The time range.
        limit: How many entries at most; None: all.
        offset: How many to leave out first.
        direction: `backward` or `forward`.
        cursor: Where to go on.
    """

    query: Query | str
    span: Span
    limit: int | None = None
    offset: int = 0
    direction: Direction = "backward"
    cursor: str | None = None

    def __post_init__(self) -> None:
        if self.direction not in ("forward", "backward"):
            raise ValueError(f"direction is 'forward' or 'backward', not {self.direction!r}")
        _check_count("offset", self.offset)
        if self.limit is not None:
            _check_count("limit", self.limit)

    @property
    def backward(self) -> bool:
        """Whether the newest entry comes first."""
        return self.direction == "backward"


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the arguments of the service's methods.

    Attributes:
        places: Where each field is found.
        base: What every query selects by.
        clock_ns: The time.
    """

    places: Places
    base: Query
    clock_ns: Callable[[], int]

    def search(
        self,
        options: Mapping[str, Any],
        *,
        look_back_ns: int = LOOK_BACK_NS,
        by: Mapping[str, Any] | None = None,
        **paging: Any,
    ) -> Search:
        """Read the arguments of a method.

        Args:
            options: By name: those of `Filters`, a time range, paging, and fields.
            look_back_ns: Where the range begins by default, before its end.
            by: Fields by names that may be those of an argument.
            paging: The names of paging that the method takes, with their defaults.

        Raises:
            ValueError: A value that no query can have.
            TypeError: A paging argument that the method does not take.
        """
        named = {name: options[name] for name in _FILTERS if name in options}
        refused = [name for name in _PAGING if name in options and name not in paging]
        if refused:
            raise TypeError(f"{', '.join(refused)}: not an argument here; for a field use query_by")
        known = {*_FILTERS, *_TIMES, *paging}
        others = {name: value for name, value in options.items() if name not in known}
        query = Filters(**named, fields={**others, **(by or {})}).query(self.places, self.base)
        span = self.span(options.get("start_time"), options.get("end_time"), look_back_ns)
        return Search(query, span, **{name: options.get(name, paging[name]) for name in paging})

    def span(
        self, start: Moment | None, end: Moment | None, look_back_ns: int = LOOK_BACK_NS
    ) -> Span:
        """Read a time range.

        Raises:
            ValueError: It ends before it starts, or a moment is none.
        """
        now_ns = self.clock_ns()
        end_ns = now_ns if end is None else to_ns(end, now_ns)
        start_ns = max(0, end_ns - look_back_ns) if start is None else to_ns(start, now_ns)
        if start_ns > end_ns:
            raise ValueError(
                f"the time range ends at {to_datetime(end_ns).isoformat()}, before it starts at "
                f"{to_datetime(start_ns).isoformat()}"
            )
        return Span(start_ns, end_ns)


def _check_count(name: str, count: object) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ValueError(f"{name} must be a number from 0, not {count!r}")
