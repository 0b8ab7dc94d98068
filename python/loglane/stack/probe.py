"""Ask the running servers whether they answer, and send one line through Loki and back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx2

from loglane.errors import ServiceUnavailable
from loglane.stack.spec import StackSpec

PROBE_SERVICE = "loglane-probe"
_POLL_S = 0.25
_REQUEST_TIMEOUT_S = 5.0


def loki_url(spec: StackSpec) -> str:
    """Return the address that people and clients on this machine reach Loki at."""
    return _url(spec, spec.ports.loki)


def grafana_url(spec: StackSpec) -> str:
    """Return the address that people on this machine reach Grafana at."""
    return _url(spec, spec.ports.grafana)


def _url(spec: StackSpec, port: int) -> str:
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
    host = everywhere.get(spec.bind_address, spec.bind_address)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{port}"


def answers(url: str) -> bool:
    """Tell whether a GET of `url` is answered with a status below 300."""
    try:
        return httpx2.get(url, timeout=_REQUEST_TIMEOUT_S).status_code < 300
    except httpx2.HTTPError:
        return False


def wait_until(ready: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll `ready` until it says yes.

    Raises:
        ServiceUnavailable: It did not within `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() >= deadline:
            raise ServiceUnavailable(
                f"{what} did not answer within {timeout_s:g} s; `loglane compose logs` shows what "
                "the containers say, `--timeout` waits longer"
            )
        time.sleep(_POLL_S)


def send_probe(spec: StackSpec, timeout_s: float) -> float:
    """Push one line into Loki and query it back.

    Returns:
        Seconds from the push to the query that found it.

    Raises:
        ServiceUnavailable: The line was refused, or was not found within `timeout_s` seconds.
    """
    marker = uuid.uuid4().hex
    began_ns = time.time_ns()
    stream = {"service": PROBE_SERVICE, "env": spec.env, "level": "debug"}
    body = {"streams": [{"stream": stream, "values": [[str(began_ns), f"probe {marker}"]]}]}
    base = loki_url(spec)
    try:
        pushed = httpx2.post(f"{base}/loki/api/v1/push", json=body, timeout=_REQUEST_TIMEOUT_S)
    except httpx2.HTTPError as error:
        raise ServiceUnavailable(f"Loki at {base} cannot be reached: {error}") from error
    if pushed.status_code != 204:
        raise ServiceUnavailable(f"Loki refused the probe ({pushed.status_code}): {pushed.text}")
    query = f'{{service="{PROBE_SERVICE}"}} |= "{marker}"'
    wait_until(lambda: _finds(base, query, began_ns), timeout_s, "the query for the probe line")
    return (time.time_ns() - began_ns) / 1e9


def check_grafana(spec: StackSpec, password_file: Path) -> None:
    """See that Grafana takes the generated password and has what the spec provisions.

    Raises:
        ServiceUnavailable: It does not; the message says what to do.
    """
    try:
        login = (spec.grafana.admin_user, password_file.read_text().strip())
    except OSError as error:
        raise ServiceUnavailable(
            f"{password_file} cannot be read ({error.strerror}); the container `secrets` writes it"
        ) from error
    base = grafana_url(spec)
    wanted = [f"/api/datasources/uid/{spec.grafana.datasources.loki.uid}"]
    wanted += [f"/api/dashboards/uid/loglane-{name}" for name in spec.grafana.dashboards]
    for path in wanted:
        try:
            answer = httpx2.get(f"{base}{path}", auth=login, timeout=_REQUEST_TIMEOUT_S)
        except httpx2.HTTPError as error:
            raise ServiceUnavailable(f"Grafana at {base} cannot be reached: {error}") from error
        if answer.status_code == 401:
            raise ServiceUnavailable(
                f"Grafana refuses the password in {password_file}: it takes one at its first start "
                "only. Put the earlier one back, or set this one: `loglane compose --env "
                f"{spec.env} exec grafana grafana cli admin reset-admin-password NEW`"
            )
        if answer.status_code >= 300:
            raise ServiceUnavailable(
                f"Grafana at {base} has not provisioned {path} ({answer.status_code}); "
                f"`loglane compose --env {spec.env} logs grafana` says why"
            )


def _finds(base: str, query: str, since_ns: int) -> bool:
    window = {"query": query, "start": str(since_ns - 10**9), "end": str(since_ns + 10**9)}
    try:
        answer = httpx2.get(
            f"{base}/loki/api/v1/query_range", params=window, timeout=_REQUEST_TIMEOUT_S
        )
    except httpx2.HTTPError:
        return False
    return answer.status_code == 200 and bool(answer.json()["data"]["result"])
