"""What must not be written: values under telling names, and credentials inside text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from loglane.credentials import (
    CLOSERS,
    MASK,
    SCHEMES,
    end_of_line,
    hide_jwts,
    hide_private_keys,
    hide_scheme_credentials,
    hide_userinfo,
)

__all__ = ["DEFAULT_MASK_FIELDS", "MASK", "Masker", "masked_value"]

DEFAULT_MASK_FIELDS: tuple[str, ...] = (
    "password", "passwords", "passwd", "pwd", "passphrase", "db_pass", "user_pass",
    "password_hash", "password_confirmation", "secret", "secrets", "secret_key",
    "client_secret", "signing_key", "encryption_key", "master_key", "token", "access_token",
    "auth_token", "refresh_token", "id_token", "session_token", "csrf_token", "bearer", "jwt",
    "api_key", "api_keys", "apikey", "x_api_key", "access_key", "account_key", "private_key",
    "private_keys", "ssh_key", "authorization", "proxy_authorization", "cookie", "cookies",
    "set_cookie", "credential", "credentials", "otp", "cvv", "cvc", "card_number",
    "credit_card", "ssn", "social_security_number",
)  # fmt: skip

# A header of one of these is hidden to the end of its line: its value has spaces in it.
_WHOLE_LINE = ("authorization", "cookie")
# A name this long cannot end another word by chance, so `dbpassword` counts too.
_UNMISTAKABLE = 8
# Only the end of a longer name is looked at.
_NAME_LENGTH = 128
_CACHED_NAMES = 4096
_DIGITS = "0123456789"

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD = re.compile(r"[\W_]+")

_SEPARATOR = re.compile(r"[=:]+(?:(?<==)>)?")
_AROUND_KEY = " \t\"'`\\)]}>"
_KEY_LENGTH = 64
_BLANKS = (" ", "\t")
_BLANK = re.compile(r"[ \t]*")
_OPENING = re.compile(
    r"""(?:[A-Za-z_][A-Za-z0-9_.]{0,40}\()?[bBuUrRfF]{0,2}(\\{0,8}["'])""", re.ASCII
)
_BRACKET = re.compile(r"[\[\](){}]")
_SCHEME_BEFORE = re.compile(
    rf"(?:{'|'.join(SCHEMES)}|negotiate|apikey)[ \t]{{1,16}}", re.ASCII | re.IGNORECASE
)
# A comma or the like ends a value only where something new seems to begin: it may be part of it.
_VALUE_END = re.compile(
    r"""[ \t\r\n\f\v]|["'](?!\w)|[,;&](?=[\s"'{\[\\]|\Z|[\w.%-]{1,40}[=:])""", re.ASCII
)
_NOTHING = frozenset({"none", "null", "nil", "undefined", MASK})


class Masker:
    """Decides what is hidden; safe to share between threads.

    Args:
        names: Names to hide beside the built-in ones; `!token` takes a name away.
    """

    __slots__ = (
        "_before_colon",
        "_before_separator",
        "_ends",
        "_known",
        "_longest",
        "_names",
        "_tails",
        "_telling_colon",
        "_unmistakable",
    )

    def __init__(self, names: Iterable[str] = ()) -> None:
        given = tuple(names)
        removed = {_squash(name[1:]) for name in given if name.startswith("!")}
        added = {_squash(name) for name in given if not name.startswith("!")}
        self._names = frozenset({_squash(n) for n in DEFAULT_MASK_FIELDS} - removed | added) - {""}
        self._tails = tuple(sorted(self._names))
        self._unmistakable = tuple(name for name in self._tails if len(name) >= _UNMISTAKABLE)
        self._longest = max(map(len, self._tails), default=0)
        self._ends = tuple({name[-2:] for name in self._tails})
        last = {name[-1] for name in self._tails}
        self._before_colon = frozenset(last | {"'", '"'})
        # A colon, in a casefolded text or line, that may follow a hidden key; the colon of a URL
        # does not. It begins with the colon because a search for one character is quick.
        letters = re.escape("".join(sorted(last))) or "'"
        self._telling_colon = re.compile(rf":(?:[ \t]|(?<=':)|(?!//)(?<=[{letters}]:))").search
        self._before_separator = self._before_colon | set(_AROUND_KEY) | set(_DIGITS)
        self._known: dict[str, bool] = {}

    def hides(self, name: object) -> bool:
        """Tell whether values under this name are hidden.

        Case, dashes, underscores, spaces and dots do not count. A name is hidden when it is one
        of the masker's names or when its last words are: `db_password`, `userPassword` and
        `X-Auth-Token`, but neither `token_count` nor `passwordless`. Digits at its end do not
        count either (`password2`), and a name of eight letters or more is found at the end of a
        longer word too (`dbpassword`).

        Args:
            name: A str or bytes; anything else is not hidden.

        Returns:
            True when the value must not be written.
        """
        if type(name) is not str:
            return self._hides_other(name)
        known = self._known.get(name)
        if known is not None:
            return known
        found = self._matches(name[-_NAME_LENGTH:])
        if len(name) <= _NAME_LENGTH:
            if len(self._known) >= _CACHED_NAMES:
                self._known.clear()
            self._known[name] = found
        return found

    def _hides_other(self, name: object) -> bool:
        # By the real type and the base's own methods: a subclass may lie about both.
        if issubclass(type(name), str):
            return self.hides(str.__str__(cast(str, name)))
        if issubclass(type(name), (bytes, bytearray)):
            raw = b"".join((cast(bytes, name),))
            return self.hides(raw[-_NAME_LENGTH:].decode(errors="replace"))
        return False

    def _matches(self, name: str) -> bool:
        whole = _squash(name)
        ends = [end for end in (whole, whole.rstrip(_DIGITS)) if end.endswith(self._tails)]
        if not ends:
            return False
        if any(end in self._names or end.endswith(self._unmistakable) for end in ends):
            return True
        words = [word.casefold() for word in _NOT_WORD.split(_CAMEL.sub(" ", name)) if word]
        return self._ends_with_a_name(words) or self._ends_with_a_name(_without_number(words))

    def _ends_with_a_name(self, words: list[str]) -> bool:
        tail = ""
        for word in reversed(words):
            tail = word + tail
            if tail in self._names:
                return True
            if len(tail) > self._longest:
                return False
        return False

    def text(self, text: str) -> str:
        """Replace the credentials inside a text.

        Found are user and password in URLs, what follows `key=`, `key: ` and `"key":` for a
        hidden key, Bearer, Basic, Token and Digest credentials, JWTs and PEM private keys.
        Takes linear time whatever the text holds.

        Returns:
            The text, with `***` in the place of each credential.
        """
        spaced = " " in text
        if spaced and "PRIVATE KEY" in text:
            text = hide_private_keys(text)
        if "@" in text and ":" in text:
            text = hide_userinfo(text)
        if "=" in text or (":" in text and ('":' in text or self._telling_colon(text.casefold()))):
            text = self._hide_pairs(text)
        if (spaced or "\t" in text) and _names_scheme(text.lower()):
            text = hide_scheme_credentials(text)
        return hide_jwts(text) if "eyJ" in text else text

    def suspicious(self, rendered: bytes, fields: int = 0) -> bool:
        """Tell quickly whether a rendered line may hold something that `text` would change.

        Args:
            rendered: One flat JSON object as orjson writes it: compact, values without nesting,
                its names already checked with `hides`.
            fields: How many fields the object has, which is how many colons are no text; without
                it the answer takes longer.

        Returns:
            False only when `text` changes none of the strings inside. True says nothing.
        """
        # An int in bytes is one memchr; the order is by what is rare.
        if 61 in rendered or 92 in rendered:  # = and \
            return True
        if rendered.count(58) > fields:
            line = rendered.decode()
            if ("@" in line and "://" in line) or self._telling_colon(line.casefold()):
                return True
        if 74 in rendered and b"eyJ" in rendered:
            return True
        if 32 not in rendered:
            return False
        return _names_scheme(rendered.decode().lower()) or (
            75 in rendered and b"PRIVATE KEY" in rendered
        )

    def _hide_pairs(self, text: str) -> str:
        parts: list[str] = []
        done = before = 0
        for separator in _SEPARATOR.finditer(text):
            start, end = separator.span()
            # A key lies between the separator before it, or the value hidden last, and its own.
            low, before = max(done, before, start - _KEY_LENGTH), end
            if start < done or text[start - 1 : start].casefold() not in self._before_separator:
                continue
            key = self._hidden_key(text, low, start, end)
            if not key:
                continue
            whole_line = separator[0] == ":" and key.endswith(_WHOLE_LINE)
            start, end = _value_span(text, end, whole_line)
            if start < end and text[start:end].lower() not in _NOTHING:
                parts += text[done:start], MASK
                done = end
        return "".join((*parts, text[done:]))

    def _hidden_key(self, text: str, low: int, start: int, end: int) -> str:
        """Return the key before the separator at `start`, squashed, when it is hidden, or ''."""
        if "=" not in text[start:end] and text[end : end + 1] not in _BLANKS:
            # Without a space after it a colon is often a time, a path or a port.
            is_pair = end - start == 1 and text[end : end + 2] != "//"
            if not is_pair or text[start - 1].casefold() not in self._before_colon:
                return ""
        key = text[low:start].rstrip(_AROUND_KEY).rpartition("\n")[2]
        if not key.rstrip(_DIGITS).casefold().endswith(self._ends):
            return ""
        return _squash(key).rstrip(_DIGITS) if self._matches(key) else ""


def masked_value(value: Any) -> Any:
    """Return what is written for a value under a hidden name: the mask, or nothing for nothing."""
    if value is None or (type(value) in (str, list, tuple, dict) and not value):
        return value if value is None else type(value)()
    return MASK


def _names_scheme(lowered: str) -> bool:
    # Four plain searches are quicker than one pattern with four words.
    return "bearer" in lowered or "basic" in lowered or "token" in lowered or "digest" in lowered


def _squash(name: str) -> str:
    return _NOT_WORD.sub("", name).casefold()


def _without_number(words: list[str]) -> list[str]:
    last = words[-1].rstrip(_DIGITS)
    return [*words[:-1], last] if last else words[:-1]


def _value_span(text: str, start: int, whole_line: bool) -> tuple[int, int]:
    """Find the value that starts here; the span is empty when there is none."""
    blank = _BLANK.match(text, start)
    start = blank.end() if blank else start
    opening = _OPENING.match(text, start)
    if opening:
        return opening.end(), _closing_quote(text, opening.end(), opening[1])
    if text[start : start + 1] in ("[", "{", "("):
        end = _closing_bracket(text, start)
        return start, end if end - start > 2 else start
    if whole_line:
        return start, start + len(text[start : end_of_line(text, start)].rstrip())
    scheme = _SCHEME_BEFORE.match(text, start)
    stop = _VALUE_END.search(text, scheme.end() if scheme else start)
    end = stop.start() if stop else len(text)
    return start, start + len(text[start:end].rstrip(CLOSERS))


def _closing_quote(text: str, at: int, opening: str) -> int:
    """Find the quote that closes, escaped no deeper than the one that opened."""
    quote, depth = opening[-1], len(opening) - 1
    while (found := text.find(quote, at)) >= 0:
        before = text[at:found]
        escapes = len(before) - len(before.rstrip("\\"))
        if escapes <= depth:
            doubled = text[found + 1 : found + 2] == quote
            if not doubled or depth:
                return found - escapes
            found += 1
        at = found + 1
    return len(text)


def _closing_bracket(text: str, start: int) -> int:
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "[{(" else -1
        if not depth:
            return bracket.end()
    return len(text)
