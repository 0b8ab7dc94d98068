"""The `logging.loki` section: direct push to Loki."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from loglane.fields import COLLECTOR_LABELS, LABEL_NAME, LABELS, MAX_LABELS, has_many_values
from loglane.settings.section import Section, wrong_key
from loglane.settings.values import MAX_TEXT, Count, FilePath, Level, Seconds, Size, text_value

MIB = 1024 * 1024
# What of the contract's labels comes with a line.
LINE_LABELS = tuple(name for name in LABELS if name not in COLLECTOR_LABELS)
# RFC 9110, section 5.6.2: what a token is made of.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What Loki takes (loki: docs/sources/operations/multi-tenancy.md); of any other tenant it refuses
# every push with 400, as if its lines were at fault.
_TENANT = re.compile(r"(?!\.{1,2}\Z)[a-zA-Z0-9!._*'()-]{1,150}")
# What servers take as a header, at least (nginx: `large_client_header_buffers`).
_LONGEST_TOKEN = 8 * 1024
# Loki's default `max_line_size` (loki: pkg/validation/limits.go).
LOKI_MAX_LINE = 256 * 1024


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:
        # Somebody has put something else in its place.
        return package in sys.modules


def _url(value: Any) -> str:
    text = text_value(value)
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is not an address such as http://127.0.0.1:3100")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("holds more than an address; a user and a password go to `auth`")
    return text.rstrip("/")


def _header(value: Any, longest: int = MAX_TEXT) -> str:
    text = text_value(value, longest)
    if not text.isascii():
        raise ValueError("should be ASCII, as HTTP wants it")
    return text


def _header_name(value: Any) -> str:
    name = text_value(value)
    if _HEADER_NAME.fullmatch(name) is None:
        raise ValueError("is not a header's name; use letters, digits and '-'")
    return name


def _token(value: Any) -> str:
    # A JWT is longer than any other text of the settings.
    return _header(value, _LONGEST_TOKEN)


def _tenant(value: Any) -> str:
    name = text_value(value)
    if _TENANT.fullmatch(name) is None:
        raise ValueError("is no tenant; use up to 150 of letters, digits and !-_.*'()")
    return name


def _label(value: Any) -> str:
    name = text_value(value)
    if LABEL_NAME.match(name) is None or name.startswith("__"):
        raise ValueError("is not a label's name; use letters, digits and '_'")
    if has_many_values(name):
        raise ValueError("has too many values for a label; each would open a stream of its own")
    return name


Url = Annotated[str, BeforeValidator(_url)]
Header = Annotated[str, BeforeValidator(_header)]
HeaderName = Annotated[str, BeforeValidator(_header_name)]
Token = Annotated[str, BeforeValidator(_token)]
Tenant = Annotated[str, BeforeValidator(_tenant)]
LabelName = Annotated[str, BeforeValidator(_label)]
Value = Annotated[str, BeforeValidator(text_value)]
Bytes = Annotated[Size, Field(ge=1024)]


class LokiAuth(Section):
    """Who pushes: a user with a password, or a token; files are read anew for each connection."""

    username: Header | None = None
    password: Value | None = Field(default=None, repr=False)
    password_file: FilePath | None = None
    token: Token | None = Field(default=None, repr=False)
    token_file: FilePath | None = None

    @model_validator(mode="after")
    def _one_way(self) -> LokiAuth:
        ways = ("password", "password_file", "token", "token_file")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) > 1:
            raise wrong_key(given[1], f"goes not with {given[0]}; give one of {', '.join(ways)}")
        by_password = bool(given) and given[0] in ways[:2]
        if self.username is not None and not by_password:
            raise wrong_key("username", "goes with a password or a password_file")
        if self.username is None and by_password:
            raise wrong_key(given[0], "goes with a username")
        return self


class LokiTls(Section):
    """How an https server is checked, and what proves who we are.

    Attributes:
        ca_file: Certificates that are trusted; the system's by default.
        cert_file: The client's certificate.
        key_file: Its key, when it is not in the same file.
        verify: False trusts any server: for development only.
    """

    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    verify: bool = True

    @model_validator(mode="after")
    def _key_with_certificate(self) -> LokiTls:
        if self.key_file is not None and self.cert_file is None:
            raise wrong_key("key_file", "goes with a cert_file")
        return self


class LokiTimeouts(Section):
    """Seconds: to connect, for one answer, and for what is left when the process ends."""

    connect_s: Seconds = 5
    read_s: Seconds = 10
    drain_s: Seconds = 5


class LokiBatch(Section):
    """What is sent at once.

    Attributes:
        max_bytes: A batch is sent when its lines have so many bytes,
        max_wait_s: or when its first line is so old.
        encoding: `protobuf` costs Loki half of what `json` does.
        max_line_bytes: Longer lines are cut, with a mark; Loki refuses over 256 KiB by default.
    """

    max_bytes: Bytes = MIB
    max_wait_s: Seconds = 1
    encoding: Literal["protobuf", "json"] = "protobuf"
    max_line_bytes: Annotated[Size, Field(ge=512)] = LOKI_MAX_LINE


class LokiQueue(Section):
    """How much waits in memory; beyond it the oldest lines of the lowest level go first."""

    max_items: Count = 100_000
    max_bytes: Bytes = 64 * MIB


class LokiWal(Section):
    """A folder in which lines wait, so that they survive the process; none by default."""

    dir: FilePath | None = None
    max_bytes: Bytes = 256 * MIB


class LokiPush(Section):
    """Direct push to Loki, for processes that no collector sees.

    Attributes:
        enabled: Whether lines are pushed, beside wherever else they go.
        url: Address of Loki, or of a gateway before it.
        tenant: Sent as X-Scope-OrgID.
        auth: Who pushes.
        headers: Sent with each push.
        tls: How an https server is checked.
        timeouts: In seconds.
        batch: What is sent at once.
        queue: How much waits in memory.
        wal: Where lines wait so that they survive the process.
        labels: Labels on each line besides those of the contract.
        level: The lowest level that is pushed.
        max_age_s: Lines that have waited for longer are given up: Loki takes none of over a week.
    """

    enabled: bool = False
    url: Url = "http://127.0.0.1:3100"
    tenant: Tenant | None = None
    auth: LokiAuth = LokiAuth()
    headers: Mapping[HeaderName, Header] = Field(default_factory=dict, repr=False)
    tls: LokiTls = LokiTls()
    timeouts: LokiTimeouts = LokiTimeouts()
    batch: LokiBatch = LokiBatch()
    queue: LokiQueue = LokiQueue()
    wal: LokiWal = LokiWal()
    labels: Mapping[LabelName, Value] = Field(default_factory=dict)
    level: Level = "info"
    max_age_s: Annotated[float, Field(gt=0, le=366 * 86_400, allow_inf_nan=False)] = 7 * 86_400

    @field_validator("enabled", mode="after")
    @classmethod
    def _has_extra(cls, enabled: bool) -> bool:
        if enabled and not _is_installed("cramjam"):
            raise ValueError("needs the package cramjam; pip install 'loglane[loki]'")
        return enabled

    @field_validator("labels", mode="after")
    @classmethod
    def _few_labels(cls, labels: Mapping[str, str]) -> Mapping[str, str]:
        most = MAX_LABELS - len(LINE_LABELS)
        own = [name for name in labels if name in LINE_LABELS]
        if own:
            raise wrong_key(own[0], "is a label already; its value comes with the line")
        if len(labels) > most:
            reason = f"has over {most} labels; with our own Loki takes {MAX_LABELS}"
            raise wrong_key(list(labels)[most], reason)
        return labels
