"""Durations, sizes and selectors: what they mean, and what Loki takes of them."""

from __future__ import annotations

import re
import warnings

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

# The parts of its syntax; what begins a part and is none of them is not closed.
_RE2_SYNTAX = re.compile(
    r"(?P<quoted>\\Q.*?(?:\\E|\Z))"
    r"|(?P<escape>\\(?:[afnrtvdDsSwWbBAz]|[0-7]{1,3}|[pP](?:[A-Z]|\{\^?\w+\})"
    r"|x(?:[0-9A-Fa-f]{2}|\{[0-9A-Fa-f]+\})|[\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e ]))"
    r"|(?P<set>\[\^?(?:\[:\^?[a-z]+:\]|\\.|[^\\])(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\])"
    r"|(?P<flags>\(\?[imsU]*(?:-[imsU]+)?\))"
    r"|(?P<open>\((?:\?(?:P?<\w+>|[imsU]*(?:-[imsU]+)?:)|(?!\?)))"
    r"|(?P<close>\))|(?P<either>\|)"
    r"|(?P<repeat>(?:[*+?]|\{\d+(?:,\d*)?\})\??)"
    r"|(?P<one>[^\\\[(])",
    re.ASCII | re.DOTALL,
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


def go_duration(count: float) -> str:
    """Write hours as Go reads a duration: `2h30m`; it knows no days.

    Those of Loki's keys that are no limits are read by Go itself
    (https://pkg.go.dev/time#ParseDuration).
    """
    seconds = round(count * 3600)
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{part}{unit}" for part, unit in parts if part)


def matchers_of(selector: str) -> tuple[str, ...]:
    """Return the matchers of a valid selector, sorted: equal for selectors of the same streams."""
    found: list[str] = []
    text, position = selector.strip(), 1
    while (match := _MATCHER.match(text, position)) is not None:
        found.append("".join(match.groups()[:3]))
        position = match.end()
    return tuple(sorted(set(found)))


def size_bytes(size: str) -> int:
    """Convert a size such as `256KB` to bytes, in Loki's units of 1024."""
    return int(size[:-2]) * {"KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}[size[-2:]]


def memory_bytes(size: str) -> int:
    """Convert a size of Docker such as `512m` to bytes."""
    return int(size[:-1]) * {"k": 1024, "m": 1024**2, "g": 1024**3}[size[-1]]


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
    require_re2(value)
    try:
        with warnings.catch_warnings():
            # Of `[[:alpha:]]`, which is another thing to Python.
            warnings.simplefilter("ignore")
            matches = re.fullmatch(value, "") is not None
    except (re.error, OverflowError, RecursionError):
        # RE2 has forms that Python has not; `loglane validate` lets Loki itself decide.
        return False
    return matches == (operator == "=~")


def require_re2(value: str) -> None:
    """See that a regular expression has no part that RE2, which is Loki's, refuses.

    Raises:
        ValueError: It has: look-around, a back reference, more than 1000 repeats, a bracket without
            its other half, a repetition of nothing or of another one.
    """
    for part in _RE2_PARTS.finditer(value):
        repeats = [int(text[:9]) for text in (part["low"], part["high"]) if text]
        escape = part["escape"]
        if part["group"] or (escape is not None and escape in "123456789ZuUN"):
            raise ValueError(f"{value!r} is no regular expression of Loki's: {part[0]!r}")
        if any(count > 1000 for count in repeats):
            raise ValueError(f"{value!r} repeats more than 1000 times: {part[0]!r}")
        if repeats != sorted(repeats):
            raise ValueError(f"{value!r} repeats more often than its limit: {part[0]!r}")
    flaw = _syntax_flaw(value)
    if flaw is not None:
        raise ValueError(f"{value!r} is no regular expression: {flaw}")


def _syntax_flaw(value: str) -> str | None:
    """Say what is not closed, or has nothing to repeat; the rest is Loki's to judge."""
    position, depth, before = 0, 0, "open"
    while position < len(value):
        part = _RE2_SYNTAX.match(value, position)
        if part is None:
            return f"{value[position : position + 8]!r} is not closed, or is no escape"
        kind = part.lastgroup or ""
        if kind == "repeat" and before in ("open", "either", "repeat"):
            return f"{part[0]!r} has nothing to repeat"
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if depth < 0:
            return "')' closes nothing"
        before = before if kind == "flags" and before != "repeat" else kind
        position = part.end()
    return "'(' is not closed" if depth else None
