"""The queries of *Errors*: which patterns there are, which are new, and what was held back."""

from __future__ import annotations

from loglane.stack.dashboards.lines import (
    CHOSEN,
    ERRORS,
    LONG,
    NO_ERROR,
    RAISED,
    READABLE,
    fields,
    readable,
)

# What the package writes when it holds repeated errors back, and when it lost lines
# (`loglane.record` and `loglane.engine`).
SUPPRESSED = "repeated errors were suppressed"
LOST = "log lines were lost"
# The sinks that can lose lines, and the lines that failed on their way (`loglane.losses`).
_LOSERS = ("stdout", "console", "file", "loki", "failed")

# Two errors are of one pattern when they differ in numbers, ids and quoted texts only.
_VARYING = "[0-9a-fA-F-]{16,}|[0-9]+|'[^']*'|\\\"[^\\\"]*\\\""
_PATTERN = (
    f"{fields('message', 'exception')} {NO_ERROR}"
    # What was raised, or the message, or the line.
    f' | label_format what="{{{{if .exception}}}}{RAISED}{{{{else}}}}'
    '{{or .message __line__}}{{end}}"'
    f' | label_format what=`{{{{regexReplaceAll "{_VARYING}" .what "#" | trunc 160}}}}`'
)


def queries() -> dict[str, str]:
    """Return the queries by the name that the template knows."""
    errors = f"{{{CHOSEN}, {ERRORS}}}"
    own = f"{errors} != `{SUPPRESSED}` {_PATTERN}"
    patterns = f"sum by (service, what) (count_over_time({own} [$__range]))"
    before = f"sum by (service, what) (count_over_time({own} [$__range] offset $__range))"
    said = fields("message", "suppressed", "error", "where", what="pattern")
    held = (
        f"{{{CHOSEN}}} |= `{SUPPRESSED}` {said} {NO_ERROR} | message = `{SUPPRESSED}`"
        f" | unwrap suppressed {READABLE}"
    )
    lost = (
        f"{{{CHOSEN}}} |= `{LOST}` {_lost_fields()} {NO_ERROR} | message = `{LOST}`"
        f" | label_format total=`{{{{add {_sum()}}}}}` | unwrap total {READABLE}"
    )
    return {
        "errors": f"sum(count_over_time({errors} [$__range])) or vector(0)",
        "patterns": f"count({patterns}) or vector(0)",
        "new": f"count({patterns} unless {before}) or vector(0)",
        "suppressed": f"sum(sum_over_time({held} [$__range])) or vector(0)",
        "lost": f"sum(sum_over_time({lost} [$__range])) or vector(0)",
        "rate": f"sum by (service) (count_over_time({errors} [$__interval]))",
        "new_patterns": f"topk(50, {patterns} unless {before})",
        "top_patterns": f"topk(50, {patterns})",
        "held_back": (f"sum by (service, what, error, where) (sum_over_time({held} [$__range]))"),
        "lost_by_service": f"sum by (service) (sum_over_time({lost} [$__range]))",
        "newest": f"{errors} {readable(LONG)}",
    }


def _lost_fields() -> str:
    nested = {f"lost_{name}": f"lost.{name}" for name in _LOSERS}
    return fields("message", **nested)


def _sum() -> str:
    return " ".join(f"(int .lost_{name})" for name in _LOSERS)
