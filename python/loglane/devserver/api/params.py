"""Query parameters of Loki's HTTP API (loki: pkg/loghttp/params.go)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal

from loglane.devserver.engine.window import Window
from loglane.devserver.logql.units import (
    parse_float,
    parse_prometheus_duration,
    quote,
)
from loglane.devserver.refusal import Refused, unsupported

DEFAULT_LIMIT = 100
# loki: limits_config.max_entries_limit_per_query at its default.
MAX_LIMIT = 5000
MAX_POINTS = 11_000

_SECOND = 1_000_000_000
_INT64 = 2**63
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)\Z", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The time range of a request in nanoseconds; `end_ns` is excluded."""

    start_ns: int
    end_ns: int


def read_bounds(params: Mapping[str, str], now_ns: int | None = None) -> Bounds:
    """Read `start`, `end` and `since`; an hour up to now by default.

    Raises:
        Refused: One of them cannot be read.
    """
    now = time.time_ns() if now_ns is None else now_ns
    since = 3600 * _SECOND
    if params.get("since"):
        try:
            since = parse_prometheus_duration(params["since"])
        except ValueError as error:
            raise Refused(f"could not parse 'since' parameter: {error}") from None
    end = _read_time(params, "end", now)
    start = _read_time(params, "start", min(end, now) - since)
    return Bounds(start, end)


def read_range(params: Mapping[str, str]) -> tuple[Bounds, Window]:
    """Read the bounds of a range query and the steps of a metric query over them.

    Raises:
        Refused: Loki refuses them: the end is before the start, or there are too many steps.
    """
    bounds = read_bounds(params)
    check_order(bounds)
    step = _read_step(params, bounds)
    if step <= 0:
        raise Refused(
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
        )
    if (bounds.end_ns - bounds.start_ns) // step > MAX_POINTS:
        raise Refused(
            "exceeded maximum resolution of 11,000 points per time series. "
            "Try increasing the value of the step parameter"
        )
    if params.get("interval"):
        interval = _read_duration(params["interval"])
        if interval < 0:
            raise Refused("interval must be >= 0")
        if interval:
            raise unsupported("`interval`")
    return bounds, Window(bounds.start_ns, bounds.end_ns, step)


def check_order(
    bounds: Bounds, text: str = "end timestamp must not be before or equal to start time"
) -> None:
    """Refuse an end before the start, with Loki's text for most endpoints."""
    if bounds.end_ns < bounds.start_ns:
        raise Refused(text)


def read_limit(params: Mapping[str, str]) -> int:
    """Read `limit`; the caller checks `MAX_LIMIT`, which counts for log queries only."""
    text = params.get("limit", "")
    if not text:
        return DEFAULT_LIMIT
    limit = read_int(text)
    if limit <= 0:
        raise Refused("limit must be a positive value")
    return limit


def check_limit(limit: int) -> None:
    """Refuse more entries than Loki's `max_entries_limit_per_query`."""
    if limit > MAX_LIMIT:
        raise Refused(
            f"max entries limit per query exceeded, limit > max_entries_limit_per_query "
            f"({limit} > {MAX_LIMIT})"
        )


def read_backward(params: Mapping[str, str]) -> bool:
    """Read `direction`; backward unless the client asks for forward."""
    text = params.get("direction", "")
    if text.upper() not in {"", "BACKWARD", "FORWARD"}:
        raise Refused(f"invalid direction '{text}'")
    return text.upper() != "FORWARD"


def read_instant(params: Mapping[str, str]) -> int:
    """Read `time` in nanoseconds; now by default."""
    return _parse_time(params.get("time", ""), time.time_ns())


def _read_time(params: Mapping[str, str], name: str, default: int) -> int:
    try:
        return _parse_time(params.get(name, ""), default)
    except Refused as error:
        raise Refused(f"could not parse '{name}' parameter: {error}") from None


def _parse_time(text: str, default: int) -> int:
    if not text:
        return default
    if "." in text:
        try:
            seconds = parse_float(text)
        except ValueError:
            pass
        else:
            return _checked(_float_seconds(seconds), text)
    if _INTEGER.match(text):
        value = int(text) if len(text) <= 20 else _INT64
        return _checked(value * _SECOND if len(text) <= 10 else value, text)
    match = _RFC3339.match(text)
    if match is None:
        raise Refused(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    return _checked(_rfc3339(match, text), text)


def _float_seconds(seconds: float) -> int:
    # Loki keeps milliseconds of a float, rounded.
    if not abs(seconds) < 1e18:
        return _INT64
    whole = int(seconds)
    fraction = round((seconds - whole) * 1000) / 1000
    return whole * _SECOND + int(fraction * _SECOND)


def _rfc3339(match: re.Match[str], text: str) -> int:
    moment, fraction, zone = match.groups()
    try:
        parsed = datetime.fromisoformat(moment + ("+00:00" if zone == "Z" else zone))
    except ValueError:
        raise Refused(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax") from None
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    elapsed = parsed - epoch
    return (elapsed.days * 86_400 + elapsed.seconds) * _SECOND + int(
        (fraction or "")[:9].ljust(9, "0")
    )


def _checked(value: int, text: str) -> int:
    if not -_INT64 < value < _INT64:
        raise Refused(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return value


def _read_step(params: Mapping[str, str], bounds: Bounds) -> int:
    text = params.get("step", "")
    if text:
        return _read_duration(text)
    seconds = Decimal(bounds.end_ns - bounds.start_ns) / _SECOND
    return max(int(seconds // 250), 1) * _SECOND


def _read_duration(text: str) -> int:
    try:
        seconds = parse_float(text)
    except ValueError:
        pass
    else:
        if not abs(seconds * _SECOND) < _INT64:
            raise Refused(f"cannot parse {quote(text)} to a valid duration. It overflows int64")
        return int(seconds * _SECOND)
    try:
        return parse_prometheus_duration(text)
    except ValueError:
        raise Refused(f"cannot parse {quote(text)} to a valid duration") from None


def read_int(text: str) -> int:
    """Read a whole number of 64 bits; raises Refused."""
    if not _INTEGER.match(text):
        raise Refused(f"strconv.Atoi: parsing {quote(text)}: invalid syntax")
    if len(text) > 20 or not -_INT64 <= int(text) < _INT64:
        raise Refused(f"strconv.Atoi: parsing {quote(text)}: value out of range")
    return int(text)
