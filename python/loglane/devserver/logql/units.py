"""Numbers, durations and sizes as Go reads and writes them.

Sources: strconv.ParseFloat and time.ParseDuration of Go, model.ParseDuration of
prometheus/common, ParseBytes of dustin/go-humanize. Error texts are theirs: they end up in
`__error_details__`.
"""

from __future__ import annotations

import re

_PROMETHEUS = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?"
    r"(?:([0-9]+)s)?(?:([0-9]+)ms)?\Z"
)
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_PROMETHEUS_UNITS = (365 * _DAY, 7 * _DAY, _DAY, 3600 * _SECOND, 60 * _SECOND, _SECOND, 1_000_000)

_GO_PART = re.compile(r"([0-9]*)(\.[0-9]*)?([^0-9.]*)")
_GO_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
}
_INT64_MAX = 2**63 - 1

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_HEXADECIMAL = re.compile(
    r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+\Z"
)
# An underscore may stand between two digits, and after `0x`.
_SEPARATOR = re.compile(r"(?<=[0-9])_(?=[0-9])")
_HEXADECIMAL_SEPARATOR = re.compile(r"(?<=[0-9a-fA-FxX])_(?=[0-9a-fA-F])")
_SPECIAL = re.compile(r"(?:[+-]?inf(?:inity)?|nan)\Z", re.IGNORECASE)

_ESCAPED = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
    "\t": "\\t", "\v": "\\v",
}  # fmt: skip

_SIZES = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtpe", start=1):
    _SIZES[_letter] = _SIZES[f"{_letter}b"] = 1000**_power
    _SIZES[f"{_letter}i"] = _SIZES[f"{_letter}ib"] = 1024**_power
_SIZE = re.compile(r"([0-9.,]*)(.*)\Z", re.DOTALL)


def parse_prometheus_duration(text: str) -> int:
    """Read `1h30m` as nanoseconds; raises ValueError for anything else, such as `1.5h`."""
    if text == "0":
        return 0
    if not text:
        raise ValueError("empty duration string")
    match = _PROMETHEUS.match(text)
    if match is None:
        raise ValueError(f"not a valid duration string: {quote(text)}")
    if len(text) > 64:
        raise ValueError("duration out of range")
    total = sum(
        int(count) * unit
        for count, unit in zip(match.groups(), _PROMETHEUS_UNITS, strict=True)
        if count is not None
    )
    if total > _INT64_MAX:
        raise ValueError("duration out of range")
    return total


def parse_go_duration(text: str) -> int:
    """Read `1.5h` or `300ms` as nanoseconds; raises ValueError with Go's text."""
    rest = text
    negative = rest[:1] == "-"
    if rest[:1] in {"-", "+"}:
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
    total = 0
    if len(text) > 256:
        raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
    while rest:
        match = _GO_PART.match(rest)
        whole, fraction, unit = match.groups() if match else ("", None, "")
        if not whole and (fraction is None or fraction == "."):
            raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
        if not unit:
            raise ValueError(f"time: missing unit in duration {_quote_bytes(text)}")
        if unit not in _GO_UNITS:
            raise ValueError(
                f"time: unknown unit {_quote_bytes(unit)} in duration {_quote_bytes(text)}"
            )
        scale = _GO_UNITS[unit]
        total += int(whole or "0") * scale
        digits = (fraction or ".")[1:]
        if digits:
            total += int(digits) * scale // 10 ** len(digits)
        if total > _INT64_MAX:
            raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
        rest = rest[match.end() :] if match else ""
    return -total if negative else total


def parse_duration(text: str) -> int:
    """Read a duration literal of a query, Prometheus style first, as nanoseconds."""
    try:
        return parse_prometheus_duration(text)
    except ValueError:
        return parse_go_duration(text)


def parse_float(text: str) -> float:
    """Read a float as Go does, without spaces around; raises ValueError with Go's text."""
    given = text
    if "_" in text:
        is_hexadecimal = text.lstrip("+-")[:2].lower() == "0x"
        text = (_HEXADECIMAL_SEPARATOR if is_hexadecimal else _SEPARATOR).sub("", text)
    if _DECIMAL.match(text) or _SPECIAL.match(text):
        value = float(text)
        if value in {float("inf"), float("-inf")} and _DECIMAL.match(text):
            raise ValueError(f"strconv.ParseFloat: parsing {quote(given)}: value out of range")
        return value
    if _HEXADECIMAL.match(text):
        return float.fromhex(text)
    raise ValueError(f"strconv.ParseFloat: parsing {quote(given)}: invalid syntax")


def parse_bytes(text: str) -> int:
    """Read `10KB` or `1.5 MiB` as bytes; raises ValueError with go-humanize's text."""
    match = _SIZE.match(text)
    number, unit = match.groups() if match else ("", text)
    value = parse_float(number.replace(",", ""))
    unit = unit.strip().lower()
    if unit not in _SIZES:
        raise ValueError(f"unhandled size name: {unit}")
    size = value * _SIZES[unit]
    if size >= 2**64:
        raise ValueError(f"too large: {text}")
    return int(size)


def format_float(value: float) -> str:
    """Write a sample value as Prometheus does: shortest digits, never an exponent."""
    if value != value:  # noqa: PLR0124 - only NaN differs from itself
        return "NaN"
    if value in {float("inf"), float("-inf")}:
        return "+Inf" if value > 0 else "-Inf"
    text = repr(float(value))
    if "e" in text:
        text = _without_exponent(text)
    return text.removesuffix(".0")


def quote(text: str) -> str:
    """Quote a string as Go's `%q` does."""
    return f'"{"".join(map(_quoted_char, text))}"'


def _quote_bytes(text: str) -> str:
    # Go's package time has a quote of its own, which knows bytes only.
    parts = (
        f"\\{chr(byte)}" if byte in b'"\\' else chr(byte) if 32 <= byte < 128 else f"\\x{byte:02x}"
        for byte in text.encode()
    )
    return f'"{"".join(parts)}"'


def _quoted_char(char: str) -> str:
    if char in _ESCAPED:
        return _ESCAPED[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _without_exponent(text: str) -> str:
    mantissa, exponent = text.split("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    point = len(whole) + int(exponent)
    digits = whole + ("" if fraction == "0" else fraction)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits.ljust(point, "0")
    return f"{sign}{digits[:point]}.{digits[point:]}"
