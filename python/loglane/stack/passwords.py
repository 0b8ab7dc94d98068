"""Passwords: how they are made, when one is too weak, and how nginx reads them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import secrets
from collections.abc import Mapping

MIN_LENGTH = 16
_MIN_DISTINCT = 8
_BYTES = 24
_SALT_BYTES = 16
_SHA1_BYTES = 20
_SCHEME = "{SSHA}"
# What guessing begins with; a long password must not owe its length to one of these.
_COMMON = (
    "administrator", "admin", "changeme", "default", "grafana", "iloveyou", "letmein", "loglane",
    "passphrase", "password", "passwort", "passw0rd", "p@ssw0rd", "qwerty", "qwertz", "secret",
    "welcome",
)  # fmt: skip


def generate() -> str:
    """Return a new password: 192 random bits, of letters, digits, - and _."""
    while True:
        password = secrets.token_urlsafe(_BYTES)
        if weakness(password) is None:
            return password


def weakness(password: str) -> str | None:
    """Say why a password must not be used, without quoting it; None when it may be."""
    unfit = _unfitness(password)
    if unfit is not None:
        return unfit
    if len(password) < MIN_LENGTH:
        return f"has {len(password)} characters; use {MIN_LENGTH} at least"
    if len(set(password)) < _MIN_DISTINCT:
        return f"has {len(set(password))} different characters; use {_MIN_DISTINCT} at least"
    rest = password.lower()
    for word in _COMMON:
        rest = rest.replace(word, "")
    if len(rest) < MIN_LENGTH:
        return "is built on a common word"
    steps = [ord(after) - ord(before) for before, after in itertools.pairwise(rest)]
    if sum(abs(step) <= 1 for step in steps) > len(steps) // 2:
        return "is a sequence, as in 12345678"
    return None


def _unfitness(password: str) -> str | None:
    if not password:
        return "is empty"
    if not (password.isascii() and password.isprintable()):
        return "has characters that do not print or are not ASCII; clients encode those differently"
    if password != password.strip():
        return "begins or ends with a space, which is lost when it is read"
    if "$" in password:
        return "has a $, which Grafana takes for a variable"
    return None


def users_file(users: Mapping[str, str]) -> str:
    """Write users and their passwords as lines that nginx reads (see decision 0008)."""
    lines = [f"{user}:{_hash(password)}\n" for user, password in users.items()]
    # Never empty: an empty file is how a secret that failed to be written looks.
    return "".join(lines) or "# nobody\n"


def users_agree(text: str, users: Mapping[str, str]) -> bool:
    """Tell whether a users file names exactly these users, in this order, with these passwords."""
    lines = [line.partition(":") for line in text.splitlines() if not line.startswith("#")]
    return [name for name, _, _ in lines] == list(users) and all(
        _matches(hashed, users[name]) for name, _, hashed in lines
    )


def _hash(password: str, salt: bytes | None = None) -> str:
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.sha1(password.encode() + salt, usedforsecurity=False).digest()
    return _SCHEME + base64.b64encode(digest + salt).decode()


def _matches(hashed: str, password: str) -> bool:
    try:
        salt = base64.b64decode(hashed.removeprefix(_SCHEME), validate=True)[_SHA1_BYTES:]
    except ValueError:
        return False
    return hmac.compare_digest(hashed, _hash(password, salt))
