"""`| json`: every value of a JSON object as a label, nested names joined by an underscore.

Source: loki: pkg/logql/log/parser.go, JSONParser.
"""

from __future__ import annotations

from loglane.devserver.engine.json_reader import MalformedError, Value, each_pair
from loglane.devserver.engine.labels import LabelSet
from loglane.devserver.engine.sanitise import sanitise_key
from loglane.devserver.refusal import unsupported

JSON_ERROR = "JSONParserErr"
MAX_DEPTH = 100


class _Complete(Exception):
    pass


class _FilteredOut(Exception):
    pass


def parse_json(line: str, labels: LabelSet) -> bool:
    """Add the labels of a JSON line; return False when a label filter already rejects it."""
    if labels.hints.skips_parser():
        return True
    try:
        _read_object(line, "", 0, labels)
    except MalformedError as error:
        labels.set_error(JSON_ERROR, str(error))
    except _Complete:
        pass
    except _FilteredOut:
        return False
    return True


def _read_object(text: str, prefix: str, depth: int, labels: LabelSet) -> None:
    if depth > MAX_DEPTH:
        raise unsupported(f"`| json` on a line nested more than {MAX_DEPTH} deep")
    for key, value in each_pair(text):
        if value.kind == "object":
            nested = join_key(prefix, key)
            if labels.hints.wants_prefix(nested):
                _read_object(value.raw, nested or " ", depth + 1, labels)
            continue
        if value.kind not in {"array", "null"}:
            _set(key, prefix, value, labels)
        if labels.hints.complete():
            raise _Complete


def _set(key: str, prefix: str, value: Value, labels: LabelSet) -> None:
    name = join_key(prefix, key)
    if not name and not prefix:
        return
    name = labels.parsed_name(name)
    if not labels.hints.wants(name):
        return
    labels.set_parsed(name, value.text)
    if not labels.hints.passes(name, labels):
        raise _FilteredOut


def join_key(prefix: str, key: str) -> str:
    """Join a key to the sanitised name of its object; the first part of a name gets no digit."""
    if not prefix.strip():
        return sanitise_key(key)
    part = sanitise_key(key, first=False)
    return f"{prefix}_{part}" if part else prefix
