"""Moments as callers write them, in nanoseconds as Loki wants them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TypeAlias

Moment: TypeAlias = "datetime | timedelta | int | str"

SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_AGO = re.compile(r"(?:\d+(?:ms|[smhdw]))+\Z", re.ASCII)
_PART = re.compile(r"(\d+)(ms|[smhdwy])", re.ASCII)
_UNITS_NS = {
    "ms": 10**6, "s": SECOND_NS, "m": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS, "w": 7 * DAY_NS,
    "y": 365 * DAY_NS,
}  # fmt: skip
# `fromisoformat` cuts nanoseconds off, and before 3.11 takes three or six digits only.
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d{1,9})(?!\d)", re.ASCII)
# A number below this would be a moment of 1970: seconds or milliseconds, taken for nanoseconds.
_LEAST_NS = 10**16
_MOST_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Span:
    """A time range: `start_ns` inclusive, `end_ns` exclusive."""

    start_ns: int
    end_ns: int


def to_ns(moment: Moment, now_ns: int) -> int:
    """Return a moment in nanoseconds since 1970-01-01 UTC.

    Args:
        moment: A datetime (a naive one is local time, as `datetime.now()` gives it); an int of
            nanoseconds; a timedelta or a text like `15m`, `1h30m`, `7d`: so long ago; `now`; or a
            text of ISO 8601, `2026-11-22T03:04:05Z`.
        now_ns: What 'ago' counts from.

    Raises:
        ValueError: A text that is none of these, or a number that is not of nanoseconds.
        TypeError: Something else; a float cannot hold nanoseconds.
    """
    try:
        found = _find_ns(moment, now_ns)
    except OverflowError:
        found = -1
    if not 0 <= found <= _MOST_NS:
        raise ValueError(f"{str(moment)!r} is not between 1970 and 2262")
    return found


def _find_ns(moment: Moment, now_ns: int) -> int:
    if isinstance(moment, datetime):
        return _of_datetime(moment)
    if isinstance(moment, timedelta):
        return now_ns - moment // timedelta(microseconds=1) * 1000
    if isinstance(moment, str):
        return _of_text(moment.strip(), now_ns)
    if isinstance(moment, bool) or not isinstance(moment, int):
        raise TypeError(
            "a moment is a datetime, a timedelta, an int of nanoseconds or a text like '1h', "
            f"not {type(moment).__name__}"
        )
    if 0 < moment < _LEAST_NS:
        raise ValueError(f"{moment} is no moment in nanoseconds; give a datetime, or time_ns()")
    return moment


def duration_ns(text: str) -> int:
    """Return how long `1h30m` is; units are those of Prometheus: ms, s, m, h, d, w and y."""
    return sum(int(count) * _UNITS_NS[unit] for count, unit in _PART.findall(text))


def to_datetime(ns: int) -> datetime:
    """Return the moment as an aware datetime in UTC; what is below a microsecond is cut off."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def _of_datetime(moment: datetime) -> int:
    try:
        # It takes a naive datetime as local time; without a float, so nothing is rounded.
        in_utc = moment.astimezone(timezone.utc)
    except ValueError as error:
        # The first day of all, where UTC still has the year 0; the last one overflows.
        raise OverflowError(error) from None
    return (in_utc - _EPOCH) // timedelta(microseconds=1) * 1000


def _of_text(text: str, now_ns: int) -> int:
    if text == "now":
        return now_ns
    if _AGO.match(text):
        return now_ns - duration_ns(text)
    fraction = _FRACTION.search(text)
    fraction_ns = int(fraction[1].ljust(9, "0")) if fraction else 0
    whole = _FRACTION.sub("", text, count=1)
    try:
        # Before 3.11 `fromisoformat` does not know the Z.
        moment = datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", whole))
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: write so long ago as '15m', '1h30m' or '7d', or a moment as "
            "'2026-11-22T03:04:05Z'"
        ) from None
    return _of_datetime(moment) + fraction_ns
