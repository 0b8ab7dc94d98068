"""Numbered lines through an app container, the collector and Loki: what is lost, doubled, late.

The container runs an image of the stack that is on the machine already, and is removed at the end.
"""

from __future__ import annotations

import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import docker

from loglane.errors import QueryError, ServiceUnavailable
from loglane.query import Entry, LokiClient
from loglane.query.client import MAX_ENTRIES
from loglane.stack.probe import PROBE_SERVICE, answers, loki_url
from loglane.stack.probeapp import Load, ProbeApp
from loglane.stack.spec import StackSpec

# How often new lines are asked for: the resolution of the latencies, besides the query's own time.
POLL_S = 0.2
# A Loki that is being stopped waits for the queries that it has, and takes further ones that it
# can no longer answer. After the first of them it is asked only when it is ready again.
_POLL_TIMEOUT_S = 5.0
# Loki takes lines this far from the future; Docker's clock may be a little ahead of ours.
_MARGIN_NS = 10 * 10**9
# Without anything new for so long, the whole run is read again.
_IDLE_S = 2.0

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from Docker's timestamp of a line to the answer of the first query that has it.

    Attributes:
        p50: Half of the lines took at most this.
        p95: 95 of a hundred.
        p99: 99 of a hundred.
        max: The slowest line.
        resolution: The longest time between two queries: no latency is known more closely.
    """

    p50: float
    p95: float
    p99: float
    max: float
    resolution: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the lines.

    Attributes:
        run: The id that the lines carry as `run`.
        written: Lines that the container wrote.
        found: Different lines among those that Loki has.
        lost: Lines that Loki has not.
        doubled: Entries in Loki beyond the first one of a line.
        rate: Lines a second, by Docker's timestamps of the first and the last one.
        found_after_s: Seconds from the container's start to its first line in Loki, before the
            numbered ones are written.
        latency: None when nothing was found.
    """

    run: str
    written: int
    found: int
    lost: int
    doubled: int
    rate: float
    found_after_s: float
    latency: Latency | None

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        return asdict(self)


def run_probe(
    client: docker.DockerClient, spec: StackSpec, load: Load, progress: Progress = lambda _: None
) -> Outcome:
    """Send numbered lines through the whole chain and count what comes back.

    Args:
        client: The engine.
        spec: The stack that runs.
        load: How many lines, how fast.
        progress: Is called with the number of lines that have been found so far.

    Raises:
        EnvironmentMissing: No image of the stack that has a shell is on the machine.
        ServiceUnavailable: Loki does not run, or the container could not write its lines.
    """
    app = ProbeApp(client, spec, uuid.uuid4().hex[:12], load)
    url, tenant = loki_url(spec), tenant_of(spec)
    if not answers(f"{url}/ready"):
        raise ServiceUnavailable(
            f"Loki is not ready at {url}; `loglane up --env {spec.env}` starts it"
        )
    with LokiClient(url, tenant, timeout_s=_POLL_TIMEOUT_S) as loki, app.running():
        store = Store(loki, app.run, page_size(spec))
        watch = Watch(store, time.time_ns(), lambda: answers(f"{url}/ready"))
        found_after_s = _wait_for_collector(watch, app)
        _watch(watch, app, progress)
        return tally(app.run, app.written(), watch, found_after_s)


def _wait_for_collector(watch: Watch, app: ProbeApp) -> float:
    began = time.monotonic()
    while not watch.lives:
        app.require_alive()
        if time.monotonic() - began > app.load.timeout_s:
            raise ServiceUnavailable(
                f"no line of the probe's container was in Loki within {app.load.timeout_s:g} s; "
                "`loglane doctor` looks for the reason"
            )
        time.sleep(POLL_S)
        watch.look()
    # How often Loki was asked until then says nothing about the numbered lines.
    watch.resolution_s = 0.0
    return time.monotonic() - began


def _watch(watch: Watch, app: ProbeApp, progress: Progress) -> None:
    deadline = time.monotonic() + app.writing_s + app.load.timeout_s
    begun = 0
    while not _all_seen(watch, app) and time.monotonic() < deadline:
        if len(watch.lives) > begun:
            begun = len(watch.lives)
            app.begin()
        app.require_alive()
        time.sleep(POLL_S)
        watch.look()
        progress(len(watch.seen))


def _all_seen(watch: Watch, app: ProbeApp) -> bool:
    # A restarted container begins again, so its last life ends with the last number.
    last = app.load.lines - 1
    return any(seq == last for _, seq in watch.seen) and len(watch.seen) >= app.written()


def tally(run: str, written: int, watch: Watch, found_after_s: float) -> Outcome:
    """Count what Loki has of a run.

    Raises:
        ServiceUnavailable: Loki does not answer.
    """
    numbered = [(key, entry.timestamp_ns) for entry in watch.stored() if (key := line_key(entry))]
    copies = Counter(key for key, _ in numbered)
    stamps = [stamp for _, stamp in numbered]
    span_s = (max(stamps) - min(stamps)) / 1e9 if stamps else 0.0
    return Outcome(
        run=run,
        written=written,
        found=len(copies),
        lost=max(written - len(copies), 0),
        doubled=len(numbered) - len(copies),
        rate=round(len(copies) / span_s, 1) if span_s else 0.0,
        found_after_s=round(found_after_s, 2),
        latency=latency_of(list(watch.seen.values()), watch.resolution_s),
    )


def latency_of(seconds: Iterable[float], resolution_s: float) -> Latency | None:
    """Return the percentiles of what lines took (nearest rank); None without any."""
    ranked = sorted(seconds)
    if not ranked:
        return None

    def percentile(share: float) -> float:
        return round(ranked[max(math.ceil(share * len(ranked)) - 1, 0)], 3)

    return Latency(
        percentile(0.5), percentile(0.95), percentile(0.99), percentile(1), round(resolution_s, 3)
    )


def tenant_of(spec: StackSpec) -> str | None:
    """Return the tenant whose lines the probe's are; None when Loki has one only."""
    return spec.default_tenant if spec.tenants else None


def page_size(spec: StackSpec) -> int:
    """Return how many entries a query may ask for."""
    return min(MAX_ENTRIES, spec.limits.max_entries_limit_per_query)


class Store:
    """The lines of one run as Loki has them."""

    def __init__(self, loki: LokiClient, run: str, page: int = MAX_ENTRIES) -> None:
        self._loki = loki
        self._page = page
        self._query = f'{{service="{PROBE_SERVICE}"}} |= "{run}"'

    def entries(self, since_ns: int) -> Iterator[Entry]:
        """Yield every stored entry since a moment, oldest first; what is doubled comes twice.

        A full page may end within a nanosecond that many entries share. What it has of its last
        nanosecond is therefore left to the next page, which begins there.

        Raises:
            QueryError: Entries of one nanosecond fill a whole page.
            ServiceUnavailable: Loki does not answer.
        """
        until_ns = time.time_ns() + _MARGIN_NS
        while True:
            page = self._loki.query_range(
                self._query, since_ns, until_ns, limit=self._page, direction="forward"
            )
            if len(page) < self._page:
                yield from page
                return
            since_ns = page[-1].timestamp_ns
            if page[0].timestamp_ns == since_ns:
                raise QueryError(f"{self._page} entries share one nanosecond", self._query)
            yield from (entry for entry in page if entry.timestamp_ns < since_ns)


def line_key(entry: Entry) -> tuple[str, int] | None:
    """Return what tells a line of the probe from every other: the container's life, the number."""
    fields = entry.fields()
    life, seq = fields.get("life"), fields.get("seq")
    return (life, seq) if isinstance(life, str) and isinstance(seq, int) else None


class Watch:
    """Looks for a run's lines again and again, and notes how old each was when first seen."""

    def __init__(
        self, store: Store, began_ns: int, ready: Callable[[], bool] = lambda: True
    ) -> None:
        self.seen: dict[tuple[str, int], float] = {}
        # Lives whose first line, the one without a number, has been seen.
        self.lives: set[str] = set()
        self.resolution_s = 0.0
        self._store = store
        self._ready = ready
        self._away = False
        self._began_ns = self._cursor_ns = began_ns - _MARGIN_NS
        self._looked_at = self._progressed_at = time.monotonic()

    def look(self) -> None:
        """Ask for what is new; a Loki that does not answer has nothing new."""
        # Usually lines come in the order of their timestamps; what came late is behind the cursor.
        idle = self._looked_at - self._progressed_at > _IDLE_S
        before = len(self.seen)
        if not self._away or self._ready():
            try:
                for entry in self._store.entries(self._began_ns if idle else self._cursor_ns):
                    self._note(entry)
                self._away = False
            except ServiceUnavailable:
                self._away = True
        now = time.monotonic()
        self.resolution_s = max(self.resolution_s, now - self._looked_at)
        self._looked_at = now
        if idle or len(self.seen) > before:
            self._progressed_at = now

    def _note(self, entry: Entry) -> None:
        key = line_key(entry)
        if key is None:
            self.lives.add(str(entry.fields().get("life")))
        elif key not in self.seen:
            self.seen[key] = (time.time_ns() - entry.timestamp_ns) / 1e9
        self._cursor_ns = max(self._cursor_ns, entry.timestamp_ns)

    def stored(self) -> list[Entry]:
        """Return every entry of the run, read from its beginning."""
        return list(self._store.entries(self._began_ns))
