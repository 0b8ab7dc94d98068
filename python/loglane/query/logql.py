"""LogQL that is built, not pasted: every value is quoted, every stage stands in its right place.

    Query().label("service", "api").contains("boom").metadata("trace_id", "4bf9")

is `{service="api"} |= "boom" | trace_id="4bf9"`. Stages are rendered in the order that reads least:
the selector, text in the line, structured metadata, and only then the line's JSON. A query is never
changed; each method returns a new one.

Reference: https://grafana.com/docs/loki/latest/query/log_queries/
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from loglane.fields import LABEL_NAME
from loglane.query.bodyfield import BodyField, Scalar
from loglane.query.quoting import check_text, quote, quote_pattern

# Loki refuses a selector that could match a stream without any label, so one matcher must want
# something. Every line of the contract has a service.
_ANY_STREAM = 'service=~".+"'
# loglane writes these escaped: some readers break a line at them.
_SEPARATORS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_BEFORE_SELECTOR = re.compile(r"\A(?:[\s(]|#[^\n]*(?:\n|\Z))*")

_Value = TypeVar("_Value", str, Scalar)


@dataclass(frozen=True, slots=True)
class Query:
    """A log query; `str(query)` is its LogQL.

    Attributes:
        matchers: Conditions on labels, as LogQL.
        lines: Filters on the text of the line, as LogQL.
        metadatas: Filters on structured metadata, as LogQL.
        bodies: Conditions on fields of the line's JSON.
    """

    matchers: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    metadatas: tuple[str, ...] = ()
    bodies: tuple[BodyField, ...] = ()

    def label(self, name: str, *values: str) -> Query:
        """Keep streams whose label has one of these values; `""` means 'without this label'.

        Raises:
            ValueError: No value, or a name that no label can have.
        """
        check_name(name)
        distinct = _distinct(values)
        if len(distinct) == 1:
            return self._with_matcher(f"{name}={quote(distinct[0])}")
        # Unlike a label filter, a selector anchors its expressions at both ends.
        pattern = "|".join(quote_pattern(value) for value in distinct)
        return self._with_matcher(f"{name}=~{quote(pattern)}")

    def contains(self, text: str) -> Query:
        """Keep lines that have this text in them, upper and lower case as given."""
        return self._with_line(f"|= {quote(text)}")

    def contains_text(self, text: str) -> Query:
        """Keep lines that have this text, plain or as JSON writes it inside a string.

        A line is JSON, so a quote in a message is stored with a backslash before it.
        """
        check_text(text)
        escaped = json.dumps(text, ensure_ascii=False)[1:-1]
        written = {escaped, escaped.translate(_SEPARATORS), json.dumps(text)[1:-1]}
        return self._with_line(f"|= {' or '.join(map(quote, sorted({text} | written)))}")

    def matches(self, pattern: str) -> Query:
        """Keep lines in which this RE2 expression is found anywhere."""
        return self._with_line(f"|~ {quote(pattern)}")

    def metadata(self, name: str, *values: str) -> Query:
        """Keep entries whose structured metadata has one of these values; `""`: without it.

        Raises:
            ValueError: No value, or a name that no structured metadata can have.
        """
        check_name(name)
        # Never a regular expression: Loki answers `=~ "a|b"` of a label filter as 'contains'.
        conditions = " or ".join(
            # Loki stores the replacement character as a space (loki: pkg/loghttp/push).
            f"{name}={quote(value.replace(chr(0xFFFD), ' '))}"
            for value in _distinct(values)
        )
        return replace(self, metadatas=(*self.metadatas, f"| {conditions}"))

    def field(self, name: str, *values: Scalar) -> Query:
        """Keep lines whose JSON has one of these values in this field.

        Args:
            name: The key; with dots also a path: `a.b` is the key `a.b`, or `b` inside `a`.
            values: As JSON would give them. Loki tells no string from a number: `5` and `"5"` are
                the same; None is `null`.

        Raises:
            ValueError: No value, no name, or a number that JSON has not.
        """
        return replace(self, bodies=(*self.bodies, BodyField(name, _distinct(values))))

    def count(self, span_ms: int, by: Sequence[str] = ()) -> str:
        """Return the metric query that counts the entries of the last `span_ms` milliseconds."""
        return self._aggregated("count_over_time", span_ms, by)

    def measure(self, span_ms: int, by: Sequence[str] = ()) -> str:
        """Return the metric query that adds up the bytes of the lines of the last `span_ms`."""
        return self._aggregated("bytes_over_time", span_ms, by)

    def extracted(self, name: str) -> tuple[Query, list[str]]:
        """Make a field of the body a label, to group by it.

        Returns:
            The query, and the names of the labels; of `a.b` there are two, for the key `a.b` and
            for `b` inside `a`.
        """
        field = BodyField(name, ())
        return replace(self, bodies=(*self.bodies, field)), list(field.paths(len(self.bodies)))

    def __str__(self) -> str:
        selector = ", ".join(self.matchers or (_ANY_STREAM,))
        stages = [*self.lines, *self.metadatas]
        stages[:0] = [text for field in self.bodies if (text := field.prefilter())]
        for number, field in enumerate(self.bodies):
            stages += field.stages(number)
        return " ".join(["{" + selector + "}", *stages])

    def _aggregated(self, function: str, span_ms: int, by: Sequence[str]) -> str:
        for name in by:
            check_name(name)
        grouping = f" by ({', '.join(by)})" if by else ""
        return f"sum{grouping} ({function}({self} [{span_ms}ms]))"

    def _with_matcher(self, matcher: str) -> Query:
        return replace(self, matchers=(*self.matchers, matcher))

    def _with_line(self, stage: str) -> Query:
        return replace(self, lines=(*self.lines, stage))


def _distinct(values: tuple[_Value, ...]) -> tuple[_Value, ...]:
    if not values:
        raise ValueError("a condition needs at least one value")
    # True and 1 are equal in Python, and not in JSON.
    return tuple({(type(value), value): value for value in values}.values())


def check_name(name: str) -> None:
    """Refuse what no label can be called.

    Raises:
        ValueError: It is no name of a label.
    """
    if not LABEL_NAME.match(name):
        raise ValueError(
            f"{name!r} is no name of a label: letters, digits and _, and no digit in front"
        )


def is_log_query(logql: str) -> bool:
    """Tell whether LogQL selects lines, or else computes numbers: only a selector begins with {."""
    return _BEFORE_SELECTOR.sub("", logql, count=1).startswith("{")
