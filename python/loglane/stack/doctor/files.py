"""The files: what is rendered, and the secrets."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from loglane.stack.doctor.finding import Finding
from loglane.stack.doctor.subject import listed
from loglane.stack.layout import SECRETS
from loglane.stack.output import diff_tree
from loglane.stack.project import Project

# A generated secret has 24 random bytes; what somebody chose should not be guessed either.
_MIN_SECRET_LENGTH = 12


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
    """Say which secrets others can read, and which could be guessed."""
    folder = project.out / SECRETS
    if not folder.is_dir():
        what = f"{folder} is not there; secrets are made at the first start"
        yield Finding("secrets", "warning", what, f"loglane up --env {project.spec.env}")
        return
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    found = [finding for path in (folder, *files) for finding in _open_to_others(path)]
    found += [finding for path in files for finding in _weak(path)]
    yield from found
    if not found:
        yield Finding("secrets", "ok", f"{len(files)} in {folder}, readable by their owner only")


def _open_to_others(path: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        right = "700" if path.is_dir() else "600"
        what = f"{path} is of mode {mode:o}: others on this machine can read it"
        yield Finding("secrets", "problem", what, f"chmod {right} {path}")


def _weak(path: Path) -> Iterator[Finding]:
    try:
        secret = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return
    if len(secret) < _MIN_SECRET_LENGTH or len(set(secret)) < 5:
        what = f"{path} can be guessed: {len(secret)} characters"
        yield Finding("secrets", "problem", what, f"loglane secrets rotate {path.name}")
