"""The labels of one line on its way through a pipeline.

A label is a stream label, structured metadata or parsed from the line; the later kind hides the
earlier one (loki: pkg/logql/log/labels.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from loglane.devserver.engine.hints import Hints

ERROR = "__error__"
ERROR_DETAILS = "__error_details__"
PRESERVE_ERROR = "__preserve_error__"
DUPLICATE_SUFFIX = "_extracted"


class Categorised(NamedTuple):
    """Labels of a line that came out of a pipeline, by where they came from."""

    stream: dict[str, str]
    metadata: dict[str, str]
    parsed: dict[str, str]

    def merged(self) -> dict[str, str]:
        """Every label in one mapping."""
        return {**self.stream, **self.metadata, **self.parsed}


class LabelSet:
    """Labels of the current line; one instance serves all lines of a stream, one after another."""

    def __init__(self, stream: Mapping[str, str], hints: Hints) -> None:
        self.stream = stream
        self.hints = hints
        self.metadata: dict[str, str] = {}
        self.parsed: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.error = ""
        self.error_details = ""

    def reset(self, metadata: Mapping[str, str]) -> None:
        """Start the next line with its structured metadata."""
        self.parsed = {}
        self.metadata = {}
        self.error = self.error_details = ""
        if self.deleted:
            self.deleted = set()
        self.hints.reset()
        for name, value in metadata.items():
            if name in self.stream:
                self.metadata[name + DUPLICATE_SUFFIX] = value
            elif name == ERROR:
                self.error = value
            elif name == ERROR_DETAILS:
                self.error_details = value
            else:
                self.metadata[name] = value

    def get(self, name: str) -> str | None:
        """Return a label's value, None when there is none."""
        value = self.metadata.get(name)
        if value is None:
            value = self.parsed.get(name)
        if value is None and name not in self.deleted:
            value = self.stream.get(name)
        return value

    def parsed_name(self, name: str) -> str:
        """Return the name under which a parser may set `name` without hiding another label."""
        if name in self.stream or name in self.metadata:
            return name + DUPLICATE_SUFFIX
        return name

    def set_parsed(self, name: str, value: str) -> None:
        """Set a label found in the line."""
        self.metadata.pop(name, None)
        self.parsed[name] = value
        self.hints.extracted.add(name)

    def set_error(self, kind: str, details: str) -> None:
        """Record an error of a parser with its details."""
        self.error_details = details
        self.add_error(kind)

    def add_error(self, kind: str) -> None:
        """Record an error of a parser that has no details, so that earlier ones stay."""
        self.error = kind
        if self.hints.preserve_error:
            self.set_parsed(PRESERVE_ERROR, "true")

    def delete(self, name: str) -> None:
        """Remove a label of any kind."""
        self.metadata.pop(name, None)
        self.parsed.pop(name, None)
        self.deleted.add(name)

    def visible(self) -> dict[str, str]:
        """Return what a template sees: every label, and errors when there is one."""
        return self.categorised().merged()

    def categorised(self) -> Categorised:
        """Return the labels of the line by kind, errors among the parsed ones."""
        # Loki notices details without an error only when something else changed too.
        changed = self.deleted or self.metadata or self.parsed or self.error
        if not changed:
            return Categorised(dict(self.stream), {}, {})
        hidden = self.deleted | self.metadata.keys() | self.parsed.keys()
        stream = {name: value for name, value in self.stream.items() if name not in hidden}
        parsed = dict(self.parsed)
        if self.error:
            parsed[ERROR] = self.error
        if self.error_details:
            parsed[ERROR_DETAILS] = self.error_details
        found = Categorised(stream, dict(self.metadata), parsed)
        if len(stream) < len(self.stream) and found.merged() == self.stream:
            # Loki remembers results by their labels alone, and it knows the stream's already.
            return Categorised(dict(self.stream), {}, {})
        return found
