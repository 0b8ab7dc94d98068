"""Functions of templates on times; the local zone of the development server is UTC."""

from __future__ import annotations

import re
import time
from datetime import timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loglane.devserver.logql.units import quote
from loglane.devserver.template.function import Function
from loglane.devserver.template.layout import format_moment
from loglane.devserver.template.layout_parse import BadTimeError, parse_moment
from loglane.devserver.template.moment import ZERO_NS, Moment
from loglane.devserver.template.values import CallError, Int64, Value, unbox, wrap

_SECOND = 1_000_000_000
# From the number of digits of an epoch to its unit.
_EPOCH_UNITS = {5: 86_400 * _SECOND, 10: _SECOND, 13: 1_000_000, 16: 1_000, 19: 1}
_INTEGER = re.compile(r"[+-]?[0-9]+")


def _now() -> Moment:
    return Moment(time.time_ns())


def _date(layout: str, value: Value) -> str:
    value = unbox(value)
    if isinstance(value, Int64 | int) and not isinstance(value, bool):
        value = Moment(int(value) * _SECOND)
    elif not isinstance(value, Moment):
        value = _now()
    return format_moment(Moment(value.unix_ns), layout)


def _to_date(layout: str, text: str) -> Moment:
    return _parsed(layout, text, timezone.utc)


def _to_date_in_zone(layout: str, zone: str, text: str) -> Moment:
    return _parsed(layout, text, _zone(zone))


def _parsed(layout: str, text: str, zone: tzinfo) -> Moment:
    try:
        return parse_moment(layout, text, zone)
    except BadTimeError:
        return Moment(ZERO_NS)


def _zone(name: str) -> tzinfo:
    if name in {"", "UTC", "Local"}:
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return timezone.utc


def _unix_to_time(epoch: str) -> Moment:
    if not _INTEGER.fullmatch(epoch):
        reason = f"strconv.ParseInt: parsing {quote(epoch)}: invalid syntax"
        raise CallError(f"unable to parse time '{epoch}': {reason}")
    if not -(2**63) <= int(epoch) < 2**63:
        reason = f"strconv.ParseInt: parsing {quote(epoch)}: value out of range"
        raise CallError(f"unable to parse time '{epoch}': {reason}")
    unit = _EPOCH_UNITS.get(len(epoch))
    if unit is None:
        raise CallError(f"unable to parse time '{epoch}': %!w(<nil>)")
    return Moment(int(epoch) * unit)


FUNCTIONS: dict[str, Function | None] = {
    "now": Function(_now),
    "date": Function(_date, ("string", "any")),
    "toDate": Function(_to_date, ("string", "string")),
    "toDateInZone": Function(_to_date_in_zone, ("string", "string", "string")),
    "unixToTime": Function(_unix_to_time, ("string",)),
    "unixEpoch": Function(lambda moment: str(moment.unix_ns // _SECOND), ("time.Time",)),
    "unixEpochMillis": Function(lambda moment: str(moment.unix_ns // 1_000_000), ("time.Time",)),
    "unixEpochNanos": Function(lambda moment: str(wrap(moment.unix_ns)), ("time.Time",)),
}
