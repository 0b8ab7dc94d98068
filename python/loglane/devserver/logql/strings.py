"""String literals of LogQL: Go's double-quoted and raw strings."""

from __future__ import annotations

from loglane.devserver.logql.position import parse_error

# What Go's strings.TrimSpace removes.
SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

_SIMPLE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", '"': '"',
}  # fmt: skip
_HEX_LENGTH = {"x": 2, "u": 4, "U": 8}


def unquote(text: str, start: int) -> tuple[str, int]:
    r"""Read the literal that begins at `start`.

    Returns:
        Its value and the position after its closing quote.

    Raises:
        Refused: It is not closed, or has an escape that Go does not know, such as `\d`.
    """
    if text[start] == "`":
        end = text.find("`", start + 1)
        if end < 0:
            raise parse_error(text, start, "literal not terminated")
        return text[start + 1 : end], end + 1
    parts: list[str] = []
    position = start + 1
    while position < len(text):
        char = text[position]
        if char == '"':
            return "".join(parts), position + 1
        if char == "\n":
            break
        if char == "\\":
            value, position = _escape(text, position)
            parts.append(value)
        else:
            stop = _plain_until(text, position)
            parts.append(text[position:stop])
            position = stop
    raise parse_error(text, start, "literal not terminated")


def _plain_until(text: str, position: int) -> int:
    ends = [text.find(mark, position) for mark in ('"', "\\", "\n")]
    return min((end for end in ends if end >= 0), default=len(text))


def _escape(text: str, position: int) -> tuple[str, int]:
    letter = text[position + 1 : position + 2]
    if letter in _SIMPLE:
        return _SIMPLE[letter], position + 2
    if letter in _HEX_LENGTH:
        end = position + 2 + _HEX_LENGTH[letter]
        return _code_point(text, position + 2, end, 16), end
    if letter and letter in "01234567":
        end = position + 4
        return _code_point(text, position + 1, end, 8), end
    raise parse_error(text, position, "invalid char escape")


def _code_point(text: str, start: int, end: int, base: int) -> str:
    digits = text[start:end]
    allowed = "0123456789abcdefABCDEF" if base == 16 else "01234567"
    if len(digits) < end - start or any(digit not in allowed for digit in digits):
        raise parse_error(text, start, "invalid char escape")
    code = int(digits, base)
    # A lone byte above 127 is not UTF-8 and Loki refuses the query; surrogates have no text.
    is_byte = len(digits) <= 3
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF or (is_byte and code > 127):
        raise parse_error(text, start, "invalid char escape")
    return chr(code)
