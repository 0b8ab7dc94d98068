"""The queries of *Trace*: every line that carries an id, across services, in order."""

from __future__ import annotations

from loglane.stack.dashboards.lines import (
    ERRORS,
    NO_ERROR,
    READABLE,
    STEP,
    fields,
    of_category,
    readable,
)
from loglane.stack.spec import StackSpec

IDS = ("trace_id", "request_id", "event_id")
_EVERY = 'env=~"$env", service=~".+"'


def queries(spec: StackSpec) -> dict[str, str]:
    """Return the queries by the name that the template knows."""
    found = f"{{{_EVERY}}} {_with_the_id(spec)}"
    access = f"{of_category(spec, _EVERY, 'access')} {_with_the_id(spec)}"
    took = (
        f"{access} {fields('duration_ms', 'method', 'path')} {NO_ERROR}"
        f" | unwrap duration_ms {READABLE}"
    )
    failed = f"{{{_EVERY}, {ERRORS}}} {_from_the_line(spec)}"
    return {
        "lines": f"sum(count_over_time({found} [$__range]))",
        "errors": f"sum(count_over_time({found} | {ERRORS} [$__range]))",
        "services": f"count(sum by (service) (count_over_time({found} [$__range])))",
        "longest": f"max(max_over_time({took} [$__range]))",
        "by_service": f"sum by (service, level) (count_over_time({found} [$__range]))",
        "requests": f"max_over_time({took} [$__range]) by (service, method, path)",
        "failed": (
            "topk(20, sum by (trace_id, service)"
            f' (count_over_time({failed} | trace_id != "" [$__range])))'
        ),
        "steps": f"{found} {readable(STEP)}",
    }


def _with_the_id(spec: StackSpec) -> str:
    # An id is never a label, so Loki reads every line of the chosen time for it. Without an id the
    # last filter lets nothing through: a line without a trace would have an empty one too.
    matches = " or ".join(f"{name} = `$id`" for name in IDS)
    return f"{_from_the_line(spec)}| {matches} | label_format wanted=`$id` | wanted != ``"


def _from_the_line(spec: StackSpec) -> str:
    """Return the stage for ids that the spec does not keep as structured metadata."""
    missing = [name for name in IDS if name not in spec.structured_metadata]
    return f"{fields(*missing)} {NO_ERROR} " if missing else ""
