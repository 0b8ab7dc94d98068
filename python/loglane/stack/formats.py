"""How the lines of each format are read: stages as plain data, the same for both collectors.

A stage has the name and the settings that Promtail and Alloy share; the templates print it in
their syntax (https://grafana.com/docs/loki/latest/send-data/promtail/stages/,
https://grafana.com/docs/alloy/latest/reference/components/loki/loki.process/).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loglane.fields import LEVELS
from loglane.stack.levels import Numbers, level_template
from loglane.stack.spec import StackSpec

Stage = dict[str, Any]

# Two blanks follow the severity. What comes with a message (DETAIL, HINT, STATEMENT, lines of a
# long query) begins otherwise and is joined to it
# (https://www.postgresql.org/docs/current/runtime-config-logging.html).
_POSTGRESQL = (
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*?"
    r"\b(?P<level>DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC):  "
)
# A record begins with a date, a time or a level; the lines of a traceback never do.
_PYTHON_LEVELS = "DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL"
_PYTHON_RECORD = rf"^\[?(?:\d{{4}}-\d\d-\d\d[ T]|\d\d:\d\d:\d\d|(?:{_PYTHON_LEVELS})\b)"
_PYTHON_LEVEL = rf"^[^\n]*?\b(?P<level>{_PYTHON_LEVELS})\b"
# The common log format, combined or not, after an optional `host:port` of Apache's vhost_combined;
# ` rt=$request_time` at the end gives the duration.
_ACCESS = (
    r'^(?:\S+:\d+ )?\S+ \S+ \S+ \[[^\]]+\] "(?P<method>[A-Z]+) (?P<path>[^ ?"]+)[^"]*" '
    r"(?P<status>\d{3}) \S+(?:.* rt=(?P<rt>\d+\.\d+))?"
)
_NGINX_ERROR = r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(?P<level>[a-z]+)\] "
_APACHE_ERROR = r"^\[[^\]]+\] \[(?:[a-z0-9_]+:)?(?P<level>[a-z]+[0-9]?)\] "
# A line without a status is one of the server's error log, and keeps the level that it says.
_STATUS_LEVEL = (
    '{{ if not .status }}{{ or .level "" }}{{ else if hasPrefix "5" .status }}error'
    '{{ else if hasPrefix "4" .status }}warning{{ else }}info{{ end }}'
)
# What Docker makes of a byte that is not UTF-8. Loki's parser of labels refuses it, and with it the
# whole batch, other services' lines too (prometheus: promql/parser/lex.go, `invalid UTF-8 rune`).
_NOT_UTF8 = r"(\x{FFFD})"
_BROKEN = "\ufffd"
_ACCESS_METADATA = ("method", "path", "status", "duration_ms")
_LEVEL_KEYS = ("level", "severity", "lvl", "loglevel", "log_level", "levelname")


def stage(kind: str, values: Mapping[str, str] | None = None, **settings: Any) -> Stage:
    """Describe one stage: its kind, its map of names (if it has one) and its settings."""
    return {
        "kind": kind,
        "settings": settings,
        "map": {"json": "expressions", "logfmt": "mapping"}.get(kind, "values"),
        "values": dict(values or {}),
        "stages": [],
    }


def match(selector: str, stages: Iterable[Stage]) -> Stage:
    """Describe stages for the lines that a selector matches."""
    return {**stage("match", selector=selector), "stages": list(stages)}


def format_stages(spec: StackSpec, name: str, numbers: Numbers = "python") -> list[Stage]:
    """List the stages that read one format.

    Args:
        spec: Says which names become labels and structured metadata.
        name: One of `spec.collecting.FORMATS`.
        numbers: What levels 10 to 60 mean.
    """
    if name == "loglane":
        return _loglane(spec, numbers)
    if name == "json":
        return _json(spec, numbers)
    if name == "logfmt":
        return [*logfmt_level(numbers), *_logfmt_metadata(spec)]
    if name in ("nginx", "apache"):
        return _access(spec, _NGINX_ERROR if name == "nginx" else _APACHE_ERROR)
    if name == "postgresql":
        return _text(_POSTGRESQL)
    return _text(_PYTHON_LEVEL) if name == "python" else []


def multiline_stages(name: str) -> list[Stage]:
    """Join what belongs to one record, for the formats whose records have several lines."""
    first = {"postgresql": _POSTGRESQL.replace("?P<level>", "?:"), "python": _PYTHON_RECORD}
    if name not in first:
        return []
    return [stage("multiline", firstline=first[name], max_wait_time="1s", max_lines=1000)]


def logfmt_level(numbers: Numbers = "python") -> list[Stage]:
    """Read the level of a logfmt line, and nothing else of it."""
    keys = ("level", "lvl", "severity")
    return [
        stage("logfmt", {key: key for key in keys}),
        *_set_level(level_template(keys, numbers)),
    ]


def _loglane(spec: StackSpec, numbers: Numbers) -> list[Stage]:
    # The last stage replaces any level but a known one.
    found = {name: _unless_broken(name) for name in spec.app_labels if name != "level"}
    names = {name: name for name in (*spec.app_labels, *spec.structured_metadata)}
    return [
        stage("json", {**names, **found}),
        stage("labels", {name: name for name in spec.app_labels}),
        *_metadata(spec.structured_metadata),
        # The package writes these levels already, so its lines only pass the selector.
        match(
            f'{{level!="",level!~"{"|".join(LEVELS)}"}}',
            [stage("label_drop", names=["level"]), *_set_level(level_template(numbers=numbers))],
        ),
    ]


def _json(spec: StackSpec, numbers: Numbers) -> list[Stage]:
    # service and env are known from outside; another program means another thing by them.
    others = [name for name in spec.app_labels if name not in ("service", "env", "level")]
    level = " || ".join((*_LEVEL_KEYS, '"log.level"', "log.level"))
    found = {name: _json_aliases(name) for name in (*others, *spec.structured_metadata)}
    return [
        stage("json", {"level": level, **found}),
        *_set_level(level_template(numbers=numbers)),
        *_readable(others),
        *([stage("labels", {name: name for name in others})] if others else []),
        *_metadata(spec.structured_metadata),
    ]


def _unless_broken(name: str) -> str:
    """Return the JMESPath expression of a field, or of null when Loki could not read it as a label.

    A stage of its own for each field would cost every line several microseconds.
    """
    return f"!contains(to_string({name}), '{_BROKEN}') && {name} || `null`"


def _readable(names: Iterable[str]) -> list[Stage]:
    """Put a question mark for what Loki cannot read in a label that a line gives."""
    return [stage("replace", source=name, expression=_NOT_UTF8, replace="?") for name in names]


def _json_aliases(name: str) -> str:
    first, *rest = name.split("_")
    if not rest or not first:
        return name
    dotted = ".".join((first, *rest))
    return " || ".join((*_aliases(name), f'"{dotted}"', dotted))


def _aliases(name: str) -> tuple[str, ...]:
    """Spell a name as other software does: trace_id, traceId, traceID."""
    first, *rest = name.split("_")
    if not rest or not first:
        return (name,)
    camel = first + "".join(word.capitalize() for word in rest)
    return tuple(dict.fromkeys((name, camel, re.sub("Id$", "ID", camel))))


def _logfmt_metadata(spec: StackSpec) -> list[Stage]:
    spelled = {name: _aliases(name) for name in spec.structured_metadata}
    if not spelled:
        return []
    keys = [alias for aliases in spelled.values() for alias in aliases]
    return [
        stage("logfmt", {key: key for key in keys}),
        *(
            stage("template", source=name, template=_first_of(aliases))
            for name, aliases in spelled.items()
            if len(aliases) > 1
        ),
        *_metadata(spec.structured_metadata),
    ]


def _first_of(names: Sequence[str]) -> str:
    return f'{{{{ or {" ".join(f".{name}" for name in names)} "" }}}}'


def _access(spec: StackSpec, error_line: str) -> list[Stage]:
    category = [
        stage("template", source="log_category", template="{{ if .status }}access{{ end }}")
    ]
    names = ["level"]
    if "log_category" in spec.labels:
        names.append("log_category")
    return [
        stage("regex", expression=error_line),
        stage("template", source="level", template=level_template()),
        stage("regex", expression=_ACCESS),
        stage("template", source="level", template=_STATUS_LEVEL),
        *(category if len(names) > 1 else []),
        stage(
            "template",
            source="duration_ms",
            template="{{ if .rt }}{{ mulf (float64 .rt) 1000 }}{{ end }}",
        ),
        stage("labels", {name: name for name in names}),
        *_metadata(name for name in _ACCESS_METADATA if name not in spec.labels),
    ]


def _text(expression: str) -> list[Stage]:
    return [stage("regex", expression=expression), *_set_level(level_template())]


def _set_level(template: str) -> list[Stage]:
    return [
        stage("template", source="level", template=template),
        stage("labels", {"level": "level"}),
    ]


def _metadata(names: Iterable[str]) -> list[Stage]:
    values = {name: name for name in names}
    return [stage("structured_metadata", values)] if values else []
