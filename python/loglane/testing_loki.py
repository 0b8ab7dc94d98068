"""The fixture `loki`: a Loki for tests, without Docker.

The development server runs in a thread of the test process, one for the session and so one for
each worker of pytest-xdist. Each test has a tenant of its own, and so sees its own lines only.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from loglane.errors import LoglaneError

_SECOND = 1_000_000_000
_TIMEOUT_S = 10.0
_EVERY_S = 0.02
_REQUEST_TIMEOUT_S = 30.0
# Loki's default `max_entries_limit_per_query`.
_LIMIT = 5000
# A proxy of the environment must not get between a test and a server in its own process.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_MISSING = (
    "the fixture `loki` needs the development server ({missing} is not installed): "
    "pip install 'loglane[dev-server]'"
)


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A line that the server has.

    Attributes:
        timestamp_ns: Nanoseconds since 1970-01-01 UTC.
        line: The line as it was pushed, or as the query's stages made it.
        labels: Labels of its stream, structured metadata, and what the query's parsers took.
    """

    timestamp_ns: int
    line: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Any]:
        """The labels, and the keys of the line when it is a JSON object, which come first."""
        try:
            body = json.loads(self.line)
        except ValueError:
            body = None
        return {**self.labels, **body} if isinstance(body, dict) else dict(self.labels)


@dataclass(frozen=True, slots=True)
class LokiServer:
    """A Loki for one test.

    Attributes:
        url: Where it listens, without a path.
        tenant: The test's tenant: what is sent as `X-Scope-OrgID`.
    """

    url: str
    tenant: str

    def push(self, *lines: str, metadata: Mapping[str, str] | None = None, **labels: str) -> None:
        """Store lines of this moment in one stream, in this order.

        Args:
            *lines: The lines.
            metadata: Structured metadata of each of them.
            **labels: Labels of the stream; `service="test"` by default.

        Raises:
            LoglaneError: The server refuses them.
        """
        now_ns = time.time_ns()
        values = [[str(now_ns + n), line, dict(metadata or {})] for n, line in enumerate(lines)]
        body = {"streams": [{"stream": labels or {"service": "test"}, "values": values}]}
        self._send("push", data=json.dumps(body).encode())

    def query(self, logql: str, *, since_s: float = 3600.0) -> list[StoredLine]:
        """Ask a log query; return up to 5,000 lines of the last hour, oldest first.

        Raises:
            LoglaneError: It is a metric query, or the server refuses it; the message has its text.
        """
        # A second of the future, for lines that were pushed together at increasing times.
        end_ns = time.time_ns() + _SECOND
        data = self._ask(
            "query_range",
            query=logql,
            start=end_ns - _SECOND - int(since_s * _SECOND),
            end=end_ns,
            limit=_LIMIT,
            direction="forward",
        )
        if data["resultType"] != "streams":
            raise LoglaneError(f"a metric query returns no lines, give a log query: {logql}")
        found = [
            StoredLine(int(ts), line, stream["stream"])
            for stream in data["result"]
            for ts, line, *_ in stream.get("values", ())
        ]
        return sorted(found, key=lambda one: one.timestamp_ns)

    def entries(self, selector: str = '{service_name=~".+"}') -> list[StoredLine]:
        """Return the lines of the last hour, oldest first; of every stream by default."""
        return self.query(selector)

    def assert_logged(
        self,
        message: str | None = None,
        *,
        contains: str | None = None,
        times: int | None = None,
        timeout_s: float = _TIMEOUT_S,
        **fields: Any,
    ) -> StoredLine:
        """Wait for a line, and fail when it does not come.

        Args:
            message: The whole `message` of a JSON line; any by default.
            contains: A text that is in the line.
            times: How many such lines there must be at once; at least one by default.
            timeout_s: How long to wait.
            **fields: Values that the line's JSON, labels or metadata must have; a function is
                called with the value and says whether it fits.

        Returns:
            The oldest such line.

        Raises:
            AssertionError: None came, or another number; the message lists what there is.
        """
        __tracebackhide__ = True
        wanted = fields if message is None else {"message": message, **fields}
        deadline = time.monotonic() + timeout_s
        while True:
            stored = self.entries()
            found = [one for one in stored if _fits(one, contains, wanted)]
            if len(found) == times or (times is None and found):
                return found[0] if found else StoredLine(0, "")
            if time.monotonic() >= deadline:
                break
            time.sleep(_EVERY_S)
        if contains is not None:
            wanted = {"contains": contains, **wanted}
        expected = "a line" if times is None else f"{times} lines"
        shown = "\n".join(f"  {dict(one.labels)} {one.line}" for one in stored) or "  nothing"
        if len(stored) >= _LIMIT:
            shown += f"\n  and maybe more: only the oldest {_LIMIT} lines are looked at"
        raise AssertionError(
            f"expected {expected} with {wanted!r} within {timeout_s:g} s, "
            f"found {len(found)}; stored:\n{shown}"
        )

    def _ask(self, path: str, **params: object) -> dict[str, Any]:
        answer = self._send(f"{path}?{urllib.parse.urlencode(params)}")
        data: dict[str, Any] = json.loads(answer)["data"]
        return data

    def _send(self, path: str, data: bytes | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the URL is the server's own
            f"{self.url}/loki/api/v1/{path}",
            data=data,
            headers={"X-Scope-OrgID": self.tenant, "Content-Type": "application/json"},
        )
        try:
            with _OPENER.open(request, timeout=_REQUEST_TIMEOUT_S) as response:
                body: bytes = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise LoglaneError(f"Loki refused it: {error.read().decode()}") from None
        return body


def _fits(one: StoredLine, contains: str | None, wanted: Mapping[str, Any]) -> bool:
    if contains is not None and contains not in one.line:
        return False
    fields = one.fields
    return all(
        expected(fields.get(name)) if callable(expected) else fields.get(name) == expected
        for name, expected in wanted.items()
    )


@pytest.fixture(scope="session")
def _loki_url() -> Iterator[str]:
    """Run the development server for the session; yield its URL."""
    try:
        from loglane.devserver import running
    except ModuleNotFoundError as error:
        raise LoglaneError(_MISSING.format(missing=error.name)) from None
    with running() as url:
        yield url


@pytest.fixture
def loki(_loki_url: str) -> LokiServer:
    """Give the test a Loki with nothing in it; see `LokiServer`."""
    return LokiServer(_loki_url, f"test-{uuid.uuid4().hex}")
