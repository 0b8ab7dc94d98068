"""Read what a server says about itself at /metrics.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one answer: labels and value, by the metric's name."""

    by_name: Mapping[str, list[tuple[Mapping[str, str], float]]]

    def total(self, name: str) -> float:
        """Add up a metric over all its labels; 0 when there is none of that name."""
        return sum(value for _, value in self.by_name.get(name, ()))

    def by(self, name: str, label: str) -> dict[str, float]:
        """Add up a metric for each value of a label, those above 0 only, the largest first."""
        found: Counter[str] = Counter()
        for labels, value in self.by_name.get(name, ()):
            found[labels.get(label, "")] += value  # type: ignore[assignment]
        return {key: value for key, value in found.most_common() if value > 0}


def parse_metrics(text: str) -> Samples:
    """Read a text of samples; lines that are none are passed over."""
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is not None:
            labels = dict(_LABEL.findall(match["labels"] or ""))
            found.setdefault(match["name"], []).append((labels, float(match["value"])))
    return Samples(found)
