"""How the words and numbers that software calls its levels become `fields.LEVELS`.

A collector does it with one template; what is in no list has no level, rather than a guessed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from loglane.fields import LEVELS

Numbers = Literal["python", "pino"]

# Words of syslog, log4j, zap, zerolog, klog and PostgreSQL, in lower case.
_WORDS: dict[str, tuple[str, ...]] = {
    level: tuple(words.split())
    for level, words in {
        "debug": "debug dbg trace trc verbose fine finer finest d t"
        " debug1 debug2 debug3 debug4 debug5",
        "info": "info inf information informational notice log success i n",
        "warning": "warning warn wrn w",
        "error": "error err severe e",
        "critical": "critical crit crt fatal ftl panic dpanic alert emerg emergency c f",
    }.items()
}
# https://www.rfc-editor.org/rfc/rfc5424#section-6.2.1, the same as journald's PRIORITY.
_SYSLOG = {
    "debug": ("7",), "info": ("5", "6"), "warning": ("4",), "error": ("3",),
    "critical": ("0", "1", "2"),
}  # fmt: skip
# https://docs.python.org/3/library/logging.html#logging-levels and
# https://github.com/pinojs/pino/blob/main/docs/api.md#logger-level
_NUMBERS: dict[Numbers, dict[str, tuple[str, ...]]] = {
    "python": {
        "debug": ("10", "15"), "info": ("20", "25"), "warning": ("30", "35"),
        "error": ("40", "45"), "critical": ("50", "60"),
    },
    "pino": {
        "debug": ("10", "20"), "info": ("30", "35"), "warning": ("40", "45"), "error": ("50",),
        "critical": ("60",),
    },
}  # fmt: skip


def level_names(numbers: Numbers = "python") -> dict[str, tuple[str, ...]]:
    """List what each level is called, in lower case; `numbers` says what 10 to 60 mean."""
    return {level: (*_WORDS[level], *_SYSLOG[level], *_NUMBERS[numbers][level]) for level in LEVELS}


def level_template(sources: Sequence[str] = ("level",), numbers: Numbers = "python") -> str:
    """Write the Go template that gives one of LEVELS, or nothing.

    Args:
        sources: Extracted values to look at; the first that is not empty counts.
        numbers: What 10 to 60 mean.

    Returns:
        A template that Promtail and Alloy read alike: an empty result removes the value.
    """
    values = " ".join(f".{name}" for name in sources)
    branches = [
        f"if eq $l {' '.join(_quoted(name) for name in names)} }}}}{level}"
        for level, names in level_names(numbers).items()
    ]
    return (
        f'{{{{ $l := or {values} "" | ToLower | TrimSpace }}}}'
        f"{{{{ {'{{ else '.join(branches)}{{{{ end }}}}"
    )


def _quoted(text: str) -> str:
    return f'"{text}"'
