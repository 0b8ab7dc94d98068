"""Text of a template to tokens, with the rules and error texts of Go's text/template/parse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from loglane.devserver.logql.units import quote

KEYWORDS = frozenset(
    {
        "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template",
        "with",
    }
)  # fmt: skip
_SPACES = " \t\r\n"
_SPACE = re.compile(r"[ \t\r\n]+")
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*|0[bB][01_]*"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_RAW = re.compile(r"`[^`]*`")
_CHAR = re.compile(r"'(?:[^'\\\n]|\\[^\n])*'")
_SYMBOLS = {"=": "=", "|": "|", "(": "(", ")": ")"}


class Token(NamedTuple):
    """A piece of the template; `kind` is a keyword, a symbol or one of the names below.

    The names: text, open, close, space, declare, string, raw, char, number, variable, field,
    identifier, bool, dot, symbol, eof, error. `line` counts from 1.
    """

    kind: str
    pos: int
    text: str
    line: int

    def __str__(self) -> str:
        if self.kind in {"eof", "error"}:
            return self.text
        if self.kind in KEYWORDS or self.kind == "dot":
            return f"<{self.text}>"
        if len(self.text) > 10:
            return f"{quote(self.text[:10])}..."
        return quote(self.text)


def tokenize(text: str) -> Iterator[Token]:
    """Yield tokens up to an `eof` or an `error`, whose text is the reason."""
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._pos = 0
        self._parens = 0

    def run(self) -> Iterator[Token]:
        while True:
            opening = self._text.find("{{", self._pos)
            end = len(self._text) if opening < 0 else opening
            trims = opening >= 0 and self._trims_left(opening + 2)
            plain = self._text[self._pos : end]
            plain = plain.rstrip(_SPACES) if trims else plain
            if plain:
                yield self._token("text", self._pos, plain)
            self._pos = end
            if opening < 0:
                yield self._token("eof", self._pos, "EOF")
                return
            start = opening + (4 if trims else 2)
            if self._text.startswith("/*", start):
                failed = self._comment(start)
                if failed:
                    yield failed
                    return
                continue
            yield self._token("open", opening, "{{")
            self._pos = start
            self._parens = 0
            for token in self._action():
                yield token
                if token.kind == "error":
                    return

    def _comment(self, start: int) -> Token | None:
        end = self._text.find("*/", start + 2)
        if end < 0:
            return self._error(start, "unclosed comment")
        self._pos = end + 2
        closing = self._closing()
        if not closing:
            return self._error(start, "comment ends before closing delimiter")
        self._close(closing)
        return None

    def _action(self) -> Iterator[Token]:
        while True:
            closing = self._closing()
            if closing:
                if self._parens:
                    yield self._error(self._pos, "unclosed left paren")
                    return
                place = self._pos + closing - 2
                self._close(closing)
                yield self._token("close", place, "}}")
                return
            token = self._inside()
            yield token
            if token.kind == "error":
                return

    def _inside(self) -> Token:
        text, start = self._text, self._pos
        char = text[start : start + 1]
        space = _SPACE.match(text, start)
        if space:
            return self._space(space.end())
        if char and char in "\"`'":
            return self._literal(char)
        follows_digit = text[start + 1 : start + 2] in tuple("0123456789")
        if char == "$" or (char == "." and not follows_digit):
            return self._name(char)
        if char and (char in "+-." or "0" <= char <= "9"):
            return self._number()
        if _WORD.match(char):
            return self._word()
        return self._mark(char)

    def _mark(self, char: str) -> Token:
        start = self._pos
        if not char:
            return self._error(start, "unclosed action")
        if char in _SYMBOLS:
            return self._symbol(char)
        if char == ":":
            if self._text[start + 1 : start + 2] != "=":
                return self._error(start, "expected :=")
            return self._take("declare", start + 2)
        if char.isascii() and char.isprintable():
            return self._take("symbol", start + 1)
        return self._error(start, f"unrecognized character in action: {_shown(char)}")

    def _symbol(self, char: str) -> Token:
        self._parens += {"(": 1, ")": -1}.get(char, 0)
        if self._parens < 0:
            return self._error(self._pos, "unexpected right paren")
        return self._take(char, self._pos + 1)

    def _space(self, end: int) -> Token:
        # The last space may belong to a delimiter that trims, ` -}}`.
        if self._text.startswith("-}}", end):
            end -= 1
        return self._take("space", end)

    def _literal(self, char: str) -> Token:
        kind, pattern, what = {
            '"': ("string", _QUOTED, "quoted string"),
            "`": ("raw", _RAW, "raw quoted string"),
            "'": ("char", _CHAR, "character constant"),
        }[char]
        match = pattern.match(self._text, self._pos)
        if match is None:
            return self._error(self._pos, f"unterminated {what}")
        return self._take(kind, match.end())

    def _name(self, char: str) -> Token:
        word = _WORD.match(self._text, self._pos + 1)
        end = word.end() if word else self._pos + 1
        if not self._terminated(end):
            return self._bad_character(end)
        if char == "$":
            return self._take("variable", end)
        return self._take("field" if word else "dot", end)

    def _number(self) -> Token:
        match = _NUMBER.match(self._text, self._pos)
        end = match.end() if match else self._pos
        following = _WORD.match(self._text, end)
        if following or self._text[end : end + 1] in {"+", "-"}:
            # A complex number ends in `i`; nothing here computes with one.
            shown = self._text[self._pos : end + 1]
            return self._error(self._pos, f"bad number syntax: {quote(shown)}")
        return self._take("number", end)

    def _word(self) -> Token:
        word = _WORD.match(self._text, self._pos)
        end = word.end() if word else self._pos
        if not self._terminated(end):
            return self._bad_character(end)
        text = self._text[self._pos : end]
        if text in KEYWORDS:
            return self._take(text, end)
        return self._take("bool" if text in {"true", "false"} else "identifier", end)

    def _terminated(self, end: int) -> bool:
        char = self._text[end : end + 1]
        return char in {"", *_SPACES, *".,|:)("} or self._text.startswith("}}", end)

    def _bad_character(self, place: int) -> Token:
        return self._error(self._pos, f"bad character {_shown(self._text[place])}")

    def _trims_left(self, place: int) -> bool:
        return self._text[place : place + 1] == "-" and self._text[place + 1 : place + 2] in tuple(
            _SPACES
        )

    def _closing(self) -> int:
        """Return the length of the closing delimiter here, 0 when there is none."""
        if self._text.startswith("}}", self._pos):
            return 2
        trims = self._text[self._pos : self._pos + 1] in tuple(_SPACES)
        return 4 if trims and self._text.startswith("-}}", self._pos + 1) else 0

    def _close(self, length: int) -> None:
        self._pos += length
        if length == 4:
            rest = self._text[self._pos :]
            self._pos += len(rest) - len(rest.lstrip(_SPACES))

    def _take(self, kind: str, end: int) -> Token:
        token = self._token(kind, self._pos, self._text[self._pos : end])
        self._pos = end
        return token

    def _error(self, place: int, reason: str) -> Token:
        return self._token("error", place, reason)

    def _token(self, kind: str, place: int, text: str) -> Token:
        return Token(kind, place, text, self._text.count("\n", 0, place) + 1)


def _shown(char: str) -> str:
    return f"U+{ord(char):04X}" + (f" '{char}'" if char.isprintable() else "")
