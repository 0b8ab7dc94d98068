"""Answers of metric queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Series:
    """One series that a metric query computed.

    Attributes:
        labels: What it is grouped by.
        points: `(timestamp_ns, value)`, oldest first; one point of an instant query.
    """

    labels: Mapping[str, str]
    points: tuple[tuple[int, float], ...]

    @property
    def value(self) -> float:
        """The newest value."""
        return self.points[-1][1]


def read_series(data: Mapping[str, Any]) -> list[Series]:
    """Read a matrix, a vector or a scalar; the largest newest value first.

    Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/ ("Query ...").
    """
    result = data["result"]
    if data["resultType"] == "scalar":
        return [Series({}, (_point(result),))]
    series = [
        Series(item["metric"], tuple(map(_point, item.get("values") or [item["value"]])))
        for item in result
    ]
    return sorted(series, key=lambda one: (-one.value, sorted(one.labels.items())))


def _point(pair: tuple[float, str]) -> tuple[int, float]:
    # Loki gives seconds with at most milliseconds.
    return round(pair[0] * 1000) * 10**6, float(pair[1])
