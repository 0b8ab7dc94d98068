"""The kinds of value that a spec holds, each with its rule.

What Loki, Docker or Grafana would refuse at start-up is refused here, with what would be right.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from loglane.fields import LABEL_NAME, has_many_values

# Prometheus durations as Loki's config reads them: largest unit first, each unit once
# (https://prometheus.io/docs/prometheus/latest/querying/basics/#time-durations).
_DURATION = re.compile(
    r"(?=\d)(?:(\d{1,4})y)?(?:(\d{1,4})w)?(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?",
    re.ASCII,
)
_UNIT_HOURS = (24 * 365, 24 * 7, 24, 1, 1 / 60, 1 / 3600)

# Far above any use, and below what a signed 64-bit number of nanoseconds holds.
_MAX_HOURS = 100 * 365 * 24
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
# The parts of a regular expression that tell RE2, which is Loki's, from other kinds.
_RE2_PARTS = re.compile(
    r"\\Q.*?(?:\\E|\Z)|\\(?P<escape>.)|\(\?(?P<group>P=|<?[=!]|[>(#])|\{(?P<low>\d+)(?:,(?P<high>\d*))?\}",
    re.DOTALL,
)

_STRING = r'"(?:[^"\\\x00-\x1f]|\\["\\abfnrtv])*"'
_MATCHER = re.compile(rf"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*({_STRING})\s*(,|\}}\s*\Z)")


def hours(duration: str) -> float:
    """Convert a duration such as `31d` or `36h` to hours.

    Raises:
        ValueError: The text is not a duration, or is zero.
    """
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise ValueError("not a duration; write a number and a unit, for example 31d or 36h")
    total = sum(
        int(part) * unit for part, unit in zip(match.groups(), _UNIT_HOURS, strict=True) if part
    )
    if total <= 0:
        raise ValueError("must be more than zero")
    if total > _MAX_HOURS:
        raise ValueError("longer than 100 years; Loki counts no further than 292")
    return total


def size_bytes(size: str) -> int:
    """Convert a size such as `256KB` to bytes, in Loki's units of 1024."""
    return int(size[:-2]) * {"KB": 1024, "MB": 1024**2}[size[-2:]]


def parse_selector(selector: str) -> tuple[str, ...]:
    """Return the label names of a stream selector such as `{service="api", level=~"debug|info"}`.

    Raises:
        ValueError: The text is more or less than one selector of label matchers.
    """
    example = 'write label matchers only, for example {service="api", level="debug"}'
    text = selector.strip()
    if not text.startswith("{") or len(text) > 1000 or not text.isprintable():
        raise ValueError(f"not a stream selector; {example}")
    names: list[str] = []
    position, positive = 1, False
    while True:
        match = _MATCHER.match(text, position)
        if match is None:
            raise ValueError(
                f"not a stream selector at {text[position : position + 20]!r}; {example}"
            )
        name, operator, value, end = match.groups()
        names.append(name)
        positive = positive or not _matches_empty(operator, _unquote(value))
        position = match.end()
        if end != ",":
            break
    if not positive:
        raise ValueError(f"needs one matcher that cannot match an empty value; {example}")
    return tuple(names)


def _unquote(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPED.get(m[1], m[1]), quoted[1:-1])


def _matches_empty(operator: str, value: str) -> bool:
    if "~" not in operator:
        return (value == "") == (operator == "=")
    for part in _RE2_PARTS.finditer(value):
        repeats = [int(text[:9]) for text in (part["low"], part["high"]) if text]
        escape = part["escape"]
        if part["group"] or (escape is not None and escape in "123456789ZuUN"):
            raise ValueError(f"{value!r} is no regular expression of Loki's: {part[0]!r}")
        if any(count > 1000 for count in repeats):
            raise ValueError(f"{value!r} repeats more than 1000 times: {part[0]!r}")
    try:
        matches = re.fullmatch(value, "") is not None
    except (re.error, OverflowError, RecursionError):
        # RE2 has forms that Python has not; `loglane validate` lets Loki itself decide.
        return False
    return matches == (operator == "=~")


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
    if not 1 <= len(value) <= 64 or not value.isprintable():
        raise ValueError("use 1 to 64 printable characters on one line")
    return value


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
    str, _matching(r"[a-z][a-z0-9-]{0,31}", "use lower-case letters, digits and -, 32 at most")
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
