"""Which templates a stack needs, and what each of them becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath

from loglane.stack.spec import StackSpec

BUCKET_POLICY = "loki/bucket-lifecycle.json"
# Folders of components; the others' files are in every stack.
_COMPONENTS = ("alloy", "docker-proxy", "gateway", "prometheus", "promtail")
# Files that only some stacks have.
_WANTED: dict[str, Callable[[StackSpec], bool]] = {
    "grafana/dashboards/stack-health-metrics.json": lambda spec: spec.metrics,
    "grafana/dashboards/stack-health.json": lambda spec: not spec.metrics,
    "loki/overrides.yaml": lambda spec: bool(spec.tenants),
    BUCKET_POLICY: lambda spec: spec.storage.type == "s3",
}
# One dashboard from two templates: what Prometheus knows, or what the stack's own lines say.
_RENAMED = {
    "grafana/dashboards/stack-health-metrics.json": "grafana/dashboards/stack-health.json",
}
_DASHBOARDS = PurePosixPath("grafana/dashboards")


def select(names: Iterable[str], spec: StackSpec) -> Iterator[tuple[str, str]]:
    """Choose what a stack needs of all templates.

    Args:
        names: Paths of the templates, relative to their folder, without `.j2`.
        spec: The stack.

    Yields:
        The template's path and the path of what it becomes.
    """
    for name in names:
        path = PurePosixPath(name)
        output = _RENAMED.get(name, name)
        if path.parts[0] in _COMPONENTS and path.parts[0] not in spec.components:
            continue
        if not _WANTED.get(name, _always)(spec):
            continue
        if path.parent == _DASHBOARDS and PurePosixPath(output).stem not in spec.dashboards:
            continue
        yield name, output


def _always(_: StackSpec) -> bool:
    return True
