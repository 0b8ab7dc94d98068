"""Names and values that a parser takes from a line, made fit for labels."""

from __future__ import annotations

import re

from loglane.devserver.logql.strings import SPACE

_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_]")


def sanitise_key(key: str, *, first: bool = True) -> str:
    """Make a key a label name: other characters become `_`, and so a digit in front gets one."""
    if key.isascii() and key.isidentifier():
        return key
    key = key.strip(SPACE)
    if first and key[:1].isascii() and key[:1].isdigit():
        key = f"_{key}"
    return _NOT_IN_NAME.sub("_", key)


def without_invalid(value: str) -> str:
    """Replace U+FFFD by a space; Prometheus does not accept it in a label's value."""
    return value.replace("\ufffd", " ") if "\ufffd" in value else value
