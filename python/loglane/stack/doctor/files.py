"""The files: what is rendered, and the secrets."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from loglane.stack import secretfolder
from loglane.stack.doctor.finding import Finding, Level
from loglane.stack.doctor.subject import listed
from loglane.stack.output import diff_tree
from loglane.stack.project import Project
from loglane.stack.secretfolder import SecretFolder


def rendered_findings(project: Project) -> Iterator[Finding]:
    """Say whether the rendered files are what the spec says."""
    command = f"loglane render --env {project.spec.env}"
    if not project.compose_file.is_file():
        yield Finding("files", "problem", f"nothing is rendered in {project.out}", command)
        return
    tree = project.render()
    diff = diff_tree(tree, project.out)
    if not diff:
        yield Finding("files", "ok", f"{len(tree)} rendered files are what the spec says")
        return
    changed = sorted({line.split()[1] for line in diff.splitlines() if line.startswith("--- ")})
    what = f"not what the spec says (`render --check` shows how): {listed(changed, 3)}"
    yield Finding("files", "problem", what, command)


def secret_findings(project: Project) -> Iterator[Finding]:
    """Say which secrets are missing, which others can read, and which must not be used."""
    folder = project.secrets
    kept = SecretFolder(project.spec, folder)
    there = sorted(path for path in folder.glob("[!.]*")) if folder.is_dir() else []
    found = [finding for path in (folder, *there) if path.exists() for finding in _open(path)]
    looked = kept.look()
    found += [finding for item in looked for finding in _unusable(item, project.spec.env)]
    yield from found
    if not found:
        yield Finding("secrets", "ok", f"{len(looked)} in {folder}, readable by their owner only")


def _open(path: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        right = "700" if path.is_dir() else "600"
        what = f"{path} is of mode {mode:o}: others on this machine can read it"
        yield Finding("secrets", "problem", what, f"chmod {right} {path}")


def _unusable(item: secretfolder.Finding, env: str) -> Iterator[Finding]:
    secret, given = item.secret, item.secret.origin == "given"
    if item.outcome == "missing":
        # What can be made is made at the next start.
        level: Level = "problem" if given else "warning"
        command = f"set {secret.name}" if given else "init"
        yield Finding(
            "secrets", level, f"{secret.name} is missing", f"loglane secrets {command} --env {env}"
        )
    elif item.outcome == "weak":
        command = f"{'set' if given else 'rotate'} {secret.name}"
        what = f"{secret.name}: {item.detail}"
        yield Finding("secrets", "problem", what, f"loglane secrets {command} --env {env}")
