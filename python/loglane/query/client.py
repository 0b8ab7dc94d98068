"""A thin client of Loki's HTTP API: push, range queries, instant queries.

Source of paths and shapes: https://grafana.com/docs/loki/latest/reference/loki-http-api/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

import httpx2

from loglane.errors import PushRejected, QueryError, ServiceUnavailable

Direction = Literal["forward", "backward"]

# Loki's default `max_entries_limit_per_query` (loki: pkg/validation/limits.go).
MAX_ENTRIES = 5000


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored line.

    Attributes:
        timestamp_ns: Nanoseconds since 1970-01-01 UTC.
        line: The line as it was written.
        labels: Labels of its stream.
        metadata: Structured metadata.
        parsed: Fields that the query's parsers took from the line.
    """

    timestamp_ns: int
    line: str
    labels: Mapping[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict)
    parsed: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return the line's JSON object; empty when the line is not one."""
        try:
            found = json.loads(self.line)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Stream:
    """Lines to push under one set of labels: `(timestamp_ns, line, structured metadata)` each."""

    labels: Mapping[str, str]
    entries: Sequence[tuple[int, str, Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of an instant metric query."""

    labels: Mapping[str, str]
    value: float


class LokiClient:
    """Talks to one Loki as one tenant; use it as a context manager, or call `close`."""

    def __init__(self, url: str, tenant: str | None = None, timeout_s: float = 30.0) -> None:
        headers = {"X-Scope-OrgID": tenant} if tenant else {}
        # A proxy from the environment is for other machines.
        is_remote = httpx2.URL(url).host not in ("127.0.0.1", "localhost", "::1")
        self._http = httpx2.Client(
            base_url=url, headers=headers, timeout=timeout_s, trust_env=is_remote
        )
        self._url = url

    def __enter__(self) -> LokiClient:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def push(self, streams: Iterable[Stream]) -> None:
        """Push lines; returns when Loki has them.

        Raises:
            PushRejected: Loki refused entries for good; valid ones of the batch are stored.
            ServiceUnavailable: Loki is down, limits the rate (429) or answered 5xx; pushing the
                identical batch again is safe.
        """
        body = {
            "streams": [
                {
                    "stream": dict(stream.labels),
                    "values": [[str(at), line, dict(meta)] for at, line, meta in stream.entries],
                }
                for stream in streams
            ]
        }
        response = self._send("POST", "/loki/api/v1/push", json=body)
        if response.status_code >= 300:
            raise PushRejected(response.text.strip(), response.status_code)

    def query_range(
        self,
        query: str,
        start_ns: int,
        end_ns: int,
        *,
        limit: int = 100,
        direction: Direction = "backward",
    ) -> list[Entry]:
        """Run a log query.

        Args:
            query: LogQL that selects lines.
            start_ns: First nanosecond, inclusive.
            end_ns: Last nanosecond, exclusive.
            limit: How many entries at most; Loki's own limit is 5000.
            direction: `backward` gives the newest entries, `forward` the oldest.

        Returns:
            Entries of all streams in the order of `direction`.

        Raises:
            QueryError: Loki refused the query.
            ServiceUnavailable: Loki is down, too slow, or answered 5xx.
        """
        params = {
            "query": query,
            "start": str(start_ns),
            "end": str(end_ns),
            "limit": str(limit),
            "direction": direction,
        }
        data = self._query("/loki/api/v1/query_range", params)
        if data["resultType"] != "streams":
            raise QueryError("this is a metric query; use query()", query)
        entries = [entry for stream in data["result"] for entry in _entries(stream)]
        entries.sort(key=lambda entry: entry.timestamp_ns, reverse=direction == "backward")
        return entries

    def iter_range(self, query: str, start_ns: int, end_ns: int) -> Iterator[Entry]:
        """Page through a log query, oldest first, each entry exactly once.

        Raises:
            QueryError: More than 5000 entries share one nanosecond, so no page can end between
                them; narrow the selector.
        """
        seen: set[tuple[Any, ...]] = set()
        while True:
            page = self.query_range(query, start_ns, end_ns, limit=MAX_ENTRIES, direction="forward")
            fresh = [entry for entry in page if _identity(entry) not in seen]
            yield from fresh
            if len(page) < MAX_ENTRIES:
                return
            if not fresh:
                raise QueryError(f"over {MAX_ENTRIES} entries share one nanosecond", query)
            start_ns = page[-1].timestamp_ns
            # Only entries of the last nanosecond can come again on the next page.
            seen = {_identity(entry) for entry in page if entry.timestamp_ns == start_ns}

    def query(self, query: str, at_ns: int | None = None) -> list[Sample]:
        """Run a metric query for one moment.

        Args:
            query: LogQL that computes numbers.
            at_ns: The moment; by default Loki's now.

        Returns:
            One sample a series, the largest value first.

        Raises:
            QueryError: Loki refused the query.
            ServiceUnavailable: Loki is down, too slow, or answered 5xx.
        """
        params = {"query": query} if at_ns is None else {"query": query, "time": str(at_ns)}
        data = self._query("/loki/api/v1/query", params)
        result = data["result"]
        if data["resultType"] == "scalar":
            return [Sample({}, float(result[1]))]
        samples = [Sample(item["metric"], float(item["value"][1])) for item in result]
        return sorted(samples, key=lambda sample: (-sample.value, sorted(sample.labels.items())))

    def label_values(self, name: str) -> list[str]:
        """List the values of a label in Loki's default time range, sorted."""
        response = self._send("GET", f"/loki/api/v1/label/{name}/values")
        return sorted(response.json().get("data") or [])

    def _query(self, path: str, params: Mapping[str, str]) -> Any:
        flags = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
        response = self._send("GET", path, params=params, headers=flags)
        if response.status_code >= 300:
            raise QueryError(response.text.strip(), params["query"], response.status_code)
        return response.json()["data"]

    def _send(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx2.HTTPError as error:
            raise ServiceUnavailable(f"Loki at {self._url} cannot be reached: {error}") from error
        if response.status_code == 429 or response.status_code >= 500:
            said = response.text.strip()
            raise ServiceUnavailable(f"Loki at {self._url} answered {response.status_code}: {said}")
        return response


def _entries(stream: Mapping[str, Any]) -> Iterator[Entry]:
    labels = stream["stream"]
    for timestamp, line, *rest in stream["values"]:
        kinds = rest[0] if rest else {}
        yield Entry(
            int(timestamp),
            line,
            labels,
            kinds.get("structuredMetadata", {}),
            kinds.get("parsed", {}),
        )


def _identity(entry: Entry) -> tuple[Any, ...]:
    labels, metadata = sorted(entry.labels.items()), sorted(entry.metadata.items())
    return entry.timestamp_ns, entry.line, tuple(labels), tuple(metadata)
