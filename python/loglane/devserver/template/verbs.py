"""Values as text: what Go's `fmt` makes of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from loglane.devserver.logql.units import quote
from loglane.devserver.refusal import unsupported
from loglane.devserver.template.layout import moment_text
from loglane.devserver.template.moment import Moment
from loglane.devserver.template.values import Value, type_name, unbox

_VERB = re.compile(r"%([-+# 0]*)([0-9]*)(?:\.([0-9]*))?([\s\S]?)")
_MAX_WIDTH = 10_000
_WORDS = {None: "<nil>", True: "true", False: "false"}


def text_of(value: Value) -> str:
    """Write a value as `{{.}}` and `%v` do."""
    value = unbox(value)
    match value:
        case None | bool():
            return _WORDS[value]
        case str() | int():
            # An integer of our own class, too, is to be plain text.
            return str(value) if isinstance(value, str) else str(int(value))
        case float():
            return float_text(value)
        case dict():
            pairs = (f"{key}:{text_of(value[key])}" for key in sorted(value))
            return f"map[{' '.join(pairs)}]"
        case list():
            return f"[{' '.join(map(text_of, value))}]"
    return moment_text(value)


def print_values(values: Sequence[Value]) -> str:
    """Join values as `print` does: a space only between two that are no strings."""
    parts: list[str] = []
    for number, value in enumerate(values):
        pair = values[max(number - 1, 0) : number + 1]
        if number and not any(isinstance(unbox(item), str) for item in pair):
            parts.append(" ")
        parts.append(text_of(value))
    return "".join(parts)


def float_text(value: float) -> str:
    """Write a number with the fewest digits, with an exponent where Go has one."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    mantissa, exponent = _digits(value)
    sign = "-" if math.copysign(1, value) < 0 else ""
    if exponent < -4 or exponent >= 6:
        fraction = f".{mantissa[1:]}" if mantissa[1:] else ""
        return f"{sign}{mantissa[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{mantissa}"
    whole = mantissa[: exponent + 1].ljust(exponent + 1, "0")
    fraction = mantissa[exponent + 1 :]
    return f"{sign}{whole}{f'.{fraction}' if fraction else ''}"


def _digits(value: float) -> tuple[str, int]:
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    power = int(exponent or 0) + len(whole) - 1
    if whole == "0":
        power = int(exponent or 0) - (len(fraction) - len(fraction.lstrip("0"))) - 1
    return digits.rstrip("0") or "0", power if digits else 0


def format_values(pattern: str, values: Sequence[Value]) -> str:
    """Format as `printf` does.

    Raises:
        Refused: A verb or a flag that this server does not know.
    """
    parts: list[str] = []
    position = used = 0
    for match in _VERB.finditer(pattern):
        parts.append(pattern[position : match.start()])
        position = match.end()
        flags, width, precision, verb = match.groups()
        if verb in {"*", "["} or "#" in flags or int(width or 0) > _MAX_WIDTH:
            raise unsupported(f"`{match.group()}` of printf in a template")
        if verb == "%":
            parts.append("%")
        elif not verb:
            parts.append("%!(NOVERB)")
        elif used >= len(values):
            parts.append(f"%!{verb}(MISSING)")
        else:
            parts.append(_format(unbox(values[used]), verb, flags, width, precision))
            used += 1
    parts.append(pattern[position:])
    if used < len(values):
        extra = ", ".join(
            f"{_extra_type(value)}{text_of(value)}" for value in map(unbox, values[used:])
        )
        parts.append(f"%!(EXTRA {extra})")
    return "".join(parts)


def _extra_type(value: Value) -> str:
    return "" if value is None else f"{type_name(value)}="


def _format(value: Value, verb: str, flags: str, width: str, precision: str | None) -> str:
    if verb == "T":
        return _pad("<nil>" if value is None else type_name(value), flags, width)
    if isinstance(value, dict | list | Moment) and (verb not in {"v", "s"} or flags or precision):
        raise unsupported(f"`%{verb}` of printf for {type_name(value)} in a template")
    text = _verb_text(value, verb, flags, precision)
    if text is None:
        inner = "<nil>" if value is None else f"{type_name(value)}={text_of(value)}"
        return f"%!{verb}({inner})"
    if "0" in flags and value is not None and not isinstance(value, bool) and verb != "q":
        zeros = not isinstance(value, float) or math.isfinite(value)
        return _pad(text, flags, width, zeros=zeros, signed=not isinstance(value, str))
    if "0" in flags:
        raise unsupported(f"the flag 0 of `%{verb}` in a template")
    return _pad(text, flags, width)


def _verb_text(value: Value, verb: str, flags: str, precision: str | None) -> str | None:
    match value:
        case None | bool():
            known = {"v"} if value is None else {"t", "v"}
            return text_of(value) if verb in known else None
        case str():
            return _string_text(value, verb, precision)
        case int():
            return _integer_text(value, verb, flags, precision)
        case float():
            return _float_verb(value, verb, flags, precision)
        case dict() | list():
            return _nested(value, verb)
        case _:
            return text_of(value)


def _nested(value: Value, verb: str) -> str:
    def inner(item: Value) -> str:
        item = unbox(item)
        return (
            _nested(item, verb)
            if isinstance(item, dict | list)
            else _format(item, verb, "", "", None)
        )

    if isinstance(value, list):
        return f"[{' '.join(inner(item) for item in value)}]"
    return f"map[{' '.join(f'{key}:{inner(value[key])}' for key in sorted(value))}]"


def _string_text(value: str, verb: str, precision: str | None) -> str | None:
    if verb in {"v", "s", "q"} and precision is not None:
        value = value[: int(precision or 0)]
    match verb:
        case "v" | "s":
            return value
        case "q":
            return quote(value)
        case "x" if precision is None:
            return value.encode().hex()
        case "X" if precision is None:
            return value.encode().hex().upper()
        case "x" | "X":
            raise unsupported("a precision of `%x` in a template")
        case _:
            return None


def _integer_text(value: int, verb: str, flags: str, precision: str | None) -> str | None:
    if verb in {"v", "d", "b", "o", "O", "x", "X"}:
        base = {"v": "d", "O": "o"}.get(verb, verb)
        digits = format(abs(int(value)), base)
        if precision is not None:
            digits = digits.rjust(int(precision or 0), "0")
            if value == 0 and int(precision or 0) == 0:
                digits = ""
        return _sign(value < 0, flags) + ("0o" if verb == "O" else "") + digits
    if verb in {"c", "q", "U"}:
        raise unsupported(f"`%{verb}` of printf in a template")
    return None


def _float_verb(value: float, verb: str, flags: str, precision: str | None) -> str | None:
    if verb not in {"v", "g", "G", "e", "E", "f", "F"}:
        if verb in {"b", "x", "X"}:
            raise unsupported(f"`%{verb}` of printf for a float in a template")
        return None
    if not math.isfinite(value):
        text = float_text(value)
        return text if "+" in flags else text.removeprefix("+") if " " not in flags else text
    magnitude = abs(value)
    if verb in {"v", "g", "G"} and precision is None:
        digits = float_text(magnitude)
    else:
        kind = "g" if verb == "v" else verb
        digits = format(magnitude, f".{int(precision or 0) if precision is not None else 6}{kind}")
    digits = digits.upper() if verb in {"G", "E"} else digits
    return _sign(math.copysign(1, value) < 0, flags) + digits


def _sign(negative: bool, flags: str) -> str:
    if negative:
        return "-"
    return "+" if "+" in flags else " " if " " in flags else ""


def _pad(text: str, flags: str, width: str, *, zeros: bool = False, signed: bool = False) -> str:
    size = int(width or 0)
    if "-" in flags:
        return text.ljust(size)
    if zeros:
        sign = text[:1] if signed and text[:1] in {"-", "+", " "} else ""
        return sign + text[len(sign) :].rjust(size - len(sign), "0")
    return text.rjust(size)
