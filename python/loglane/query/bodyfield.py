"""A field of the line's JSON, as conditions of LogQL.

`| json name="path"` takes just this field out of the line. Unlike `| json` alone it meets no other
field: nothing is renamed because two keys look alike once their dots are underscores, or because
a label has the name already (loki: pkg/logql/log/parser.go).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

from loglane.query.quoting import check_text, quote, quote_pattern

Scalar: TypeAlias = "str | int | float | bool | None"

# Every writer of JSON leaves these as they are, so a line with the value has this very text.
_NEVER_ESCAPED = re.compile(r"[A-Za-z0-9 _.:,@-]+\Z")
# A path of Loki cannot hold these (loki: pkg/logql/log/jsonexpr/lexer.go).
_NOT_IN_PATH = re.compile(r'["\]\0]')
# From here on floats, as which Loki compares numbers, stand for several integers.
_EXACT_FLOAT = 2**53


@dataclass(frozen=True, slots=True)
class BodyField:
    """Wants one of `values` in the field `name`; without values it only makes it a label."""

    name: str
    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.name or _NOT_IN_PATH.search(self.name):
            raise ValueError(
                f"a query cannot name the field {self.name!r}: its path has no quoting"
            )
        check_text(self.name)
        empty = [value for value in self.values if value is None or value == ""]
        if empty and len(self.values) > 1:
            raise ValueError(
                f"{self.name}: ask for None or an empty text alone; "
                "Loki cannot tell them from a missing field in a list"
            )
        for value in self.values:
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{self.name}: JSON has no {value}")

    def paths(self, number: int) -> dict[str, str]:
        """Return where the field is looked for, by the names of the labels that it becomes."""
        label, keys = f"_field_{number}", self.name.split(".")
        found = {label: _path(self.name)}
        if len(keys) > 1 and all(keys):
            found[f"{label}_path"] = _path(*keys)
        return found

    def prefilter(self) -> str:
        """Return a filter on the whole line that skips most others before they are parsed."""
        if len(self.values) == 1:
            value = self.values[0]
            if value is None or value == "":
                literal = "null" if value is None else '""'
                return f"|~ {quote(self._present(literal))}"
            if isinstance(value, bool):
                return f"|= {quote(json.dumps(value))}"
        texts = [value for value in self.values if isinstance(value, str)]
        if not texts or len(texts) < len(self.values) or not all(map(_NEVER_ESCAPED.match, texts)):
            return ""
        if len(texts) == 1:
            return f"|= {quote(texts[0])}"
        return f"|~ {quote('|'.join(map(quote_pattern, texts)))}"

    def stages(self, number: int) -> list[str]:
        """Return the stages that parse the field and compare it."""
        labels = self.paths(number)
        expressions = [f"{label}={quote(path)}" for label, path in labels.items()]
        stages = [f"| json {', '.join(expressions)}"]
        if not self.values:
            # A line that is no JSON is without the field; its error would end the whole count.
            return [*stages, "| drop __error__, __error_details__"]
        if None in self.values or "" in self.values:
            # A line that is no JSON has the field neither empty nor null.
            return [*stages, *(f'| {label}=""' for label in labels), '| __error__=""']
        conditions = [text for label in labels for text in self._conditions(label)]
        stages.append(f"| {' or '.join(conditions)}")
        if any(_is_number(value) for value in self.values):
            # A value that is no number is kept by the comparison and marked.
            stages.append('| __error__!="LabelFilterErr"')
        return stages

    def _conditions(self, label: str) -> list[str]:
        found = []
        for value in self.values:
            if isinstance(value, str):
                found.append(f"{label}={quote(value)}")
            elif isinstance(value, float):
                found.append(f"{label} == {value!r}")
            else:
                found.append(f"{label}={quote(json.dumps(value))}")
                # A whole number may be written as `5.0` too.
                if _is_number(value) and -_EXACT_FLOAT < value < _EXACT_FLOAT:
                    found.append(f"{label} == {value}")
        return found

    def _present(self, literal: str) -> str:
        """Return an expression for the key with this literal, which no text in a string fits."""
        keys = {self.name, self.name.rpartition(".")[2]}
        written = {json.dumps(key, ensure_ascii=plain) for key in keys for plain in (False, True)}
        names = "|".join(quote_pattern(key) for key in sorted(written))
        return rf"(?:{names})\s*:\s*{literal}"


def _is_number(value: Scalar) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _path(*keys: str) -> str:
    return "".join(f'["{key}"]' for key in keys)
