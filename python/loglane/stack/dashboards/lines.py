"""The selectors and pipeline stages that several dashboards share."""

from __future__ import annotations

from loglane.fields import ERROR_LEVELS
from loglane.stack.spec import StackSpec

# Grafana fills in the variables. `service` never matches empty, as Loki demands of one matcher.
CHOSEN = 'env=~"$env", service=~"$service"'
ERRORS = f'level=~"{"|".join(ERROR_LEVELS)}"'

# What no line has to be: JSON. A line that is not keeps no fields and stays.
NO_ERROR = "| drop __error__, __error_details__"
# For numbers: a line that cannot be read would fail the whole query.
READABLE = '| __error__=""'

# What a traceback says happened: the first line after its last frame, which is indented; a message
# of several lines goes on below.
RAISED = (
    r"{{regexReplaceAll `(?s)\n.*$` "
    r"(regexReplaceAll `(?s)^.*\n[ \t][^\n]*\n` .exception ``) ``}}"
)

# A line as people read it; a line that is no JSON object stays as it is.
_PARSED = ("message", "exception", "method", "path", "status", "duration_ms")
_WORDS = (
    "{{or .message __line__}}"
    "{{with .method}} {{.}}{{end}}{{with .path}} {{.}}{{end}}{{with .status}} {{.}}{{end}}"
    "{{with .duration_ms}} {{.}} ms{{end}}"
    "{{if .exception}} " + RAISED + "{{end}}"
)
_TRACE = "{{with .trace_id}} trace_id={{.}}{{end}}"
_TRACEBACK = r"{{with .exception}}\n{{.}}{{end}}"
SHORT = "{{.service}}: " + _WORDS + _TRACE
LONG = SHORT + _TRACEBACK
# Where all lines are of one trace, its id says nothing.
STEP = "{{.service}} {{.level}}: " + _WORDS + _TRACEBACK


# What a chart by level calls lines without one, such as those of foreign software.
NO_LEVEL = "none"


def by_level(range_aggregation: str) -> str:
    """Return the sum by level, in which lines without a level have a name too."""
    found = f"sum by (level) ({range_aggregation})"
    return f'label_replace({found}, "level", "{NO_LEVEL}", "level", "")'


def fields(*names: str, **renamed: str) -> str:
    """Return the stage that reads fields from a JSON line: `name`, or `label=field`."""
    wanted = {**{name: name for name in names}, **renamed}
    return "| json " + ", ".join(f'{label}="{field}"' for label, field in wanted.items())


def readable(line_format: str) -> str:
    """Return the stages that turn a JSON line into words."""
    return f'{fields(*_PARSED)} {NO_ERROR} | line_format "{line_format}"'


def of_category(spec: StackSpec, matchers: str, category: str) -> str:
    """Return a selector of lines of one log_category, which a spec may keep out of the labels."""
    if "log_category" in spec.labels:
        return f'{{{matchers}, log_category="{category}"}}'
    return f'{{{matchers}}} {fields("log_category")} {NO_ERROR} | log_category="{category}"'
