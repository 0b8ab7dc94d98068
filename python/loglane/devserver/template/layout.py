"""Times as text in Go's way: a layout shows what the reference time would look like.

The reference is Mon Jan 2 15:04:05 MST 2006. Source: time.Time.Format of Go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from loglane.devserver.template.moment import Moment

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_GO_STRING = "2006-01-02 15:04:05.999999999 -0700 MST"

_ELEMENT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|2|__2|_(?=2006)|_2|3|4|5"
    r"|PM|pm|-070000|-07:00:00|-0700|-07:00|-07|Z070000|Z07:00:00|Z0700|Z07:00|Z07"
    r"|[.,](?:0+|9+)(?![0-9])"
)


def split_layout(layout: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a layout, each with whether it stands for a part of a time."""
    position = 0
    for match in _ELEMENT.finditer(layout):
        if match.start() > position:
            yield layout[position : match.start()], False
        yield match.group(), match.group() != "_"
        position = match.end()
    if position < len(layout):
        yield layout[position:], False


def format_moment(moment: Moment, layout: str) -> str:
    """Write a time after a layout."""
    return "".join(
        _format(moment, part) if is_element else part for part, is_element in split_layout(layout)
    )


def moment_text(moment: Moment) -> str:
    """Write a time as Go prints it."""
    return format_moment(moment, _GO_STRING)


def _format(moment: Moment, part: str) -> str:
    if part[0] in "-Z":
        return _offset(moment.offset_s, part)
    if part[0] in ".,":
        return _fraction(moment.nanosecond, part)
    if part == "MST":
        return moment.abbreviation
    return _CIVIL[part](moment)


def _offset(seconds: int, part: str) -> str:
    if part[0] == "Z" and seconds == 0:
        return "Z"
    colon = ":" if ":" in part else ""
    minutes, second = divmod(abs(seconds), 60)
    hour, minute = divmod(minutes, 60)
    text = f"{'-' if seconds < 0 else '+'}{hour:02d}"
    digits = sum(char.isdigit() for char in part)
    if digits >= 4:
        text += f"{colon}{minute:02d}"
    return text + (f"{colon}{second:02d}" if digits == 6 else "")


def _fraction(nanosecond: int, part: str) -> str:
    digits = f"{nanosecond:09d}"[: len(part) - 1].ljust(len(part) - 1, "0")
    if part[1] == "0":
        return part[0] + digits
    digits = digits.rstrip("0")
    return part[0] + digits if digits else ""


def _hour12(moment: Moment) -> int:
    return moment.civil().hour % 12 or 12


def _half(moment: Moment) -> str:
    return "PM" if moment.civil().hour >= 12 else "AM"


_CIVIL: dict[str, Callable[[Moment], str]] = {
    "2006": lambda m: f"{m.civil().year:04d}",
    "06": lambda m: f"{m.civil().year % 100:02d}",
    "January": lambda m: MONTHS[m.civil().month - 1],
    "Jan": lambda m: MONTHS[m.civil().month - 1][:3],
    "1": lambda m: str(m.civil().month),
    "01": lambda m: f"{m.civil().month:02d}",
    "Monday": lambda m: WEEKDAYS[m.civil().weekday()],
    "Mon": lambda m: WEEKDAYS[m.civil().weekday()][:3],
    "2": lambda m: str(m.civil().day),
    "_2": lambda m: f"{m.civil().day:2d}",
    "02": lambda m: f"{m.civil().day:02d}",
    "__2": lambda m: f"{m.civil().timetuple().tm_yday:3d}",
    "002": lambda m: f"{m.civil().timetuple().tm_yday:03d}",
    "15": lambda m: f"{m.civil().hour:02d}",
    "3": lambda m: str(_hour12(m)),
    "03": lambda m: f"{_hour12(m):02d}",
    "4": lambda m: str(m.civil().minute),
    "04": lambda m: f"{m.civil().minute:02d}",
    "5": lambda m: str(m.civil().second),
    "05": lambda m: f"{m.civil().second:02d}",
    "PM": _half,
    "pm": lambda m: _half(m).lower(),
}
