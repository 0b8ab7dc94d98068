"""The queries of *Logs overview*: how much, how much of it is wrong, and the lines themselves."""

from __future__ import annotations

from loglane.stack.dashboards.lines import CHOSEN, ERRORS, LONG, SHORT, by_level, readable

SELECTOR = f'{CHOSEN}, level=~"$level"'
# A regular expression in backticks: `:regex` escapes what is special, quotes may be in the text;
# only a backtick cannot be searched for.
SEARCH = "|~ `(?i)${search:regex}`"


def queries() -> dict[str, str]:
    """Return the queries by the name that the template knows."""
    lines = f"{{{SELECTOR}}} {SEARCH}"
    errors = f"{{{SELECTOR}, {ERRORS}}} {SEARCH}"
    return {
        "lines": f"sum(count_over_time({lines} [$__range]))",
        "errors": f"sum(count_over_time({errors} [$__range]))",
        "error_ratio": (
            f"sum(count_over_time({errors} [$__range])) / sum(count_over_time({lines} [$__range]))"
        ),
        "error_ratio_over_time": (
            f"(sum(rate({errors} [$__interval])) or vector(0)) / sum(rate({lines} [$__interval]))"
        ),
        "rate_by_service": f"sum by (service) (rate({lines} [$__interval]))",
        "rate_by_level": by_level(f"rate({lines} [$__interval])"),
        "top_services_by_errors": (
            f"topk(10, sum by (service) (count_over_time({errors} [$__range])))"
        ),
        "newest_errors": f"{errors} {readable(LONG)}",
        "live_logs": f"{lines} {readable(SHORT)}",
    }
