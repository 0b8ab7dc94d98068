"""The kinds of value that a spec holds, each with its rule.

What Loki, Docker or Grafana would refuse at start-up is refused here, with what would be right.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import zoneinfo
from typing import Annotated

from pydantic import AfterValidator, Field

from loglane.fields import LABEL_NAME, has_many_values
from loglane.stack.values import hours, parse_selector, require_re2

_IMAGE = re.compile(
    r"(?P<name>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::\d+(?=/))?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


def _pinned(image: str) -> str:
    match = _IMAGE.fullmatch(image)
    if match is None:
        raise ValueError("not an image reference; write name:tag, for example grafana/loki:3.7.6")
    if match["tag"] == "latest":
        raise ValueError("the tag 'latest' changes under you; name a version")
    if match["tag"] is None and match["digest"] is None:
        raise ValueError("has no tag; name a version, for example grafana/loki:3.7.6")
    return image


def _address(value: str) -> str:
    wrong = "not an IP address; write 127.0.0.1 to stay on this machine"
    if "%" in value:
        raise ValueError(wrong)
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(wrong) from None
    return value


def _label_name(value: str) -> str:
    if LABEL_NAME.match(value) is None or len(value) > 64:
        raise ValueError("not a name that Loki takes; use letters, digits and underscores")
    if value.startswith("__"):
        raise ValueError("names that begin with two underscores are reserved by Loki")
    if value.startswith("loglane_"):
        # loglane_tenant says whose a line is: a line must not.
        raise ValueError("names that begin with loglane_ are the collector's own")
    return value


def _few_values(value: str) -> str:
    if has_many_values(value):
        raise ValueError(
            "too many values for a label: each value opens a stream of its own. Put it under "
            f'structured_metadata, where it is found with | {value}="..."'
        )
    return value


def _duration(value: str) -> str:
    hours(value)
    return value


def _memory(value: str) -> str:
    match = re.fullmatch(r"([1-9][0-9]{0,6})([kmg])", value)
    if match is None:
        raise ValueError("write a number and k, m or g, for example 512m")
    if int(match[1]) * {"k": 1, "m": 1024, "g": 1024**2}[match[2]] < 6 * 1024:
        raise ValueError("less than 6m, the least that Docker takes")
    return value


def _retention_period(value: str) -> str:
    if hours(value) < 24:
        raise ValueError("shorter than 24h, the least that Loki's compactor deletes by")
    return value


def _selector(value: str) -> str:
    parse_selector(value)
    return value


def _text(value: str) -> str:
    # str.isprintable leaves out the characters that YAML takes for line breaks (U+0085, U+2028).
    # U+FFFD is what Loki's parser of labels takes for broken text.
    if not 1 <= len(value) <= 64 or not value.isprintable() or "\ufffd" in value:
        raise ValueError("use 1 to 64 printable characters on one line")
    return value


def _host_path(value: str) -> str:
    plain = re.fullmatch(r"/[\w./@*-]*", value, re.ASCII)
    if plain is None or len(value) > 255 or ".." in value.split("/"):
        raise ValueError("not an absolute path; use letters, digits and / . _ - @ *")
    return value


def _line_regex(value: str) -> str:
    if not 1 <= len(value) <= 500 or not value.isprintable():
        raise ValueError("use 1 to 500 printable characters")
    require_re2(value)
    return value


def _host_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", host) is None or not _is_port(port):
        raise ValueError("write host:port, for example db:3306")
    return value


def _host_name(value: str) -> str:
    try:
        # What has digits and dots only, or a colon, can only be meant as an address.
        is_address = re.fullmatch(r"[0-9.]+|.*:.*", value) and _address(value)
    except ValueError:
        is_address = None
    plain = re.fullmatch(r"(?![0-9.]+\Z)[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", value)
    if not is_address and plain is None:
        raise ValueError("write a host name or an IP address, without a port")
    return value


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,4}", text) is not None and int(text) <= 65535


def _time_zone(value: str) -> str:
    if value not in _time_zones():
        raise ValueError("no time zone that is known here; write one like Europe/Berlin or UTC")
    return value


@functools.cache
def _time_zones() -> frozenset[str]:
    # Reads some hundred files.
    return frozenset(zoneinfo.available_timezones())


def _matching(pattern: str, rule: str) -> AfterValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(rule)
        return value

    return AfterValidator(check)


ProjectName = Annotated[
    str,
    _matching(
        r"[a-z0-9][a-z0-9_-]{0,62}",
        "not a compose project name; use lower-case letters, digits, - and _, 63 at most",
    ),
]
EnvName = Annotated[
    str,
    _matching(
        r"[a-z][a-z0-9-]{0,31}",
        "not an environment's name; use lower-case letters, digits and -, 32 at most",
    ),
]
Text = Annotated[str, AfterValidator(_text)]
Word = Annotated[
    str,
    _matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "use letters, digits, _ . and -, 64 at most"),
]
DockerLabel = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9_./-]{1,64}(=[\w./-]{1,64})?",
        "not a Docker label; write name=value, for example logging=enabled",
    ),
]
Uid = Annotated[str, _matching(r"[A-Za-z0-9_-]{1,40}", "use letters, digits, _ and -, 40 at most")]
Size = Annotated[
    str,
    _matching(r"[1-9]\d{0,6}(KB|MB)", "write up to 7 digits and KB or MB, for example 256KB"),
]
Memory = Annotated[str, AfterValidator(_memory)]
Port = Annotated[int, Field(ge=1, le=65535)]
Image = Annotated[str, AfterValidator(_pinned)]
Address = Annotated[str, AfterValidator(_address)]
LabelName = Annotated[str, AfterValidator(_label_name)]
Label = Annotated[str, AfterValidator(_label_name), AfterValidator(_few_values)]
Duration = Annotated[str, AfterValidator(_duration)]
RetentionPeriod = Annotated[str, AfterValidator(_retention_period)]
Selector = Annotated[str, AfterValidator(_selector)]
ServiceName = Word
TenantName = Annotated[
    str,
    _matching(
        r"[a-z0-9][a-z0-9_-]{0,62}",
        "not a tenant's name; use lower-case letters, digits, - and _, 63 at most",
    ),
]
UserName = Annotated[
    str,
    _matching(
        r"[a-z0-9][a-z0-9_-]{0,31}",
        "not a user's name; use lower-case letters, digits, - and _, 32 at most",
    ),
]
SecretName = Annotated[
    str,
    _matching(
        r"[a-z][a-z0-9_]{0,62}",
        "not a secret's name; use lower-case letters, digits and _, 63 at most",
    ),
]
Identifier = Annotated[
    str,
    _matching(r"[A-Za-z_][A-Za-z0-9_]{0,62}", "use letters, digits and _, 63 at most"),
]
BucketName = Annotated[
    str,
    _matching(
        r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "not a bucket's name; use 3 to 63 lower-case letters, digits, . and -",
    ),
]
Url = Annotated[
    str,
    _matching(
        r"https?://[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?",
        "write http:// or https://, a host and a port where it needs one",
    ),
]
HostName = Annotated[str, AfterValidator(_host_name)]
ClockTime = Annotated[
    str,
    _matching(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", "write hours and minutes, as in 08:30"),
]
MailAddress = Annotated[
    str,
    _matching(r"[\w.+-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}", "not a mail address"),
]
DiskSize = Annotated[
    str, _matching(r"[1-9][0-9]{0,6}(MB|GB|TB)", "write a number and MB, GB or TB, as in 50GB")
]
HostPath = Annotated[str, AfterValidator(_host_path)]
LineRegex = Annotated[str, AfterValidator(_line_regex)]
HostPort = Annotated[str, AfterValidator(_host_port)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
