"""Ask the running servers whether they answer, and send one line through Loki and back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from loglane.errors import ServiceUnavailable
from loglane.stack.spec import StackSpec
from loglane.stack.spec.tenants import tenant_uid

PROBE_SERVICE = "loglane-probe"
_POLL_S = 0.25
_REQUEST_TIMEOUT_S = 5.0


def loki_url(spec: StackSpec) -> str:
    """Return the address that people and clients on this machine reach Loki at."""
    return _url(*spec.published["loki"])


def grafana_url(spec: StackSpec) -> str:
    """Return the address that people on this machine reach Grafana at."""
    return _url(*spec.published["grafana"])


def component_url(spec: StackSpec, component: str) -> str:
    """Return the address that people on this machine reach a component at, by plain HTTP."""
    return _url(*spec.published[component])


def _url(address: str, port: int) -> str:
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
    host = everywhere.get(address, address)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{port}"


def tenant_headers(spec: StackSpec) -> dict[str, str]:
    """Return what a request to Loki needs: the default tenant's name, or nothing without any."""
    return {"X-Scope-OrgID": spec.default_tenant} if spec.tenants else {}


def answers(url: str) -> bool:
    """Tell whether a GET of `url` is answered with a status below 300."""
    try:
        return _send("GET", url).status_code < 300
    except httpx2.HTTPError:
        return False


def wait_until(ready: Callable[[], bool], timeout_s: float, what: str, hint: str = "") -> None:
    """Poll `ready` until it says yes.

    Raises:
        ServiceUnavailable: It did not within `timeout_s` seconds; the message ends with `hint`.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() >= deadline:
            raise ServiceUnavailable(f"not within {timeout_s:g} s: {what}. {hint}".rstrip(" ."))
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
    base, headers = loki_url(spec), tenant_headers(spec)
    try:
        pushed = _send("POST", f"{base}/loki/api/v1/push", json=body, headers=headers)
    except httpx2.HTTPError as error:
        raise ServiceUnavailable(f"Loki at {base} cannot be reached: {error}") from error
    if pushed.status_code != 204:
        raise ServiceUnavailable(f"Loki refused the probe ({pushed.status_code}): {pushed.text}")
    query = f'{{service="{PROBE_SERVICE}"}} |= "{marker}"'
    wait_until(
        lambda: _finds(base, headers, query, began_ns), timeout_s, "the query for the probe line"
    )
    return (time.time_ns() - began_ns) / 1e9


def has_provisioned(spec: StackSpec, password_file: Path) -> bool:
    """Tell whether Grafana takes the generated password and has what the spec provisions.

    Raises:
        ServiceUnavailable: It refuses the password, or the password's file cannot be read.
    """
    try:
        login = (spec.grafana.admin_user, password_file.read_text().strip())
    except OSError as error:
        raise ServiceUnavailable(
            f"{password_file} cannot be read ({error.strerror}); the container `secrets` writes it"
        ) from error
    uid = spec.grafana.datasources.loki.uid
    uids = [uid, *(tenant_uid(uid, name) for name in spec.tenant_names if spec.tenants)]
    if spec.audit.database is not None:
        uids.append(spec.grafana.datasources.audit.uid)
    wanted = [f"/api/datasources/uid/{found}" for found in uids]
    wanted += [f"/api/dashboards/uid/loglane-{name}" for name in spec.dashboards]
    statuses = [_status(grafana_url(spec) + path, login) for path in wanted]
    if 401 in statuses:
        raise ServiceUnavailable(
            f"Grafana refuses the password in {password_file}: it takes one at its first start "
            "only. Put the earlier one back, or `loglane secrets rotate grafana_admin_password "
            f"--env {spec.env}` makes a new one and tells Grafana"
        )
    return all(status == 200 for status in statuses)


def datasource_health(spec: StackSpec, uid: str, password_file: Path) -> tuple[bool, str]:
    """Ask Grafana whether it reaches what a datasource names.

    Returns:
        Whether it does, and what it says (https://grafana.com/docs/grafana/latest/developers/
        http_api/data_source/#check-data-source-health).

    Raises:
        ServiceUnavailable: Grafana does not answer.
        OSError: The password's file cannot be read.
    """
    login = (spec.grafana.admin_user, password_file.read_text().strip())
    try:
        url = f"{grafana_url(spec)}/api/datasources/uid/{uid}/health"
        answer = _send("GET", url, auth=login)
        said = str(answer.json().get("message", ""))
    except (httpx2.HTTPError, ValueError) as error:
        raise ServiceUnavailable(f"Grafana does not answer: {error}") from error
    return answer.status_code == 200, said


def _status(url: str, login: tuple[str, str]) -> int:
    try:
        return _send("GET", url, auth=login).status_code
    except httpx2.HTTPError:
        return 0


def _finds(base: str, headers: dict[str, str], query: str, since_ns: int) -> bool:
    window = {"query": query, "start": str(since_ns - 10**9), "end": str(since_ns + 10**9)}
    try:
        url = f"{base}/loki/api/v1/query_range"
        answer = _send("GET", url, params=window, headers=headers)
    except httpx2.HTTPError:
        return False
    return answer.status_code == 200 and bool(answer.json()["data"]["result"])


def _send(method: str, url: str, **arguments: Any) -> httpx2.Response:
    # The servers are on this machine: a proxy from the environment must not come between.
    return httpx2.request(method, url, timeout=_REQUEST_TIMEOUT_S, trust_env=False, **arguments)
