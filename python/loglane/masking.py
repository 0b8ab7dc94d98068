"""What must not be written: values under telling names, and credentials inside text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from loglane.credentials import (
    MASK,
    hide_jwts,
    hide_private_keys,
    hide_scheme_credentials,
    hide_userinfo,
    names_scheme,
)
from loglane.spans import (
    Span,
    inputs,
    located_inputs,
    netlocs,
    replaced,
    sets_password,
    sql_passwords,
    value_span,
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
    "credit_card", "ssn", "social_security_number", "x_amz_signature",
)  # fmt: skip

# A name this long cannot end another word by chance, so `dbpassword` counts too.
_UNMISTAKABLE = 8
# Only the end of a longer name is looked at.
_NAME_LENGTH = 128
_CACHED_NAMES = 4096
_DIGITS = "0123456789"

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD = re.compile(r"[\W_]+")

# A comma behind a quote may follow a name too: `('password', 'x')`.
_SEPARATOR = re.compile(r"""[=:]+(?:(?<==)>)?|,(?<=["'],) """)
_COMMA = ", "
_AROUND_KEY = " \t\"'`\\)]}>"
_KEY_LENGTH = 64
_BLANKS = (" ", "\t")
# A name that is the first of a pair, or an option of a command line.
_LISTED = re.compile(
    r"""(?:(?:\(|\[\[|\], \[)[bu]?\\{0,8}["']|["'](?=--?\w))([\w.-]{1,64})\\{0,8}["']$"""
)
# An exception's class at the start of a line or behind a colon; without a module only when its
# first word says so, because `DbPassword: x` is a key.
_EXCEPTION = re.compile(
    r"[\s|]*(?:(?:[a-z_][a-z0-9_]*\.)+[A-Z][a-z0-9]+|(?:Bad|Empty|Expired|Incorrect|Invalid|"
    r"Malformed|Missing|No|Revoked|Unauthorized|Unknown|Unsupported|Weak|Wrong))[A-Z]\w*",
    re.ASCII,
)
_PATH = re.compile(r"""(?:^|[\s"'(=,])/[\w./-]*$""")


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

        Found are user and password in URLs, what follows `key=`, `key: `, `"key":` and `('key', `
        for a hidden key, inputs of pydantic, passwords in SQL, Bearer, Basic, Token and Digest
        credentials, JWTs and PEM private keys.
        Takes linear time whatever the text holds.

        Returns:
            The text, with `***` in the place of each credential.
        """
        spaced = " " in text
        if spaced and "PRIVATE KEY" in text:
            text = hide_private_keys(text)
        if "@" in text and ":" in text:
            text = hide_userinfo(text)
            if "netloc" in text:
                text = replaced(text, netlocs(text))
        quoted = "'" in text or '"' in text
        if quoted and "input" in text:
            text = replaced(text, located_inputs(text, self.hides))
        if "=" in text and "input_value" in text:
            text = replaced(text, inputs(text))
        if "=" in text or (quoted and _lists(text)) or (":" in text and self._has_colon(text)):
            text = replaced(text, self._pairs(text))
        if spaced or "\t" in text:
            lowered = text.lower()
            if quoted and sets_password(lowered) and self.hides("password"):
                text = replaced(text, sql_passwords(text))
            if names_scheme(lowered):
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
            if "@" in line and ("//" in line or "netloc" in line):
                return True
            if self._telling_colon(line.casefold()):
                return True
        if 32 not in rendered:
            return 74 in rendered and b"eyJ" in rendered
        if 39 in rendered and (b"', " in rendered or sets_password(rendered.decode().lower())):
            return True
        return (
            names_scheme(rendered.decode().lower())
            or (74 in rendered and b"eyJ" in rendered)
            or (75 in rendered and b"PRIVATE KEY" in rendered)
        )

    def _has_colon(self, text: str) -> bool:
        return '":' in text or bool(self._telling_colon(text.casefold()))

    def _pairs(self, text: str) -> Iterator[Span]:
        done = before = 0
        for separator in _SEPARATOR.finditer(text):
            start, end = separator.span()
            # A key lies between the separator before it, or the value hidden last, and its own.
            low, before = max(done, before, start - _KEY_LENGTH), end
            if start < done or text[start - 1 : start].casefold() not in self._before_separator:
                continue
            if separator[0] == _COMMA and not self._may_end_name(text[start - 3 : start - 1]):
                continue
            key = self._hidden_key(text, low, start, end)
            if key:
                start, end = value_span(text, end, key, separator[0])
                if start < end:
                    yield start, end
                    done = end

    def _may_end_name(self, letters: str) -> bool:
        # Text is full of commas behind quotes, so most are told by what is before them.
        return not letters.isalpha() or letters.casefold().endswith(self._ends)

    def _hidden_key(self, text: str, low: int, start: int, end: int) -> str:
        """Return the key before the separator at `start`, squashed, when it is hidden, or ''."""
        separator = text[start:end]
        if "=" not in separator and separator != _COMMA and text[end : end + 1] not in _BLANKS:
            # Without a space after it a colon is often a time, a path or a port.
            is_pair = end - start == 1 and text[end : end + 2] != "//"
            if not is_pair or text[start - 1].casefold() not in self._before_colon:
                return ""
        segment = text[low:start]
        key = segment.rstrip(_AROUND_KEY).rpartition("\n")[2]
        if not key.rstrip(_DIGITS).casefold().endswith(self._ends):
            return ""
        if separator == _COMMA:
            listed = _LISTED.search(segment)
            key = listed[1] if listed else ""
        elif separator == ":" and (_PATH.search(key) or self._is_exception(key)):
            return ""
        return _squash(key).rstrip(_DIGITS) if key and self._matches(key) else ""

    def _is_exception(self, key: str) -> bool:
        return (
            bool(_EXCEPTION.fullmatch(key)) and _squash(key.rpartition(".")[2]) not in self._names
        )


def masked_value(value: Any) -> Any:
    """Return what is written for a value under a hidden name: the mask, or what tells nothing.

    That is None, a boolean, and what is empty.
    """
    if value is None or type(value) is bool:
        return value
    if type(value) in (str, list, tuple, dict) and not value:
        return type(value)()
    return MASK


def _lists(text: str) -> bool:
    return "', " in text or '", ' in text


def _squash(name: str) -> str:
    return _NOT_WORD.sub("", name).casefold()


def _without_number(words: list[str]) -> list[str]:
    last = words[-1].rstrip(_DIGITS)
    return [*words[:-1], last] if last else words[:-1]
