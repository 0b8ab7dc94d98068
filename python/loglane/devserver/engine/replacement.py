"""`label_replace`: a label computed from another one by a regular expression."""

from __future__ import annotations

import re

from loglane.devserver.engine.series import Labels, Vector, freeze
from loglane.devserver.logql.nodes import LabelReplace
from loglane.devserver.logql.patterns import compile_pattern, replaced_pattern
from loglane.devserver.refusal import unsupported

# `$1`, `$name`, `${name}` and `$$` of Go's regexp.Expand; a name is taken as long as possible.
_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")


def replace_labels(node: LabelReplace, vector: Vector) -> Vector:
    """Replace the label in every series of a vector.

    Raises:
        Refused: Two series would have the same labels, which Loki answers with one series that
            has two values at a time.
    """
    replaced: Vector = {}
    for labels, value in vector.items():
        new = _replace(node, labels)
        if new in replaced:
            raise unsupported("`label_replace()` that gives two series the same labels")
        replaced[new] = value
    return replaced


def _replace(node: LabelReplace, labels: Labels) -> Labels:
    named = dict(labels)
    pattern = compile_pattern(replaced_pattern(node.pattern))
    match = pattern.search(named.get(node.source, ""))
    if match is None:
        return labels

    def expand(reference: re.Match[str]) -> str:
        name = reference.group(1) or reference.group(2)
        return "$" if name is None else _group(match, name)

    named[node.target] = _REFERENCE.sub(expand, node.replacement)
    return freeze(named)


def _group(match: object, name: str) -> str:
    groups = match.groups()  # type: ignore[attr-defined]
    if name.isdigit():
        number = int(name)
        found = (match.group(0), *groups)  # type: ignore[attr-defined]
        return (found[number] or "") if number < len(found) else ""
    return match.groupdict().get(name) or ""  # type: ignore[attr-defined]
