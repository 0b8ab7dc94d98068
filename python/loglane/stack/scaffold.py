"""Start a project of one's own: a spec, its environments, and what they render to."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from loglane.errors import Problem, SpecError
from loglane.resources import packaged
from loglane.stack.kinds import EnvName, ProjectName
from loglane.stack.project import COMMITTED_ENV, open_project

ENVIRONMENTS = ("dev", "staging", "prod")
# Left as they are where a repository has its own.
_OPTIONAL = (".gitignore", "README.md")

_GITIGNORE = """\
# What other environments than dev render to.
build/
# Secrets never go into git.
stack/secrets/*
!stack/secrets/.gitignore
"""
_NEW_ENVIRONMENT = """\
# What differs from stack/stack.yaml here: maps merge, lists replace, null removes a key.
env: "{env}"

# A project of its own: its lines, dashboards and password are nobody else's.
project:
"""
_README = """\
# {name}: the log stack

One spec, [stack/stack.yaml](stack/stack.yaml), and an overlay for each environment in
`stack/environments/`. Everything else is rendered from them.

| what | how |
| --- | --- |
| start, and wait until it answers | `loglane up` |
| another environment | `loglane up --env {other}` |
| change a port, a limit, how long lines are kept | edit the spec, `loglane up` |
| is everything well? | `loglane doctor` |
| does every line arrive? | `loglane probe` |
| stop | `loglane down` |

A container joins by one label, `{label}`. The password of Grafana's user is in
`stack/secrets/grafana_admin_password`, which is made at the first start and never goes into git.

`docker-compose.yml` and `stack/rendered/` are rendered for dev and committed, so that
`docker compose up --detach` works without loglane; `loglane render --check` fails when they are not
what the spec says.
"""


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What was started: the project's folder, its name, and its files relative to the folder."""

    folder: Path
    name: str
    files: tuple[str, ...]


def start_project(
    folder: Path,
    name: str | None = None,
    environments: Sequence[str] = ENVIRONMENTS,
    own_templates: bool = False,
) -> Scaffold:
    """Write a project into a folder, all of it or nothing.

    Args:
        folder: Where to; made when missing. Other files may lie there.
        name: Name of the compose project; by default the folder's.
        environments: Its environments; dev is always one of them.
        own_templates: Copy the templates too, to change them; else the packaged ones are used.

    Raises:
        SpecError: A name is not one that Docker takes, or a file is there already.
    """
    name = _checked(ProjectName, name or _name_of(folder), "--name")
    checked = [_checked(EnvName, env, "--env") for env in environments]
    wanted = tuple(dict.fromkeys((COMMITTED_ENV, *checked)))
    with tempfile.TemporaryDirectory(prefix="loglane-") as made_in:
        made = Path(made_in)
        _write_sources(made, name, wanted, own_templates)
        project = open_project(COMMITTED_ENV, made / "stack" / "stack.yaml", made)
        project.write()
        label = project.spec.apps.label or ""
        others = [env for env in wanted if env != COMMITTED_ENV] or [COMMITTED_ENV]
        (made / "README.md").write_text(_README.format(name=name, label=label, other=others[-1]))
        kept = [path for path in _OPTIONAL if (folder / path).exists()]
        files = [path for path in _files_below(made) if path not in kept]
        _require_absent(folder, files)
        _copy(made, folder, files)
    return Scaffold(folder, name, tuple(files))


def _files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _copy(source: Path, target: Path, files: Iterable[str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in files:
        parent = (target / path).parent
        if not parent.is_dir():
            parent.mkdir(parents=True)
            shutil.copymode((source / path).parent, parent)
        shutil.copy2(source / path, target / path)


def _write_sources(made: Path, name: str, environments: Iterable[str], own_templates: bool) -> None:
    source = packaged("stack")
    overlays = made / "stack" / "environments"
    overlays.mkdir(parents=True)
    spec = (source / "stack.yaml").read_text()
    (made / "stack" / "stack.yaml").write_text(_renamed(spec, name))
    for env in environments:
        project = name if env == COMMITTED_ENV else f"{name}-{env}"
        given = source / "environments" / f"{env}.yaml"
        text = given.read_text() if given.is_file() else _NEW_ENVIRONMENT.format(env=env)
        (overlays / f"{env}.yaml").write_text(_renamed(text, project))
    (made / ".gitignore").write_text(_GITIGNORE)
    if own_templates:
        shutil.copytree(packaged("templates"), made / "templates")


def _renamed(text: str, project: str) -> str:
    return re.sub(r"^project:.*$", f'project: "{project}"', text, flags=re.MULTILINE)


def _name_of(folder: Path) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", folder.absolute().name.lower()).strip("-_")


def _checked(kind: Any, value: str, option: str) -> str:
    try:
        checked: str = TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        message = str(error.errors()[0]["ctx"]["error"])
        raise SpecError([Problem(f"{value!r} is {message}", option)]) from None
    return checked


def _require_absent(folder: Path, files: Iterable[str]) -> None:
    there = [path for path in files if (folder / path).exists()]
    if there:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        message = f"is there already{more}; nothing is overwritten, choose another folder"
        raise SpecError([Problem(message, str(folder / there[-1]))])
