"""The LogQL of the dashboards, written once against the contract of fields."""

from __future__ import annotations

from typing import Any

from loglane.fields import ERROR_LEVELS, LEVELS
from loglane.stack.spec import StackSpec

# Grafana fills in the variables. `service` never matches empty, as Loki demands of one matcher.
SELECTOR = 'env=~"$env", service=~"$service", level=~"$level"'
# A regular expression in backticks: `:regex` escapes what is special, quotes may be in the text;
# only a backtick cannot be searched for.
SEARCH = "|~ `(?i)${search:regex}`"
ERRORS = f'level=~"{"|".join(ERROR_LEVELS)}"'

# A line as people read it; a line that is no JSON object stays as it is.
_PARSED = ("message", "exception", "method", "path", "status", "duration_ms")
_SHORT = (
    "{{.service}}: {{or .message __line__}}"
    "{{with .method}} {{.}}{{end}}{{with .path}} {{.}}{{end}}{{with .status}} {{.}}{{end}}"
    "{{with .duration_ms}} {{.}} ms{{end}}"
    # The last line of a traceback says what happened.
    r"{{with .exception}} {{regexReplaceAll `(?s)^.*\n` . ``}}{{end}}"
    "{{with .trace_id}} trace_id={{.}}{{end}}"
)
_LONG = _SHORT + r"{{with .exception}}\n{{.}}{{end}}"


def _readable(line_format: str) -> str:
    fields = ", ".join(f'{name}="{name}"' for name in _PARSED)
    return f'| json {fields} | drop __error__, __error_details__ | line_format "{line_format}"'


LEVEL_COLOURS = {
    "debug": "#8e8e8e",
    "info": "#5794f2",
    "warning": "#f2cc0c",
    "error": "#e02f44",
    "critical": "#a352cc",
}


def dashboard_context(spec: StackSpec) -> dict[str, Any]:
    """Return what the dashboard templates insert: uids, queries and colours."""
    return {
        "loki_datasource": {"type": "loki", "uid": spec.grafana.datasources.loki.uid},
        "level_colours": [{"level": level, "colour": LEVEL_COLOURS[level]} for level in LEVELS],
        "error_colour": LEVEL_COLOURS["error"],
        "variables": [
            _variable("env", "Environment", ".*"),
            _variable("service", "Service", ".+"),
            _variable("level", "Level", ".*"),
        ],
        "queries": {
            "lines": f"sum(count_over_time({{{SELECTOR}}} {SEARCH} [$__range]))",
            "errors": f"sum(count_over_time({{{SELECTOR}, {ERRORS}}} {SEARCH} [$__range]))",
            "error_ratio": (
                f"sum(count_over_time({{{SELECTOR}, {ERRORS}}} {SEARCH} [$__range]))"
                f" / sum(count_over_time({{{SELECTOR}}} {SEARCH} [$__range]))"
            ),
            "error_ratio_over_time": (
                f"sum(rate({{{SELECTOR}, {ERRORS}}} {SEARCH} [$__interval]))"
                f" / sum(rate({{{SELECTOR}}} {SEARCH} [$__interval]))"
            ),
            "rate_by_service": f"sum by (service) (rate({{{SELECTOR}}} {SEARCH} [$__interval]))",
            "rate_by_level": f"sum by (level) (rate({{{SELECTOR}}} {SEARCH} [$__interval]))",
            "top_services_by_errors": (
                "topk(10, sum by (service) "
                f"(count_over_time({{{SELECTOR}, {ERRORS}}} {SEARCH} [$__range])))"
            ),
            "newest_errors": f"{{{SELECTOR}, {ERRORS}}} {SEARCH} {_readable(_LONG)}",
            "live_logs": f"{{{SELECTOR}}} {SEARCH} {_readable(_SHORT)}",
        },
    }


def _variable(name: str, title: str, every: str) -> dict[str, str]:
    return {"name": name, "title": title, "query": f"label_values({name})", "all": every}
