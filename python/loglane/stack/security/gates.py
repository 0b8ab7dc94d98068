"""Checks of the gates: the gateway before Loki and Grafana, the proxy before Docker's socket."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loglane.stack.layout import RENDERED
from loglane.stack.security.check import Check
from loglane.stack.security.rendered import DOCKER_PROXY, GATEWAY, Rendered

_LOCATION = re.compile(r"^( *)location (.+?) \{\n(.*?)^\1\}", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)
_TENANT_HEADER = re.compile(r"proxy_set_header X-Scope-OrgID (\S+);")
# What each of these needs, and what is lost without it.
_OF_GATEWAY = {
    'map $remote_user $tenant {\n    default "";\n': "who is no user has a tenant",
    "if ($has_dots) {\n      return 400;": "paths with dots reach Grafana, and by it all of Loki",
    "underscores_in_headers off;": "X_Scope_OrgID reaches Loki",
}
_CLOSED = {"loki|otlp": "return 404;", "/api/datasources/(proxy": "return 403;"}
_PASSES = re.compile(r'^ *"?(~\*?\S*) [^\n]*1;$', re.MULTILINE)
_READS = ("~^(GET|HEAD)", "~^GET")


def _gateway(rendered: Rendered) -> Iterator[str]:
    text = _config(rendered, GATEWAY)
    if text is None:
        return
    for part, lost in _OF_GATEWAY.items():
        if part not in text:
            yield f"{GATEWAY}: without {part.split(chr(10))[0]!r} {lost}"
    locations = {name: body for _, name, body in _LOCATION.findall(text)}
    for name, body in locations.items():
        inner = name.startswith("@")
        if not inner and re.search(r"@loki|@tail|//loki", body):
            yield from _asks_for_a_password(name, body)
        if inner and "//loki" in body and _TENANT_HEADER.findall(body) != ["$tenant"]:
            yield f"{GATEWAY}: {name}: X-Scope-OrgID is not the user's tenant alone"
        if inner and "$grafana" in body and _TENANT_HEADER.findall(body) != ['""']:
            yield f"{GATEWAY}: {name}: a client's X-Scope-OrgID reaches Grafana"
    for part, answer in _CLOSED.items():
        if not any(part in name and answer in body for name, body in locations.items()):
            yield f"{GATEWAY}: no location closes {part} with {answer!r}"


def _asks_for_a_password(name: str, body: str) -> Iterator[str]:
    wanted = {
        "auth_basic": r"auth_basic (?!off;)",
        "auth_basic_user_file": r"auth_basic_user_file /run/secrets/",
        "limit_except": r"limit_except [A-Z ]+ \{ deny all; \}",
    }
    for directive, pattern in wanted.items():
        if re.search(pattern, body) is None:
            yield f"{GATEWAY}: {name} leads to Loki without {directive}"


def _docker_proxy(rendered: Rendered) -> Iterator[str]:
    text = _config(rendered, DOCKER_PROXY)
    if text is None:
        return
    if "$passed {\n    default 0;\n" not in text:
        yield f"{DOCKER_PROXY}: what is not named passes"
    if "if ($passed = 0) {\n      return 403;" not in text:
        yield f"{DOCKER_PROXY}: what does not pass is not refused"
    for pattern in _PASSES.findall(text):
        if not pattern.startswith(_READS):
            yield f"{DOCKER_PROXY}: {pattern} passes more than reading"


def _config(rendered: Rendered, service: str) -> str | None:
    text = rendered.texts.get(str(RENDERED / service / "nginx.conf"))
    return None if text is None else _COMMENT.sub("", text)


GATE_CHECKS = (
    Check("gateway: users", "each is asked for a password, and is its own tenant", _gateway),
    Check("Docker's proxy", "reading of containers and nothing else", _docker_proxy),
)
