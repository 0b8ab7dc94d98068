"""Let the real programs check a rendered tree: each from PATH, or from its pinned image."""

from __future__ import annotations

import shutil
import subprocess  # arguments are lists, never a shell line
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from loglane.errors import EnvironmentMissing
from loglane.stack import engine
from loglane.stack.layout import RENDERED
from loglane.stack.output import write_tree
from loglane.stack.project import Project

_TIMEOUT_S = 120
_INSIDE = "/tmp/loglane-config.yaml"  # noqa: S108 - a path in a container that lives for the check


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one program said: `how` names the binary or image, or why there was none."""

    check: str
    outcome: Literal["passed", "failed", "not there"]
    how: str
    output: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Checker:
    binary: str
    image: str
    file: Path
    flags: tuple[str, ...]


def validate(project: Project) -> list[Verdict]:
    """Render to a temporary folder and run every checker that is on this machine.

    Returns:
        One verdict for each checker, in the order of the data flow.
    """
    with tempfile.TemporaryDirectory(prefix="loglane-") as folder:
        out = Path(folder)
        write_tree(project.render(), out)
        images = project.spec.images
        configs = out / RENDERED
        return [
            _run(
                _Checker(
                    "promtail",
                    images.promtail,
                    configs / "promtail/promtail.yaml",
                    ("-check-syntax",),
                )
            ),
            _run(_Checker("loki", images.loki, configs / "loki/loki.yaml", ("-verify-config",))),
            _compose(out / "docker-compose.yml"),
        ]


def _run(checker: _Checker) -> Verdict:
    check = " ".join((checker.binary, *checker.flags))
    binary = shutil.which(checker.binary)
    if binary is not None:
        code, said = _call([binary, f"-config.file={checker.file}", *checker.flags])
        return _verdict(check, binary, code, said)
    try:
        client = engine.connect()
    except EnvironmentMissing:
        return Verdict(check, "not there", f"no `{checker.binary}` on PATH and no Docker")
    if shutil.which("docker") is None:
        return Verdict(check, "not there", f"no `{checker.binary}` and no `docker` on PATH")
    if not engine.has_image(client, checker.image):
        return Verdict(check, "not there", f"`docker pull {checker.image}` brings it")
    mount = f"{checker.file}:{_INSIDE}:ro"
    run = ["run", "--rm", "--network=none", "--volume", mount, checker.image]
    code, said = engine.run_docker([*run, f"-config.file={_INSIDE}", *checker.flags])
    return _verdict(check, checker.image, code, said)


def _compose(file: Path) -> Verdict:
    check = "docker compose config"
    try:
        engine.compose_version()
    except EnvironmentMissing as error:
        return Verdict(check, "not there", str(error).splitlines()[0])
    code, said = engine.compose_config(file)
    return _verdict(check, "docker compose", code, said)


def _call(command: list[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, (done.stdout + done.stderr).strip()


def _verdict(check: str, how: str, code: int, said: str) -> Verdict:
    return Verdict(check, "passed" if code == 0 else "failed", how, said if code else "")
