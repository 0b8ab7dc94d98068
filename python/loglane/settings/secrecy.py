"""Which settings are secrets: neither a report nor an error message shows them."""

from __future__ import annotations

import re
from typing import Any

MASK = "***"
_SECRET_NAME = re.compile(
    r"passw|pwd|passphrase|secret|token|credential|authorization|cookie|dsn"
    r"|(api|access|private)[-_]?key",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"(?<=://)[^/\s?#]*@")


def is_secret(path: tuple[str, ...]) -> bool:
    """Tell whether a value at this path is for nobody's eyes; any header may be a key."""
    return path[-2:-1] == ("headers",) or _SECRET_NAME.search("".join(path[-1:])) is not None


def masked(path: tuple[str, ...], value: Any) -> Any:
    """Return a value as it may be shown: a secret as `***`, an address without its password."""
    if not isinstance(value, str):
        return value
    # An address that is none may hold a password anywhere before its last @.
    if path[-1:] == ("url",) and "@" in value and ("://" not in value or value.count("@") > 1):
        return MASK
    return MASK if is_secret(path) else _USER_INFO.sub(f"{MASK}@", value)
