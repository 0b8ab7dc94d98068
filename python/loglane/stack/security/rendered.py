"""A rendered tree as the checks see it: compose's services and the parsed configs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from loglane.errors import CheckFailed
from loglane.stack.layout import RENDERED
from loglane.stack.render import COMPOSE, Tree

Service = Mapping[str, Any]
GATEWAY = "gateway"
# What may open Docker's socket: a collector, or the proxy that stands before it.
COLLECTORS = ("promtail", "alloy")
DOCKER_PROXY = "docker-proxy"


@dataclass(frozen=True, slots=True)
class Rendered:
    """The parsed tree. `files` has what is YAML or JSON, `texts` everything, by path."""

    bind_address: str
    services: Mapping[str, Service]
    files: Mapping[str, Any]
    texts: Tree

    @classmethod
    def parse(cls, tree: Tree, bind_address: str) -> Rendered:
        """Parse every file that is YAML or JSON.

        Raises:
            CheckFailed: One is neither, which is a template's fault.
        """
        files = {
            path: _parsed(path, text)
            for path, text in tree.items()
            if PurePosixPath(path).suffix in (".json", ".yaml", ".yml")
        }
        return cls(bind_address, files[COMPOSE]["services"], files, tree)

    @property
    def loki(self) -> Mapping[str, Any]:
        """Loki's config."""
        found: Mapping[str, Any] = self.files[str(RENDERED / "loki/loki.yaml")]
        return found

    @property
    def one_shots(self) -> set[str]:
        """Services that run once and end, known by what waits for their end."""
        return {
            name
            for service in self.services.values()
            for name, how in _dependencies(service).items()
            if how.get("condition") == "service_completed_successfully"
        }

    def lasting(self) -> Iterator[tuple[str, Service]]:
        """Yield the services that stay up."""
        once = self.one_shots
        return ((name, item) for name, item in self.services.items() if name not in once)

    def dependencies(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """Return what a service waits for, and how."""
        return _dependencies(self.services[name])

    def environment(self, name: str) -> Mapping[str, str]:
        """Return a service's environment as a map, however it is written."""
        given = self.services.get(name, {}).get("environment", {})
        if isinstance(given, list):
            return {key: value for key, _, value in (item.partition("=") for item in given)}
        return {key: str(value) for key, value in given.items()}

    def mounts(self, name: str) -> Iterator[tuple[str, str, bool]]:
        """Yield source, target and whether it is read-only, of a service's mounts."""
        for volume in self.services[name].get("volumes", ()):
            if isinstance(volume, str):
                source, _, rest = volume.partition(":")
                target, _, mode = rest.partition(":")
                yield source, target, "ro" in mode.split(",")
            else:
                source = str(volume.get("source", ""))
                yield source, volume["target"], bool(volume.get("read_only"))


def _parsed(path: str, text: str) -> Any:
    try:
        if path.endswith(".json"):
            return json.loads(text)
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    except (ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise CheckFailed(f"{path} cannot be parsed; mend its template: {said}") from error


def _dependencies(service: Service) -> Mapping[str, Mapping[str, Any]]:
    given = service.get("depends_on", {})
    if isinstance(given, list):
        return {name: {"condition": "service_started"} for name in given}
    found: Mapping[str, Mapping[str, Any]] = given
    return found
