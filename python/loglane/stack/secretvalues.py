"""What a secret's value must look like; every message keeps the value itself to itself."""

from __future__ import annotations

import configparser
import re

from loglane.stack.passwords import weakness
from loglane.stack.secrets import Secret

_URL = re.compile(r"https?://[^\s/?#]+\S*", re.ASCII)
_AWS_KEYS = ("aws_access_key_id", "aws_secret_access_key")


def flaw_of(secret: Secret, value: str) -> str | None:
    """Say why a value must not be used, or None; only what people give has rules."""
    rules = {"password": weakness, "url": _url_flaw, "aws": _aws_flaw}
    rule = rules.get(secret.kind)
    return None if rule is None else rule(value)


def _url_flaw(value: str) -> str | None:
    if "$" in value:
        return "has a $, which Grafana takes for a variable; write %24 for it"
    if _URL.fullmatch(value) is None or not value.isprintable():
        return "is no web address; it begins with https:// and has no space or line break"
    return None


def _aws_flaw(value: str) -> str | None:
    # https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
    example = "write [default], aws_access_key_id = ..., aws_secret_access_key = ..., a line each"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(value)
    except configparser.Error:
        return f"is no file of AWS credentials; {example}"
    if not parser.has_section("default"):
        return f"has no section [default]; {example}"
    empty = [key for key in _AWS_KEYS if not parser.get("default", key, fallback="").strip()]
    return f"has no {' and no '.join(empty)}; {example}" if empty else None
