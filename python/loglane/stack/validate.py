"""Let the real programs check a rendered tree, and check that it is still secure."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loglane.stack.checkers import Checker, Verdict, check_compose, check_gateway, run_checker
from loglane.stack.layout import RENDERED
from loglane.stack.output import write_tree
from loglane.stack.project import Project
from loglane.stack.render import COMPOSE, Tree
from loglane.stack.security import SecurityVerdict, check_security
from loglane.stack.spec import StackSpec

__all__ = ["Report", "Verdict", "validate"]


@dataclass(frozen=True, slots=True)
class Report:
    """What the programs said, and what the security checks found."""

    programs: Sequence[Verdict]
    security: Sequence[SecurityVerdict]

    @property
    def failures(self) -> list[str]:
        """Say what failed, one text for each."""
        said = [f"{v.check}:\n{v.output}" for v in self.programs if v.outcome == "failed"]
        return said + [f"{v.name}: {'; '.join(v.problems)}" for v in self.security if not v.passed]


def validate(project: Project) -> Report:
    """Render to a temporary folder and run every check that this machine can run.

    Returns:
        One verdict for each program, in the order of the data flow, and for each security check.

    Raises:
        CheckFailed: A rendered file is no YAML or JSON, so nothing else can be said.
    """
    tree = project.render()
    security = check_security(tree, project.spec.bind_address)
    with tempfile.TemporaryDirectory(prefix="loglane-") as folder:
        out = Path(folder)
        write_tree(tree, out)
        # Containers that check run as other users.
        out.chmod(0o755)
        programs = [
            *(run_checker(checker) for checker in _checkers(project.spec, tree, out)),
            *_gateway(project.spec, out),
            check_compose(out / COMPOSE),
        ]
    return Report(programs, security)


def _checkers(spec: StackSpec, tree: Tree, out: Path) -> Iterator[Checker]:
    images, configs = spec.images, out / RENDERED
    for path in tree:
        if path.endswith(".alloy"):
            yield Checker(
                "alloy validate", "alloy", images.alloy, out / path, ("validate", "{file}")
            )
    if spec.collector == "promtail":
        yield Checker(
            "promtail -check-syntax",
            "promtail",
            images.promtail,
            configs / "promtail/promtail.yaml",
            ("-config.file={file}", "-check-syntax"),
        )
    flags = ("-config.file={file}", "-verify-config")
    loki = configs / "loki/loki.yaml"
    yield Checker("loki -verify-config", "loki", images.loki, loki, flags)
    for name in _tenants_as_limits(loki):
        yield Checker("loki -verify-config, tenants", "loki", images.loki, name, flags)
    for path in tree:
        if path.startswith(f"{RENDERED}/prometheus/") and path.endswith((".yml", ".yaml")):
            yield Checker(
                "promtool check config",
                "promtool",
                images.prometheus,
                out / path,
                ("check", "config", "{file}"),
                with_folder=True,
            )


def _gateway(spec: StackSpec, out: Path) -> Iterator[Verdict]:
    file = out / RENDERED / "gateway/nginx.conf"
    if file.is_file():
        yield check_gateway(file, spec.images.nginx)


def _tenants_as_limits(loki: Path) -> Iterator[Path]:
    """Write the tenants' overrides as if they were everybody's limits, all at once.

    Loki reads its overrides when it runs, so -verify-config says nothing about them.
    """
    file = loki.parent / "overrides.yaml"
    if not file.is_file():
        return
    config: dict[str, Any] = yaml.safe_load(loki.read_text())
    overrides: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text())["overrides"]
    rules = [rule for keys in overrides.values() for rule in keys.get("retention_stream", ())]
    for keys in overrides.values():
        config["limits_config"] |= keys
    if rules:
        config["limits_config"]["retention_stream"] = rules
    as_limits = loki.parent / "tenants.yaml"
    as_limits.write_text(yaml.safe_dump(config))
    yield as_limits
