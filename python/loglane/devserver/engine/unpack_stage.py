"""`| unpack`: strings of a JSON object as labels, and its `_entry` as the line.

It is the reverse of Promtail's `pack` stage; an object without `_entry` gives nothing
(loki: pkg/logql/log/parser.go, UnpackParser).
"""

from __future__ import annotations

from loglane.devserver.engine.json_reader import MalformedError, decode_string, each_pair
from loglane.devserver.engine.json_stage import JSON_ERROR
from loglane.devserver.engine.labels import LabelSet
from loglane.devserver.engine.sanitise import sanitise_key

_ENTRY = "_entry"
_NO_OBJECT = "expecting json object(6), but it is not"


def unpack(line: str, labels: LabelSet) -> str | None:
    """Return the packed line, the line itself when nothing is packed, None when filtered out."""
    hints = labels.hints
    if not line or hints.skips_parser():
        return line
    if line[0] != "{":
        labels.set_error(JSON_ERROR, _NO_OBJECT)
        return line
    entry: str | None = None
    found: list[tuple[str, str]] = []
    try:
        for key, value in each_pair(line):
            if value.kind != "string":
                continue
            if key == _ENTRY:
                entry = decode_string(value.raw)
                continue
            name = labels.parsed_name(key)
            if hints.wants(name):
                found.append((sanitise_key(name), value.text))
    except MalformedError as error:
        labels.set_error(JSON_ERROR, str(error))
        return line
    if entry is None:
        return line
    for name, text in found:
        labels.set_parsed(name, text)
        if not hints.passes(name, labels):
            return None
    return entry
