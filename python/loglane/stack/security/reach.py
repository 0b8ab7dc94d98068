"""Checks of what can be reached: ports, Docker's socket, folders of the host, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any

from loglane.stack.layout import SECRETS
from loglane.stack.render import COMPOSE
from loglane.stack.security.check import Check
from loglane.stack.security.rendered import COLLECTORS, DOCKER_PROXY, GATEWAY, Rendered

LOOPBACK = "127.0.0.1"
_SECRET_WORD = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|secret|token|api_?key|access_key(?:_id)?|private_key"
    r"|credentials|authorization)$"
)
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# A setting of a config that is neither YAML nor JSON, as in `password = "x"`.
_ASSIGNED = re.compile(r"^\s*([A-Za-z_]+)\s*[=:]?\s+[\"']?([^\s\"'#;]+)", re.MULTILINE)
_IN_URL = re.compile(r"[a-z]+://[^/\s:@\"']+:[^/\s@\"']+@")


def _ports(rendered: Rendered) -> Iterator[str]:
    inner = LOOPBACK if GATEWAY in rendered.services else rendered.bind_address
    for name, service in rendered.services.items():
        expected = rendered.bind_address if name == GATEWAY else inner
        for port in service.get("ports", ()):
            address = _address(port)
            if name == DOCKER_PROXY:
                yield f"{name}: is published on {address}; the collector alone may reach it"
            elif address not in (LOOPBACK, expected):
                yield f"{name}: published on {address or 'every address'}, not on {expected}"


def _address(port: Any) -> str:
    if isinstance(port, dict):
        return str(port.get("host_ip", ""))
    host, _, _ = str(port).rpartition(":")
    address, colon, _ = host.rpartition(":")
    return address.strip("[]") if colon else ""


def _docker_socket(rendered: Rendered) -> Iterator[str]:
    proxied = DOCKER_PROXY in rendered.services
    allowed = (DOCKER_PROXY,) if proxied else COLLECTORS
    for name in rendered.services:
        for source, target, read_only in rendered.mounts(name):
            if not _brings_socket(source, target):
                continue
            if name not in allowed:
                yield f"{name}: has {source}"
            elif not read_only:
                yield f"{name}: {source} is not read-only"


def _brings_socket(source: str, target: str) -> bool:
    # /var/run is a link to /run.
    folders = ("/", "/run", "/var/run")
    return source.endswith(".sock") or target.endswith(".sock") or normpath(source) in folders


def _host_folders(rendered: Rendered) -> Iterator[str]:
    for name in rendered.services:
        for source, _, read_only in rendered.mounts(name):
            of_host = source.startswith((".", "/", "~")) and not source.endswith(".sock")
            writes_secrets = name == "secrets" and source == f"./{SECRETS}"
            if of_host and not read_only and not writes_secrets:
                yield f"{name}: may write to {source}"
            if name != "secrets" and of_host and _near(normpath(source), str(SECRETS)):
                yield f"{name}: sees secrets in {source}"
            owner = source.removesuffix("-secrets")
            if source != owner and name not in ("secrets", owner):
                yield f"{name}: sees the secrets of {owner}"
    for name, volume in (rendered.files[COMPOSE].get("volumes") or {}).items():
        if volume:
            yield f"volume {name}: may be a folder of the host, or another project's"


def _near(path: str, folder: str) -> bool:
    """Tell whether a path is a folder, in it, or above it."""
    one, other = PurePosixPath(path), PurePosixPath(folder)
    return one.is_relative_to(other) or other.is_relative_to(one)


def _no_secrets(rendered: Rendered) -> Iterator[str]:
    for path, text in rendered.texts.items():
        if _IN_URL.search(text):
            yield f"{path}: an address with a password in it"
        if path in rendered.files:
            for key in _given_secrets(rendered.files[path]):
                yield f"{path}: {key} has its value here; name a file"
        else:
            for key, value in _ASSIGNED.findall(text):
                if _is_secret(key, value):
                    yield f"{path}: {key} has its value here; name a file"
    for name in rendered.services:
        # A map is seen above; a list of NAME=value is not.
        if isinstance(rendered.services[name].get("environment"), list):
            for key, value in rendered.environment(name).items():
                if _is_secret(key, value):
                    yield f"{COMPOSE}: {name}: {key} has its value here; use {key}__FILE"


def _given_secrets(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _given_secrets(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from _given_secrets(item, key)
    elif _is_secret(key, value):
        yield key


def _is_secret(key: str, value: Any) -> bool:
    name = _CAPITAL.sub("_", key).lower().replace("-", "_")
    if not isinstance(value, str | int) or isinstance(value, bool):
        return False
    text = str(value)
    # A path of a file, or a place that the server fills from one.
    elsewhere = PurePosixPath(text).is_absolute() or text.lstrip("$").startswith(("{", "__file{"))
    return bool(_SECRET_WORD.search(name)) and bool(text) and not elsewhere


REACH_CHECKS = (
    Check("published ports", "nothing listens where nobody meant it to", _ports),
    Check("Docker's socket", "who opens it owns the machine", _docker_socket),
    Check("folders of the host", "read-only; secrets in one place", _host_folders),
    Check("no secret values", "what is rendered is committed and read", _no_secrets),
)
