"""Which labels and fields there are, for Grafana's Logs Drilldown and its suggestions.

Source: loki: pkg/querier/queryrange/detected_fields.go and pkg/querier/querier.go.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from loglane.devserver.api import params as p
from loglane.devserver.api.length import check_length
from loglane.devserver.engine.labels import ERROR, ERROR_DETAILS, LabelSet
from loglane.devserver.engine.pipeline import Pipeline, log_pipeline
from loglane.devserver.engine.sanitise import sanitise_key
from loglane.devserver.engine.streams import ResultEntry, ResultStream, run_line, run_log_query
from loglane.devserver.logql import parse, parse_matchers
from loglane.devserver.logql.nodes import LogQuery
from loglane.devserver.logql.units import parse_bytes, parse_float, parse_go_duration
from loglane.devserver.refusal import Refused
from loglane.devserver.store import Store

DEFAULT_FIELDS = 1000
_DEFAULT_LINES = 100
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z", re.ASCII)
_BOOLEANS = frozenset(
    ["1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"]
)
_ALWAYS_LABELS = frozenset({"cluster", "namespace", "instance", "pod"})
_SUFFIX = "_extracted"


@dataclass(slots=True)
class _Field:
    kind: str = "string"
    values: dict[str, None] = field(default_factory=dict)
    parsers: list[str] = field(default_factory=list)
    path: list[str] | None = None

    def insert(self, value: str) -> None:
        self.kind = _kind(value)
        self.values[value] = None


def answer_labels(store: Store, tenant: str, params: Mapping[str, str]) -> bytes:
    """Answer `detected_labels`: labels that are no ids, with the number of their values."""
    bounds = p.read_bounds(params)
    query = params.get("query", "")
    matchers = parse_matchers(query) if query else ()
    p.check_order(bounds)
    check_length(bounds)
    values: dict[str, set[str]] = {}
    for stream in store.select(tenant, matchers, bounds.start_ns, bounds.end_ns):
        for name, value in stream.labels.items():
            values.setdefault(name, set()).add(value)
    kept = [
        {"label": name, "cardinality": len(found)}
        for name, found in sorted(values.items())
        if name in _ALWAYS_LABELS or not _are_ids(found)
    ]
    return orjson.dumps({"detectedLabels": kept} if kept else {})


def answer_fields(store: Store, tenant: str, params: Mapping[str, str]) -> bytes:
    """Answer `detected_fields`: what the newest lines have beside their labels."""
    limit = _read_limit(params)
    found: dict[str, _Field] = {}
    for name, value, parser, path in _fields(store, tenant, params):
        if name not in found:
            if len(found) >= limit:
                continue
            found[name] = _Field()
        one = found[name]
        one.insert(value)
        if parser and parser not in one.parsers:
            one.parsers.append(parser)
        one.path = path or one.path
    fields = [_describe(name, one) for name, one in sorted(found.items())]
    return orjson.dumps({"fields": fields, "limit": limit} if fields else {})


def answer_values(store: Store, tenant: str, name: str, params: Mapping[str, str]) -> bytes:
    """Answer `detected_field/<name>/values`."""
    limit = _read_limit(params)
    values = {value: None for one, value, _, _ in _fields(store, tenant, params) if one == name}
    shown = list(values)[:limit]
    return orjson.dumps({"values": shown, "limit": limit} if shown else {})


def _describe(name: str, one: _Field) -> dict[str, object]:
    described: dict[str, object] = {
        "label": name,
        "type": one.kind,
        "cardinality": len(one.values),
        "parsers": one.parsers or None,
    }
    if one.path:
        described["jsonPath"] = one.path
    return described


def _fields(
    store: Store, tenant: str, params: Mapping[str, str]
) -> Iterator[tuple[str, str, str, list[str] | None]]:
    """Yield name, value, parser and path in JSON of each field of each line."""
    bounds = p.read_bounds(params)
    p.check_order(bounds)
    check_length(bounds)
    query = parse(params.get("query", ""))
    if not isinstance(query, LogQuery):
        raise Refused("only log selector is supported")
    lines = p.read_int(params.get("line_limit", "") or str(_DEFAULT_LINES))
    if lines <= 0:
        raise Refused("limit must be a positive value")
    p.check_limit(lines)
    streams = run_log_query(
        store,
        tenant,
        query,
        start_ns=bounds.start_ns,
        end_ns=bounds.end_ns,
        limit=lines,
        backward=True,
        categorise=True,
    )
    parsers = [(name, _parser(name)) for name in ("json", "logfmt")]
    for stream in streams:
        for entry in stream.entries:
            for name, value in entry.metadata.items():
                yield name, value, "", None
            yield from _parsed(stream, entry, parsers)


def _parsed(
    stream: ResultStream, entry: ResultEntry, parsers: Iterable[tuple[str, Pipeline]]
) -> Iterator[tuple[str, str, str, list[str] | None]]:
    for name, value in entry.parsed.items():
        if name not in {ERROR, ERROR_DETAILS}:
            yield name, value, "", None
    for parser, pipeline in parsers:
        labels = LabelSet(stream.labels, pipeline.hints)
        labels.reset({})
        if run_line(pipeline, entry.ts, entry.line, labels) is None or labels.error:
            continue
        paths = _paths(entry.line) if parser == "json" else {}
        for name, value in labels.parsed.items():
            yield name, value, parser, paths.get(name.removesuffix(_SUFFIX))
        return


def _parser(name: str) -> Pipeline:
    query = parse(f'{{a="a"}} | {name}')
    return log_pipeline(query.stages if isinstance(query, LogQuery) else ())


def _paths(line: str) -> dict[str, list[str]]:
    """Return where in a JSON object the value of each label lies."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    paths: dict[str, list[str]] = {}
    stack: list[tuple[str, list[str], object]] = [("", [], document)]
    while stack:
        prefix, path, value = stack.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                name = sanitise_key(key, first=not prefix)
                stack.append((f"{prefix}_{name}" if prefix else name, [*path, key], inner))
        else:
            paths[prefix] = path
    return paths


def _read_limit(params: Mapping[str, str]) -> int:
    text = params.get("limit", "") or params.get("field_limit", "")
    limit = p.read_int(text or str(DEFAULT_FIELDS))
    if limit <= 0:
        raise Refused("limit must be a positive value")
    return limit


def _kind(value: str) -> str:
    if _INTEGER.match(value):
        return "int"
    if _reads(parse_float, value):
        return "float"
    if value in _BOOLEANS:
        return "boolean"
    if _reads(parse_go_duration, value):
        return "duration"
    return "bytes" if _reads(parse_bytes, value) else "string"


def _reads(read: Callable[[str], object], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


def _are_ids(values: set[str]) -> bool:
    if values <= {"0", "1"}:
        return False
    return all(_reads(parse_float, value) or _reads(uuid.UUID, value) for value in values)
