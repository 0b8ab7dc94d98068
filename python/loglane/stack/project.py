"""Where a project's files are: its spec, its templates, its rendered output."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from loglane.errors import EnvironmentMissing
from loglane.resources import packaged
from loglane.stack.layout import SECRETS
from loglane.stack.loading import load_spec
from loglane.stack.output import Changes, write_tree
from loglane.stack.render import Tree, render
from loglane.stack.secretfiles import make_folder
from loglane.stack.spec import StackSpec

DEFAULT_SPEC = Path("stack/stack.yaml")
# The environment whose rendered files are committed at the top of a project.
COMMITTED_ENV = "dev"


@dataclass(frozen=True, slots=True)
class Project:
    """One environment of one spec, loaded: what every command begins with."""

    spec: StackSpec
    templates: Path
    out: Path

    @property
    def compose_file(self) -> Path:
        """The rendered compose file."""
        return self.out / "docker-compose.yml"

    @property
    def secrets(self) -> Path:
        """The folder of this environment's secrets."""
        return self.out / SECRETS

    def render(self) -> Tree:
        """Render the files of this environment; nothing is written."""
        return render(self.spec, self.templates)

    def require_rendered(self) -> None:
        """See that this environment has been rendered.

        Raises:
            EnvironmentMissing: It has not; the message names the command that does it.
        """
        if not self.compose_file.is_file():
            env = self.spec.env
            raise EnvironmentMissing(
                f"nothing is rendered in {self.out} yet; `loglane render --env {env}` does it"
            )

    def write(self) -> Changes:
        """Render and write the files, and make the folder that the secrets go to.

        Compose would make that folder too, but as root's.
        """
        changes = write_tree(self.render(), self.out)
        make_folder(self.secrets)
        return changes


def open_project(env: str, spec_file: Path = DEFAULT_SPEC, out: Path | None = None) -> Project:
    """Load a project.

    Args:
        env: Name of the environment.
        spec_file: The spec; `templates/` beside its folder is used when it is there.
        out: Output folder; by default the project's top for dev, else `build/<env>` there.

    Raises:
        SpecError: The spec is wrong.
    """
    spec = load_spec(spec_file, env)
    # As people would type it, also when the spec was named from inside its folder.
    top = Path(os.path.relpath(spec_file.absolute().parent.parent))
    if out is None:
        out = top if env == COMMITTED_ENV else top / "build" / env
    return Project(spec, _templates(top), out)


def _templates(top: Path) -> Path:
    own = top / "templates"
    return own if (own / "docker-compose.yml.j2").is_file() else packaged("templates")
