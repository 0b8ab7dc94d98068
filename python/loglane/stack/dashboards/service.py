"""The queries of *Service*: its lines, its requests from the access lines, its exceptions."""

from __future__ import annotations

from loglane.stack.dashboards.lines import (
    CHOSEN,
    ERRORS,
    LONG,
    NO_ERROR,
    READABLE,
    by_level,
    fields,
    of_category,
    readable,
)
from loglane.stack.spec import StackSpec

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

# The last frame of a traceback, and the type that its last line begins with: Python writes the
# frames indented and the exception not (docs.python.org/3/library/traceback.html).
_PLACE = (
    r'(?s).*File "(?P<file>[^"]*)", line (?P<number>\d+), in (?P<function>[^\n]+)\n'
    r"(?:[ \t][^\n]*\n)*(?P<type>[A-Za-z_][\w.]*)"
)


def queries(spec: StackSpec) -> dict[str, str]:
    """Return the queries by the name that the template knows."""
    every, errors = f"{{{CHOSEN}}}", f"{{{CHOSEN}, {ERRORS}}}"
    access = of_category(spec, CHOSEN, "access")
    # In a line of the package the fields are JSON; of nginx and Apache the collector has put them
    # beside the line. Either way they are labels here.
    status = f"{access} {fields('status')} {NO_ERROR}"
    failed = f"{status} | status >= 500 {READABLE}"
    took = f"{access} {fields('duration_ms')} {NO_ERROR} | unwrap duration_ms {READABLE}"
    each = (
        f"{access} {fields('duration_ms', 'method', 'route', 'path')} {NO_ERROR}"
        ' | label_format route="{{or .route .path}}"'
    )
    by_route = f"{each} | unwrap duration_ms {READABLE}"
    routes = "(service, method, route)"
    exceptions = (
        f'{errors} {fields("exception")} {NO_ERROR} | exception != ""'
        f' | line_format "{{{{.exception}}}}" | regexp `{_PLACE}` | type != ""'
        ' | label_format place="{{.file}}:{{.number}} in {{.function}}"'
    )
    return {
        "lines": f"sum(count_over_time({every} [$__range]))",
        "error_lines": _ratio(f"{errors}", every, "count_over_time", "$__range"),
        "requests": f"sum(rate({access} [$__range]))",
        "failed": _ratio(failed, access, "count_over_time", "$__range"),
        **{
            f"{name}_now": f"quantile_over_time({part}, {took} [$__range]) by ()"
            for name, part in PERCENTILES.items()
        },
        **{
            name: f"quantile_over_time({part}, {took} [$__interval]) by ()"
            for name, part in PERCENTILES.items()
        },
        "rate_by_status": (
            f"sum by (class) (rate({status}"
            ' | status != ""'
            " | label_format class=`{{trunc 1 .status}}xx` [$__interval]))"
        ),
        "rate_by_level": by_level(f"rate({every} [$__interval])"),
        "failed_over_time": _ratio(failed, access, "rate", "$__interval"),
        "error_lines_over_time": _ratio(errors, every, "rate", "$__interval"),
        "slowest": f"topk(20, quantile_over_time(0.95, {by_route} [$__range]) by {routes})",
        "slowest_most": f"max_over_time({by_route} [$__range]) by {routes}",
        "slowest_count": f"sum by {routes} (count_over_time({each} [$__range]))",
        "exceptions": (
            f"topk(50, sum by (service, type, place) (count_over_time({exceptions} [$__range])))"
        ),
        "versions": (
            f"sum by (service, version) (count_over_time({every} {fields('version')} {NO_ERROR}"
            ' | version != "" [$__interval]))'
        ),
        "starts": (
            of_category(spec, CHOSEN, "system") + f" |= `started` {fields('message', 'version')}"
            f" {NO_ERROR} | message = `started`"
            ' | line_format "{{.service}} {{.version}} started"'
        ),
        "newest_errors": f"{errors} {readable(LONG)}",
    }


def _ratio(part: str, whole: str, function: str, window: str) -> str:
    return (
        f"(sum({function}({part} [{window}])) or vector(0)) / sum({function}({whole} [{window}]))"
    )
