"""How many bytes of lines there are, by series or label (loki: pkg/querier/queryrange/volume.go).

Loki estimates a chunk that lies partly in the range; here the lines of the range are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from loglane.devserver.api import params as p
from loglane.devserver.api.encoding import encode_volumes
from loglane.devserver.api.length import check_length
from loglane.devserver.engine.series import Labels, freeze
from loglane.devserver.logql import parse_matchers
from loglane.devserver.logql.nodes import Matcher
from loglane.devserver.refusal import Refused
from loglane.devserver.store import Store, Stream

# loki: limits_config.volume_max_series
MAX_SERIES = 1000
_SPLIT_GAP_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Request:
    matchers: tuple[Matcher, ...]
    # Labels by which is counted; all of a stream when there are none.
    names: frozenset[str]
    by_series: bool
    limit: int


def answer_volume(store: Store, tenant: str, params: Mapping[str, str], *, steps: bool) -> bytes:
    """Answer `index/volume`, or `index/volume_range` with a sample for each step.

    Raises:
        Refused: A parameter is bad, or there are more series than Loki counts.
    """
    request = _read_request(params)
    if steps:
        bounds, window = p.read_range(params)
        step_ns = window.step_ns
    else:
        bounds = p.read_bounds(params)
        step_ns = 0
        p.check_order(bounds)
        # The steps of a range are asked for one by one, so no length is too much there.
        check_length(bounds)
    series: dict[Labels, list[tuple[int, float]]] = {}
    for start_ns, end_ns in _intervals(bounds.start_ns, bounds.end_ns, step_ns):
        sizes = _measure(store, tenant, request, start_ns, end_ns)
        if len(sizes) > MAX_SERIES:
            raise Refused(
                f"the query hit the max number of series limit (limit: {MAX_SERIES} series)"
            )
        largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
        for labels, size in largest[: request.limit]:
            series.setdefault(labels, []).append((end_ns, float(size)))
    return encode_volumes(series)


def _read_request(params: Mapping[str, str]) -> _Request:
    text = params.get("query", "")
    matchers: tuple[Matcher, ...] = ()
    if text.replace(" ", "") != "{}":
        matchers = parse_matchers(text)
    aggregate_by = params.get("aggregateBy", "") or "series"
    if aggregate_by not in {"series", "labels"}:
        raise Refused("invalid aggregation option")
    limit = p.read_int(params.get("limit", "") or "0")
    if limit < 0:
        raise Refused("limit must be a positive value")
    targets = frozenset(filter(None, params.get("targetLabels", "").split(",")))
    # A target that is not matched anyway has to be there.
    matched = {matcher.name for matcher in matchers}
    matchers += tuple(Matcher(name, "=~", ".+") for name in sorted(targets - matched))
    by_series = aggregate_by == "series"
    names = targets or (frozenset(matched) if by_series else frozenset())
    return _Request(matchers, names, by_series, limit or p.DEFAULT_LIMIT)


def _measure(
    store: Store, tenant: str, request: _Request, start_ns: int, end_ns: int
) -> Counter[Labels]:
    sizes: Counter[Labels] = Counter()
    for stream in store.select(tenant, request.matchers, start_ns, end_ns):
        entries, size = store.measure([stream], start_ns, end_ns)
        if entries:
            for labels in _keys(stream, request):
                sizes[labels] += size
    return sizes


def _keys(stream: Stream, request: _Request) -> list[Labels]:
    kept = {
        name: value
        for name, value in stream.labels.items()
        if not request.names or name in request.names
    }
    return [freeze(kept)] if request.by_series else [((name, ""),) for name in kept]


def _intervals(start_ns: int, end_ns: int, step_ns: int) -> Iterator[tuple[int, int]]:
    """Yield steps that end at multiples of their length, a millisecond before the next one."""
    if step_ns <= 0:
        yield start_ns, end_ns
        return
    at_ns = start_ns // step_ns * step_ns
    while at_ns < end_ns:
        next_ns = at_ns + step_ns
        yield max(at_ns, start_ns), min(end_ns, next_ns - _SPLIT_GAP_NS)
        at_ns = next_ns
