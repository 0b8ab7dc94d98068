"""Programs that check one config: from PATH, else from the pinned image."""

from __future__ import annotations

import re
import shutil
import subprocess  # arguments are lists, never a shell line
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from loglane.errors import EnvironmentMissing
from loglane.stack import engine

_TIMEOUT_S = 120
_INSIDE = "/tmp/loglane-check"  # noqa: S108 - a path in a container that lives for the check


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
class Checker:
    """A program, the image that has it, and what it is called with.

    Attributes:
        check: How the check is shown.
        binary: Name of the program.
        image: The pinned image that has it.
        file: The config to check.
        arguments: What it is called with; `{file}` is the config, where the program sees it.
        with_folder: The program also reads files beside the config.
    """

    check: str
    binary: str
    image: str
    file: Path
    arguments: tuple[str, ...]
    with_folder: bool = False


def run_checker(checker: Checker) -> Verdict:
    """Run a program; one that is nowhere on this machine is no failure."""
    binary = shutil.which(checker.binary)
    if binary is not None:
        command = [binary, *_arguments(checker, str(checker.file))]
        return _verdict(checker.check, binary, *_call(command))
    missing = _missing(checker)
    if missing:
        return Verdict(checker.check, "not there", missing)
    source, inside = checker.file, f"{_INSIDE}{checker.file.suffix}"
    mount = f"{source}:{inside}:ro"
    if checker.with_folder:
        mount, inside = f"{source.parent}:{_INSIDE}:ro", f"{_INSIDE}/{source.name}"
    run = ["run", "--rm", "--network=none", "--volume", mount, "--entrypoint", checker.binary]
    code, said = engine.run_docker([*run, checker.image, *_arguments(checker, inside)])
    return _verdict(checker.check, checker.image, code, said)


def check_gateway(file: Path, image: str) -> Verdict:
    """Let nginx check the gateway's config, in its image: the secrets that it names are made there.

    A certificate that nobody keeps stands in for the real one, empty files for the passwords.
    """
    check = "nginx -t"
    missing = _missing(Checker(check, "nginx", image, file, ()))
    if missing:
        return Verdict(check, "not there", missing)
    script = " && ".join(
        (
            "cd /run/secrets",
            *(f"touch {name}" for name in named_secrets(file.read_text())),
            "openssl req -x509 -newkey ed25519 -nodes -subj /CN=check -keyout k -out c 2>/dev/null",
            # Whatever is a certificate or a key by its name.
            'for f in *.pem *.crt; do [ ! -e "$f" ] || cat c > "$f"; done',
            'for f in *.key; do [ ! -e "$f" ] || cat k > "$f"; done',
            "exec nginx -t -q -e stderr -c /etc/nginx/nginx.conf",
        )
    )
    run = ["run", "--rm", "--network=none", "--tmpfs=/tmp", "--tmpfs=/run/secrets"]
    mount = ["--volume", f"{file}:/etc/nginx/nginx.conf:ro", "--entrypoint", "sh"]
    code, said = engine.run_docker([*run, *mount, image, "-euc", script])
    return _verdict(check, image, code, said)


def named_secrets(config: str) -> list[str]:
    """List the files below /run/secrets that a config names, sorted."""
    return sorted(set(re.findall(r"/run/secrets/([\w.-]+)", config)))


def check_compose(file: Path) -> Verdict:
    """Let compose check its file."""
    check = "docker compose config"
    try:
        engine.compose_version()
    except EnvironmentMissing as error:
        return Verdict(check, "not there", str(error).splitlines()[0])
    code, said = engine.compose_config(file)
    return _verdict(check, "docker compose", code, said)


def _arguments(checker: Checker, file: str) -> Sequence[str]:
    return [argument.replace("{file}", file) for argument in checker.arguments]


def _missing(checker: Checker) -> str:
    try:
        client = engine.connect()
    except EnvironmentMissing:
        return f"no `{checker.binary}` on PATH and no Docker"
    if shutil.which("docker") is None:
        return f"no `{checker.binary}` and no `docker` on PATH"
    if not engine.has_image(client, checker.image):
        return f"`docker pull {checker.image}` brings it"
    return ""


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
