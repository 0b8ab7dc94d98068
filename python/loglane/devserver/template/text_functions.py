"""Functions of templates on strings.

Those of `strings` of Go, of sprig and of Loki (loki: pkg/logql/log/fmt.go); sprig's count bytes,
Loki's own count characters.
"""

from __future__ import annotations

import base64
import json
import re
import string
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

import re2

from loglane.devserver.logql.patterns import BadRegexpError, compile_pattern
from loglane.devserver.logql.strings import SPACE
from loglane.devserver.refusal import unsupported
from loglane.devserver.template.function import Function, Kind
from loglane.devserver.template.values import Boxed, CallError

# A line of a log is never longer; Loki itself has no limit and may run out of memory.
MAX_CHARS = 1_000_000

_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})", re.ASCII)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BASE64 = (string.ascii_letters + string.digits + "+/").encode()


def upper(text: str) -> str:
    """Map every character alone, as Go does: the German sharp s stays."""
    return text.upper() if text.isascii() else "".join(map(_upper_char, text))


def _upper_char(char: str) -> str:
    mapped = char.upper()
    if len(mapped) == 1:
        return mapped
    return char.title() if len(char.title()) == 1 else char


def lower(text: str) -> str:
    """Map every character alone, as Go does: a final sigma is like any other."""
    return "".join("i" if char == "\u0130" else char.lower() for char in text)


def title(text: str) -> str:
    """Write the first letter of every word large, and leave the others."""
    parts: list[str] = []
    previous = " "
    for char in text:
        mapped = char.title()
        parts.append(mapped if _separates(previous) and len(mapped) == 1 else char)
        previous = char
    return "".join(parts)


def _separates(char: str) -> bool:
    if char.isascii():
        return not (char.isalnum() or char == "_")
    return not (char.isalpha() or char.isdecimal()) and char in SPACE


def from_bytes(data: bytes) -> str:
    """Decode what a function cut out; raises Refused when it cut a character in two."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise unsupported("a template that makes half a character") from None


def _trunc(count: int, text: str) -> str:
    data = text.encode()
    if count < 0 and len(data) + count > 0:
        return from_bytes(data[count:])
    return from_bytes(data[:count]) if 0 <= count < len(data) else text


def _substr(start: int, end: int, text: str) -> str:
    data = text.encode()
    size = len(data)
    if start < 0:
        return from_bytes(data[: _bound(end, size)])
    if end < 0 or end > size:
        if start > size:
            raise CallError(f"runtime error: slice bounds out of range [{start}:{size}]")
        return from_bytes(data[start:])
    if start > end:
        raise CallError(f"runtime error: slice bounds out of range [{start}:{end}]")
    return from_bytes(data[start:end])


def _bound(end: int, size: int) -> int:
    if end < 0:
        raise CallError(f"runtime error: slice bounds out of range [:{end}]")
    if end > size:
        raise CallError(f"runtime error: slice bounds out of range [:{end}] with length {size}")
    return end


def _repeat(count: int, text: str) -> str:
    if count < 0:
        raise CallError("strings: negative Repeat count")
    return text * _limited(count, len(text))


def _limited(count: int, length: int) -> int:
    if count * length > MAX_CHARS:
        raise unsupported(f"a template that writes more than {MAX_CHARS} characters")
    return count


def _indent(spaces: int, text: str) -> str:
    if spaces < 0:
        raise CallError("strings: negative Repeat count")
    padding = " " * _limited(spaces, 1 + text.count("\n"))
    return padding + text.replace("\n", f"\n{padding}")


def _align(count: int, text: str, *, right: bool) -> str:
    if count < 0 or count == len(text):
        return text
    _limited(count, 1)
    if right:
        return text.rjust(count) if count > len(text) else text[len(text) - count :]
    return text.ljust(count)[:count]


def _replace(text: str, old: str, new: str, count: int) -> str:
    return text.replace(old, new, count)


def _regexp(pattern: str) -> re2._Regexp:
    try:
        return compile_pattern(pattern)
    except BadRegexpError as error:
        raise CallError(str(error)) from None


def _matches(pattern: re2._Regexp, text: str) -> list[Any]:
    # Go leaves out an empty match right behind another match.
    found: list[Any] = []
    for match in pattern.finditer(text):
        if not (found and match.end() == match.start() == found[-1].end()):
            found.append(match)
    return found


def _substitute(pattern: str, text: str, expand: Callable[[Any], str]) -> str:
    parts: list[str] = []
    position = 0
    for match in _matches(_regexp(pattern), text):
        parts += (text[position : match.start()], expand(match))
        position = match.end()
    return "".join([*parts, text[position:]])


def _regex_replace_all(pattern: str, text: str, replacement: str) -> str:
    groups = _regexp(pattern).groupindex

    def expand(match: Any) -> str:
        def reference(found: re.Match[str]) -> str:
            dollar, *names = found.groups()
            if dollar:
                return "$"
            name = names[0] or names[1]
            if name.isdigit() and (name == "0" or name[0] != "0"):
                return (match.group(int(name)) or "") if int(name) <= match.re.groups else ""
            return (match.group(groups[name]) or "") if name in groups else ""

        return _REFERENCE.sub(reference, replacement)

    return _substitute(pattern, text, expand)


def _urldecode(text: str) -> str:
    bad = re.search(r"%(?![0-9a-fA-F]{2}).{0,2}", text, re.DOTALL)
    if bad:
        raise CallError(f'invalid URL escape "{bad.group()}"')
    return from_bytes(unquote_to_bytes(text.replace("+", " ")))


def _b64dec(text: str) -> str:
    data = text.encode()
    bad = _bad_base64(data)
    if bad is not None:
        return f"illegal base64 data at input byte {bad}"
    return from_bytes(base64.b64decode(data))


def _bad_base64(data: bytes) -> int | None:
    """Find where Go's decoder stops: at a wrong byte, or where something is missing."""
    places = [place for place, byte in enumerate(data) if byte not in b"\r\n"]
    digits = next((n for n, p in enumerate(places) if data[p] not in _BASE64), len(places))
    rest = digits % 4
    if digits == len(places):
        return len(data) - rest if rest else None
    place = places[digits]
    if data[place] != ord("=") or rest < 2:
        return place
    if rest == 2:
        if digits + 1 == len(places):
            return len(data)
        if data[places[digits + 1]] != ord("="):
            return places[digits + 1] - 1
        digits += 1
    return places[digits + 1] if digits + 1 < len(places) else None


def _from_json(text: str) -> Boxed:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        value = json.loads(text, parse_int=float, parse_constant=refuse)
        return Boxed(_without_surrogates(value) if _SURROGATE.search(text) else value)
    except ValueError:
        return Boxed(None)
    except RecursionError:
        raise unsupported("`fromJson` of deeply nested JSON") from None


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
        case list():
            return [_without_surrogates(item) for item in value]
        case _:
            return value


_ONE: tuple[Kind, ...] = ("string",)
_TWO: tuple[Kind, ...] = ("string", "string")
_THREE: tuple[Kind, ...] = ("string", "string", "string")

FUNCTIONS: dict[str, Function | None] = {
    "ToLower": Function(lower, _ONE),
    "ToUpper": Function(upper, _ONE),
    "lower": Function(lower, _ONE),
    "upper": Function(upper, _ONE),
    "title": Function(title, _ONE),
    "Replace": Function(_replace, ("string", "string", "string", "int")),
    "replace": Function(lambda old, new, text: text.replace(old, new), _THREE),
    "Trim": Function(lambda text, chars: text.strip(chars), _TWO),
    "TrimLeft": Function(lambda text, chars: text.lstrip(chars), _TWO),
    "TrimRight": Function(lambda text, chars: text.rstrip(chars), _TWO),
    "TrimPrefix": Function(lambda text, prefix: text.removeprefix(prefix), _TWO),
    "TrimSuffix": Function(lambda text, suffix: text.removesuffix(suffix), _TWO),
    "TrimSpace": Function(lambda text: text.strip(SPACE), _ONE),
    "trim": Function(lambda text: text.strip(SPACE), _ONE),
    "trimAll": Function(lambda chars, text: text.strip(chars), _TWO),
    "trimPrefix": Function(lambda prefix, text: text.removeprefix(prefix), _TWO),
    "trimSuffix": Function(lambda suffix, text: text.removesuffix(suffix), _TWO),
    "trunc": Function(_trunc, ("int", "string")),
    "substr": Function(_substr, ("int", "int", "string")),
    "contains": Function(lambda part, text: part in text, _TWO),
    "hasPrefix": Function(lambda prefix, text: text.startswith(prefix), _TWO),
    "hasSuffix": Function(lambda suffix, text: text.endswith(suffix), _TWO),
    "repeat": Function(_repeat, ("int", "string")),
    "indent": Function(_indent, ("int", "string")),
    "nindent": Function(lambda spaces, text: "\n" + _indent(spaces, text), ("int", "string")),
    "alignLeft": Function(lambda count, text: _align(count, text, right=False), ("int", "string")),
    "alignRight": Function(lambda count, text: _align(count, text, right=True), ("int", "string")),
    "regexReplaceAll": Function(_regex_replace_all, _THREE),
    "regexReplaceAllLiteral": Function(
        lambda pattern, text, literal: _substitute(pattern, text, lambda _match: literal), _THREE
    ),
    "count": Function(lambda pattern, text: len(_matches(_regexp(pattern), text)), _TWO),
    "urlencode": Function(quote_plus, _ONE),
    "urldecode": Function(_urldecode, _ONE),
    "b64enc": Function(lambda text: base64.b64encode(text.encode()).decode(), _ONE),
    "b64dec": Function(_b64dec, _ONE),
    "fromJson": Function(_from_json, _ONE),
}
