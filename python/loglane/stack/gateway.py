"""What the gateway's template inserts, and the names that tenants have in Grafana."""

from __future__ import annotations

import math
from typing import Any

from loglane.stack.secrets import users_who
from loglane.stack.spec import StackSpec
from loglane.stack.spec.tenants import tenant_uid

# Escapes and the frame of a JSON push make it at most about twice as long as the lines in it.
_BODY_FACTOR = 2


def gateway_context(spec: StackSpec) -> dict[str, Any]:
    """Return what the templates of the gateway and of the tenants' datasources insert."""
    url = gateway_url(spec)
    return {
        "tenant_sources": _tenant_sources(spec),
        "all_tenants": "|".join(spec.tenant_names) if spec.tenants else None,
        "grafana_root_url": f"{url or _direct_url(spec)}/",
        "gateway_workers": math.ceil(spec.resources.gateway.cpus),
        "gateway_users": _users(spec),
        "may_push": bool(users_who(spec, "push")),
        "may_query": bool(users_who(spec, "query")),
        "push_body": f"{_BODY_FACTOR * _largest_burst_mb(spec)}m",
    }


def gateway_url(spec: StackSpec) -> str | None:
    """Return the address that clients reach the gateway at, or None without one."""
    if spec.gateway is None:
        return None
    scheme = "http" if spec.gateway.tls.mode == "off" else "https"
    name = spec.gateway.tls.names[0]
    host = f"[{name}]" if ":" in name else name
    return f"{scheme}://{host}:{spec.ports.gateway}"


def _direct_url(spec: StackSpec) -> str:
    address, port = spec.published["grafana"]
    # Everywhere is no place to go to; nobody but who wrote the spec knows the machine's name.
    name = "localhost" if address in ("0.0.0.0", "::") else address  # noqa: S104 - compared
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _users(spec: StackSpec) -> list[dict[str, str | None]]:
    users = spec.gateway.users if spec.gateway else ()
    # The backslash says that it is a name: `default` and `include` are words of nginx's own
    # (https://nginx.org/en/docs/http/ngx_http_map_module.html#map).
    return [{"key": f"\\{user.name}", "tenant": user.tenant} for user in users]


def _tenant_sources(spec: StackSpec) -> list[dict[str, str]]:
    loki = spec.grafana.datasources.loki
    return [
        {"tenant": name, "name": f"{loki.name} {name}", "uid": tenant_uid(loki.uid, name)}
        for name in (spec.tenant_names if spec.tenants else ())
    ]


def _largest_burst_mb(spec: StackSpec) -> int:
    """Return the most that Loki takes at once; a larger push is refused in any case."""
    own = [tenant.limits.ingestion_burst_size_mb or 0 for tenant in spec.tenants.values()]
    return max([spec.limits.ingestion_burst_size_mb, *own])
