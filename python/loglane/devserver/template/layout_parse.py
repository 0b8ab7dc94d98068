"""Text to times after a layout of Go (time.ParseInLocation)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo

from loglane.devserver.refusal import unsupported
from loglane.devserver.template.layout import MONTHS, WEEKDAYS, split_layout
from loglane.devserver.template.moment import Moment, from_civil

_FRACTION = re.compile(r"[.,]([0-9]+)")
_OFFSETS = {
    2: re.compile(r"([+-])([0-9]{2})"),
    4: re.compile(r"([+-])([0-9]{2})([0-9]{2})"),
    6: re.compile(r"([+-])([0-9]{2})([0-9]{2})([0-9]{2})"),
}
_COLON_OFFSETS = {
    4: re.compile(r"([+-])([0-9]{2}):([0-9]{2})"),
    6: re.compile(r"([+-])([0-9]{2}):([0-9]{2}):([0-9]{2})"),
}


class BadTimeError(ValueError):
    """The text does not follow the layout."""


@dataclass(slots=True)
class _Parts:
    year: int = 0
    month: int = 0
    # A day of 0 is wrong, none at all is the first.
    day: int = -1
    yday: int = 0
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    half: str = ""
    zone: tzinfo | None = None
    rest: str = field(default="", repr=False)


def parse_moment(layout: str, text: str, zone: tzinfo) -> Moment:
    """Read a time; a zone in the text wins over `zone`.

    Raises:
        BadTimeError: The text does not follow the layout.
        Refused: It names a zone that is not UTC.
    """
    parts = _Parts(rest=text)
    elements = list(split_layout(layout))
    for number, (part, is_element) in enumerate(elements):
        if not is_element:
            parts.rest = _skip(parts.rest, part)
            continue
        _read(parts, part)
        follows_fraction = elements[number + 1 : number + 2] and elements[number + 1][0][0] in ".,"
        follows_fraction = follows_fraction and elements[number + 1][1]
        if part in {"5", "05"} and not follows_fraction:
            _read_fraction(parts, "9")
    if parts.rest:
        raise BadTimeError("extra text")
    return _assemble(parts, zone)


def _skip(text: str, literal: str) -> str:
    for char in re.findall(r" +|[^ ]", literal):
        if char[0] == " ":
            if text and text[0] != " ":
                raise BadTimeError(literal)
            text = text.lstrip(" ")
        elif not text.startswith(char):
            raise BadTimeError(literal)
        else:
            text = text[1:]
    return text


def _read(parts: _Parts, part: str) -> None:
    if part[0] in "-Z":
        _read_offset(parts, part)
    elif part[0] in ".,":
        _read_exact_fraction(parts, part)
    else:
        _READERS[part](parts)


def _number(parts: _Parts, pattern: str, low: int, high: int) -> int:
    match = re.match(pattern, parts.rest, re.ASCII)
    if match is None or not low <= int(match.group()) <= high:
        raise BadTimeError("number")
    parts.rest = parts.rest[match.end() :]
    return int(match.group())


def _name(parts: _Parts, names: tuple[str, ...], length: int | None) -> int:
    for number, name in enumerate(names):
        wanted = name[:length]
        if parts.rest[: len(wanted)].lower() == wanted.lower():
            parts.rest = parts.rest[len(wanted) :]
            return number
    raise BadTimeError("name")


def _setter(name: str, pattern: str, low: int, high: int) -> Callable[[_Parts], None]:
    return lambda parts: setattr(parts, name, _number(parts, pattern, low, high))


def _read_short_year(parts: _Parts) -> None:
    year = _number(parts, r"\d\d", 0, 99)
    parts.year = year + (1900 if year >= 69 else 2000)


def _read_month(length: int | None) -> Callable[[_Parts], None]:
    return lambda parts: setattr(parts, "month", _name(parts, MONTHS, length) + 1)


def _read_weekday(length: int | None) -> Callable[[_Parts], None]:
    def read(parts: _Parts) -> None:
        # Go does not compare it with the date either.
        _name(parts, WEEKDAYS, length)

    return read


def _read_padded_day(parts: _Parts) -> None:
    parts.rest = parts.rest.removeprefix(" ")
    parts.day = _number(parts, r"\d\d?", 0, 99)


def _read_padded_yday(parts: _Parts) -> None:
    parts.rest = parts.rest.removeprefix(" ").removeprefix(" ")
    parts.yday = _number(parts, r"\d{1,3}", 1, 999)


def _read_half(*names: str) -> Callable[[_Parts], None]:
    def read(parts: _Parts) -> None:
        if parts.rest[:2] not in names:
            raise BadTimeError("half")
        parts.half = parts.rest[:2].upper()
        parts.rest = parts.rest[2:]

    return read


def _read_zone(parts: _Parts) -> None:
    if not parts.rest.startswith("UTC"):
        if re.match(r"[A-Z]{3}|[+-][0-9]", parts.rest):
            raise unsupported("the name of a time zone other than UTC in a template")
        raise BadTimeError("zone")
    parts.rest = parts.rest[3:]
    parts.zone = timezone.utc


def _read_offset(parts: _Parts, part: str) -> None:
    if part[0] == "Z" and parts.rest.startswith("Z"):
        parts.rest = parts.rest[1:]
        parts.zone = timezone.utc
        return
    digits = sum(char.isdigit() for char in part)
    match = (_COLON_OFFSETS if ":" in part else _OFFSETS)[digits].match(parts.rest)
    if match is None:
        raise BadTimeError("offset")
    sign, hour, minute, second = (*match.groups(), "0", "0")[:4]
    if int(hour) > 24 or int(minute) > 60 or int(second) > 60:
        raise BadTimeError("offset")
    seconds = (int(hour) * 60 + int(minute)) * 60 + int(second)
    parts.rest = parts.rest[match.end() :]
    parts.zone = _fixed_zone(-seconds if sign == "-" else seconds)


def _fixed_zone(seconds: int) -> tzinfo:
    if abs(seconds) >= 86_400:
        raise unsupported("a time zone of a day in a template")
    hours, minutes = divmod(abs(seconds) // 60, 60)
    # Go prints a zone without a name as its offset.
    name = f"{'-' if seconds < 0 else '+'}{hours:02d}{minutes:02d}"
    return timezone(timedelta(seconds=seconds), name)


def _read_exact_fraction(parts: _Parts, part: str) -> None:
    if part[1] == "9":
        _read_fraction(parts, part)
        return
    digits = parts.rest[1 : len(part)]
    if parts.rest[:1] not in {".", ","} or len(digits) < len(part) - 1 or not digits.isdecimal():
        raise BadTimeError("fraction")
    parts.nanosecond = int(digits[:9].ljust(9, "0"))
    parts.rest = parts.rest[len(part) :]


def _read_fraction(parts: _Parts, _part: str) -> None:
    match = _FRACTION.match(parts.rest)
    if match:
        parts.nanosecond = int(match.group(1)[:9].ljust(9, "0"))
        parts.rest = parts.rest[match.end() :]


_READERS: dict[str, Callable[[_Parts], None]] = {
    "2006": _setter("year", r"\d{4}", 0, 9999),
    "06": _read_short_year,
    "January": _read_month(None),
    "Jan": _read_month(3),
    "1": _setter("month", r"\d\d?", 1, 12),
    "01": _setter("month", r"\d\d", 1, 12),
    "Monday": _read_weekday(None),
    "Mon": _read_weekday(3),
    "2": _setter("day", r"\d\d?", 0, 99),
    "02": _setter("day", r"\d\d", 0, 99),
    "_2": _read_padded_day,
    "002": _setter("yday", r"\d{3}", 1, 999),
    "__2": _read_padded_yday,
    "15": _setter("hour", r"\d\d?", 0, 23),
    "3": _setter("hour", r"\d\d?", 0, 12),
    "03": _setter("hour", r"\d\d", 0, 12),
    "4": _setter("minute", r"\d\d?", 0, 59),
    "04": _setter("minute", r"\d\d", 0, 59),
    "5": _setter("second", r"\d\d?", 0, 59),
    "05": _setter("second", r"\d\d", 0, 59),
    "PM": _read_half("PM", "AM"),
    "pm": _read_half("pm", "am"),
    "MST": _read_zone,
}


def _assemble(parts: _Parts, zone: tzinfo) -> Moment:
    hour = parts.hour
    if parts.half == "PM" and hour < 12:
        hour += 12
    elif parts.half == "AM" and hour == 12:
        hour = 0
    if parts.year == 0:
        # Without a year Go counts from the year 0, which Python does not have.
        raise unsupported("a time without a year in a template")
    try:
        if parts.yday:
            day = datetime(parts.year, 1, 1) + timedelta(days=parts.yday - 1)
            if day.year != parts.year or parts.month not in {0, day.month}:
                raise BadTimeError("day of the year")
        else:
            day = datetime(parts.year, parts.month or 1, 1 if parts.day < 0 else parts.day)
        civil = day.replace(hour=hour, minute=parts.minute, second=parts.second)
    except ValueError as error:
        raise BadTimeError(str(error)) from None
    return from_civil(civil, parts.nanosecond, parts.zone or zone)
