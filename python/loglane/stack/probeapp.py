"""The container of the load probe: a small shell script that writes numbered JSON lines."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import LogConfig

from loglane.errors import EnvironmentMissing, ServiceUnavailable
from loglane.stack import engine
from loglane.stack.probe import PROBE_SERVICE
from loglane.stack.sandbox import HARDENED, shell_image
from loglane.stack.spec import StackSpec
from loglane.stack.spec.collecting import Service

# Twenty pauses a second: even enough, and few enough processes.
_PAUSES_A_SECOND = 20
# mawk and busybox's awk, sh and sleep are in every image that is tried, on Debian as on Alpine.
# A container that is started again is another life of the same run. Each life writes a first line
# without a number and waits for a signal: latencies shall not hold the time that the collector
# takes to find a container.
_SCRIPT = r"""
life=$(cut -c1-8 /proc/sys/kernel/random/uuid)
go=
trap 'go=yes' USR1
printf '%s"life":"%s"}\n' "$HEAD" "$life"
until [ "$go" = yes ]; do sleep 0.1; done
awk -v life="$life" -v n="$LINES" -v batch="$BATCH" -v pause="sleep $PAUSE" -v head="$HEAD" 'BEGIN {
  for (i = 0; i < n; i++) {
    printf "%s\"life\":\"%s\",\"seq\":%d}\n", head, life, i
    if ((i + 1) % batch == 0) { fflush(); system(pause) }
  }
  fflush()
}'
exec sleep "$LINGER"
"""
# Somebody else's user: the script needs nothing of the image but its shell.
_NOBODY = "65534:65534"


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent, and how.

    Attributes:
        lines: How many.
        rate: At most so many a second.
        timeout_s: How long the last ones are waited for, in seconds after the writing.
        max_size: Size of one of Docker's log files; small ones are rotated while it runs.
        max_file: How many of them Docker keeps.
        restarted: Somebody restarts the container, so Docker's log says what was written.
    """

    lines: int = 10_000
    rate: int = 1000
    timeout_s: float = 120.0
    max_size: str = "50m"
    max_file: int = 3
    restarted: bool = False


class ProbeApp:
    """One run's container: collected like any app, hardened, and gone afterwards."""

    def __init__(self, client: docker.DockerClient, spec: StackSpec, run: str, load: Load) -> None:
        self.run = run
        self.load = load
        self._client = client
        self._spec = spec
        self._container: Container | None = None

    @property
    def writing_s(self) -> float:
        """How long the writing takes at least, in seconds."""
        return self.load.lines / self.load.rate

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the container while the block runs; it is removed however the block ends.

        Raises:
            EnvironmentMissing: No image of the stack that has a shell is on the machine.
            ServiceUnavailable: Docker refuses the container.
        """
        try:
            self._container = self._client.containers.run(**self._definition())
        except APIError as error:
            raise ServiceUnavailable(self._refused(error)) from error
        try:
            yield
        finally:
            # It is removed by itself when its script ends; so nobody has to be left to do it.
            with contextlib.suppress(NotFound, APIError):
                self._container.remove(force=True)

    def begin(self) -> None:
        """Let the container write: its first line has been seen, so it is being collected."""
        if self._container is not None:
            self._container.kill(signal="USR1")

    def require_alive(self) -> None:
        """See that the container runs.

        Raises:
            ServiceUnavailable: It has ended; the message has what it said last.
        """
        if self._container is None:
            return
        try:
            self._container.reload()
        except NotFound:
            raise ServiceUnavailable("the probe's container was removed while it ran") from None
        # One that is being restarted has ended for a moment.
        if self._container.status == "exited" and not self.load.restarted:
            said = engine.last_lines(self._client, self._container.name or "", 3)
            raise ServiceUnavailable(f"the probe's container ended. It said last:\n{said}")

    def written(self) -> int:
        """Return how many lines there are to find."""
        if not self.load.restarted or self._container is None:
            return self.load.lines
        raw: bytes = self._container.logs()
        return sum(b'"seq":' in line for line in raw.splitlines())

    def _definition(self) -> dict[str, Any]:
        rate = self.load.rate
        batch = max(1, rate // _PAUSES_A_SECOND)
        head = {
            "level": "debug", "message": "a line of loglane probe", "service": PROBE_SERVICE,
            "run": self.run,
        }  # fmt: skip
        environment = {
            "LINES": str(self.load.lines),
            "BATCH": str(batch),
            "PAUSE": f"{batch / rate:.4f}",
            "HEAD": json.dumps(head, separators=(",", ":")).removesuffix("}") + ",",
            # Should nobody be left to remove it, it ends by itself.
            "LINGER": str(int(self.writing_s * 3 + self.load.timeout_s + 60)),
        }
        options = {"max-size": self.load.max_size, "max-file": str(self.load.max_file)}
        return {
            "image": shell_image(self._client, self._spec),
            "name": container_name(self._spec),
            "entrypoint": ["/bin/sh", "-euc", _SCRIPT],
            "command": [],
            "environment": environment,
            "labels": app_labels(self._spec),
            "user": _NOBODY,
            "log_config": LogConfig(type="json-file", config=options),
            # Docker would not start one again that it is about to remove.
            "auto_remove": not self.load.restarted,
            "detach": True,
            **HARDENED,
        }

    def _refused(self, error: APIError) -> str:
        name = container_name(self._spec)
        if error.status_code == 409:
            return (
                f"container {name} is there already: another probe runs, or one was cut off. "
                f"Wait for it, or `docker rm --force {name}`"
            )
        return f"Docker refuses the probe's container: {error.explanation or error}"


def container_name(spec: StackSpec) -> str:
    """Return the name of the probe's container: always the same, so that it opens one stream."""
    return f"{spec.project}-{PROBE_SERVICE}"


def app_labels(spec: StackSpec) -> dict[str, str]:
    """Return the labels that make the stack collect a container as one of loglane's apps.

    Raises:
        EnvironmentMissing: Only foreign formats are collected, so no line of ours can pass.
    """
    if spec.apps.label is not None:
        name, _, value = spec.apps.label.partition("=")
        return {name: value}
    for service in spec.apps.services:
        if spec.services.get(service, Service()).format == "loglane":
            return {"com.docker.compose.service": service}
    raise EnvironmentMissing(
        "every service under apps.services has a foreign format, so the probe cannot pass for one; "
        f"name {PROBE_SERVICE} there too"
    )
