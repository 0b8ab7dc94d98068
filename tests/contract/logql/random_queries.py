"""Random metric queries over the data set, the same ones for the same seed.

They are harmless: small ranges, known labels, three operations deep at most. Left out is what Loki
itself answers differently each time, such as `topk` of equal values.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

_RANGES = ("1m", "5m", "7m", "10m", "1h", "90m", "2h")
_STEPS = ("60s", "300s", "7m", "600s", "17m")


@dataclass(frozen=True)
class _Source:
    """Streams, stages that parse them, and what is in their labels then."""

    selectors: tuple[str, ...]
    parsers: tuple[str, ...]
    numbers: tuple[str, ...]
    durations: tuple[str, ...]
    sizes: tuple[str, ...]
    filters: tuple[str, ...]
    labels: tuple[str, ...]


_SOURCES = (
    _Source(
        ('{app="sample-shop"}', '{app="sample-shop", env="prod"}', '{app="sample-shop"} |= "9"'),
        ("| logfmt", "| logfmt", "| logfmt --strict", ""),
        ("items", "price"),
        ("took",),
        ("size",),
        ('| region="eu"', "| items > 3", '| note!="none"', "| took >= 200ms", '| cart=~"c1|c2"'),
        ("level", "env", "region", "cart", "items", "absent", "note"),
    ),
    _Source(
        ('{app="corpus-api"}', '{app="corpus-api", level="info"}', '{app="corpus-api"} |= "1"'),
        ("| json", "| json", ""),
        ("ratio", "status", "user_id", "method"),
        ("latency",),
        ("size",),
        ('| method="GET"', "| status >= 500", '| ok="true"', '| user_na_me!="u1"', "| ratio<3"),
        ("level", "method", "status", "env", "env_extracted", "trace_id", "user_na_me"),
    ),
    _Source(
        ('{app="sample-meter"}', '{app="sample-meter"} != "7"'),
        ("| json", ""),
        ("total", "temp", "unit_id"),
        ("total",),
        ("temp",),
        ('| unit_id="1"', "| temp > 0", "| total<60"),
        ("env", "unit_id", "absent"),
    ),
    _Source(
        ('{app="sample-odd"}', '{app="sample-odd", kind="number"}'),
        ("| logfmt", ""),
        ("v", "n"),
        ("took",),
        ("size",),
        ('| kind="number"', "| n > 3", '| v!=""', "| took > 1s"),
        ("kind", "n", "absent"),
    ),
    _Source(
        ('{app="corpus-web"}', '{app="corpus-worker"}'),
        ("| logfmt", "| json", "| json | logfmt", ""),
        ("status", "n"),
        ("took",),
        ("size",),
        ('| method="GET"', "| status = 200", '| level="debug"', '| job!=""'),
        ("method", "status", "level", "job"),
    ),
)
_OVER_LINES = ("count_over_time", "rate", "bytes_over_time", "bytes_rate", "absent_over_time")
_OVER_VALUES = ("sum_over_time", "rate", "rate_counter", "absent_over_time")
_GROUPED = (
    "avg_over_time", "min_over_time", "max_over_time", "first_over_time", "last_over_time",
    "stddev_over_time", "stdvar_over_time", "quantile_over_time",
)  # fmt: skip
_VECTOR = ("sum", "sum", "sum", "avg", "min", "max", "count", "stddev", "stdvar")


def random_case(seed: int) -> dict[str, Any]:
    """Return the query of one case, when it is asked, and how."""
    random = Random(seed)  # noqa: S311 - a reproducible choice, no secret
    source = random.choice(_SOURCES)
    return {
        "name": f"random-{seed}",
        "query": _Writer(random, source).metric(random.choice((1, 2, 2, 3))),
        "type": random.choice(("instant", "range", "range")),
        "step": random.choice(_STEPS),
        "at": random.choice((40, 60, 60, 95, 100)),
    }


class _Writer:
    def __init__(self, random: Random, source: _Source) -> None:
        self._random = random
        self._source = source

    def metric(self, depth: int) -> str:
        """Write an operation over operations; depth 1 is a range aggregation."""
        random = self._random
        if depth == 1:
            return self._range_aggregation()
        kind = random.random()
        if kind < 0.6:
            return self._vector_aggregation(depth)
        if kind < 0.75:
            return self._with_number(depth)
        if kind < 0.95:
            return self._with_vector(depth)
        label, target = random.choice(self._source.labels), random.choice(("x", "level"))
        inner = f"sum by ({label}) ({self.metric(depth - 1)})"
        return f'label_replace({inner}, "new_{target}", "<$1>", "{label}", "(.*)")'

    def _vector_aggregation(self, depth: int) -> str:
        op, inner = self._random.choice(_VECTOR), self.metric(depth - 1)
        grouping = self._grouping()
        if self._random.random() < 0.5:
            return f"{op}{grouping} ({inner})"
        return f"{op}({inner}){grouping}"

    def _with_number(self, depth: int) -> str:
        random = self._random
        number = random.choice(("0", "1", "2.5", "-3", "100"))
        op = random.choice(("+", "-", "*", "/", "%", "^", ">", ">= bool", "==", "!= bool", "<"))
        sides = [f"({self.metric(depth - 1)})", number]
        random.shuffle(sides)
        return f"{sides[0]} {op} {sides[1]}"

    def _with_vector(self, depth: int) -> str:
        random = self._random
        label = random.choice(self._source.labels)
        op = random.choice(
            ("+", "-", "*", "/", "%", "^", ">", "> bool", "!=", "<=", "and", "or", "unless")
        )
        matching = random.choice(("", "", f" on ({label})", f" ignoring ({label})"))
        left, right = (
            f"sum by ({label}{extra}) ({self.metric(depth - 1)})"
            for extra in ("", random.choice(("", ", level")))
        )
        return f"{left} {op}{matching} {right}"

    def _range_aggregation(self) -> str:
        random = self._random
        interval = random.choice(_RANGES)
        offset = random.choice(("", "", "", " offset 30m", " offset 90s"))
        if random.random() < 0.35:
            return f"{random.choice(_OVER_LINES)}({self._lines()} [{interval}]{offset})"
        op = random.choice(_OVER_VALUES + _GROUPED * 2)
        parameter = random.choice(("0.5, ", "0.9, ", "0, ", "1, ")) if "quant" in op else ""
        grouping = self._grouping() if op in _GROUPED and random.random() < 0.6 else ""
        lines = f"{self._lines()} {self._unwrap()}"
        return f"{op}({parameter}{lines} [{interval}]{offset}){grouping}"

    def _lines(self) -> str:
        random, source = self._random, self._source
        parts = [random.choice(source.selectors), random.choice(source.parsers)]
        if random.random() < 0.4:
            parts.append(random.choice(source.filters))
        if random.random() < 0.15:
            kept = ", ".join(random.sample(source.labels, 2))
            parts.append(f"| {random.choice(('drop', 'keep'))} {kept}")
        if random.random() < 0.25:
            parts.append(random.choice(('| __error__=""', "| drop __error__")))
        return " ".join(part for part in parts if part)

    def _unwrap(self) -> str:
        random, source = self._random, self._source
        kind = random.random()
        if kind < 0.6:
            text = f"| unwrap {random.choice(source.numbers)}"
        elif kind < 0.8:
            conversion = random.choice(("duration", "duration_seconds"))
            text = f"| unwrap {conversion}({random.choice(source.durations)})"
        else:
            text = f"| unwrap bytes({random.choice(source.sizes)})"
        if random.random() < 0.7:
            text += ' | __error__=""'
        if random.random() < 0.2:
            text += f" {random.choice(source.filters)}"
        return text

    def _grouping(self) -> str:
        random = self._random
        labels = random.sample(self._source.labels, random.choice((0, 1, 1, 2)))
        kind = random.choice(("by", "by", "without"))
        return "" if random.random() < 0.2 else f" {kind} ({', '.join(labels)})"
