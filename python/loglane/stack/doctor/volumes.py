"""The volumes: whose they are, how full, and what the disk has left. As the engine sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loglane.stack.doctor.finding import Finding
from loglane.stack.doctor.subject import Subject, size
from loglane.stack.sandbox import run_script, shell_image
from loglane.stack.values import size_bytes

# Users of the images; another owner and the component cannot write.
_OWNERS = {
    "loki-data": "10001", "grafana-data": "472", "prometheus-data": "65534", "mariadb-data": "999",
}  # fmt: skip
# Loki's ingester stops taking lines when the disk is this full (loki: ingester.wal,
# disk_full_threshold).
_FULL = 0.9
_NEARLY_FULL = 0.8
# For each volume: its name, owner, mode and kilobytes; then those of its disk, all and free.
_SCRIPT = r"""
for path in /volumes/*; do
  set -- $(stat -c '%u %a' "$path") $(du -sk "$path" | cut -f1) $(df -Pk "$path" | tail -n 1)
  echo "${path##*/} $1 $2 $3 $(($6 + $7)) $7"
done
"""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume as the engine has it; sizes in bytes."""

    name: str
    owner: str
    mode: str
    used: int
    disk: int
    free: int


def volume_findings(subject: Subject) -> Iterator[Finding]:
    """Say whose the volumes are, and how full."""
    volumes = read_volumes(subject)
    if not volumes:
        yield Finding("volumes", "warning", "there are none yet", subject.up)
        return
    wrong = list(_owner_findings(subject, volumes))
    yield from wrong
    if not wrong:
        owners = ", ".join(f"{volume.name} of {volume.owner}" for volume in volumes)
        yield Finding("volumes", "ok", f"owned as their users need: {owners}")
    lines = next((volume for volume in volumes if volume.name == "loki-data"), None)
    if lines is not None:
        yield from _budget_findings(subject, lines)
    yield _disk_finding(lines or volumes[0])


def read_volumes(subject: Subject) -> list[Volume]:
    """Look into the volumes of a project with a container of an image that is there.

    Raises:
        EnvironmentMissing: No such image has a shell.
    """
    prefix = f"{subject.spec.project}_"
    label = f"com.docker.compose.project={subject.spec.project}"
    names = [volume.name for volume in subject.client.volumes.list(filters={"label": label})]
    if not names:
        return []
    binds = {
        name: {"bind": f"/volumes/{name.removeprefix(prefix)}", "mode": "ro"} for name in names
    }
    said = run_script(
        subject.client,
        shell_image(subject.client, subject.spec),
        _SCRIPT,
        user="0:0",
        # To look into folders of other users, and nothing more.
        cap_add=["DAC_READ_SEARCH"],
        volumes=binds,
    )
    found = [line.split() for line in said.splitlines()]
    return [
        Volume(name, owner, mode, *(int(number) * 1024 for number in numbers))
        for name, owner, mode, *numbers in found
    ]


def _owner_findings(subject: Subject, volumes: list[Volume]) -> Iterator[Finding]:
    for volume in volumes:
        wanted = _OWNERS.get(volume.name)
        others_may_write = int(volume.mode[-1]) & 2
        # Docker gives a volume its owner when a container mounts it for the first time.
        component = volume.name.removesuffix("-data")
        used = any(c.service == component and c.state != "created" for c in subject.containers)
        if not used or wanted is None or volume.owner == wanted or others_may_write:
            continue
        what = f"{volume.name} belongs to user {volume.owner}, its component is user {wanted}"
        mend = (
            f"docker run --rm --user 0 --entrypoint chown "
            f"--volume {subject.spec.project}_{volume.name}:/v "
            f"{shell_image(subject.client, subject.spec)} -R {wanted} /v"
        )
        yield Finding("volumes", "problem", what, mend)


def _budget_findings(subject: Subject, lines: Volume) -> Iterator[Finding]:
    if subject.spec.disk_budget is None or subject.spec.storage.type != "filesystem":
        return
    budget = size_bytes(subject.spec.disk_budget)
    what = f"Loki's volume holds {size(lines.used)} of disk_budget, {size(budget)}"
    share = lines.used / budget
    mend = "retention or disk_budget in stack/stack.yaml, then " + subject.up
    if share < _NEARLY_FULL:
        yield Finding("disk", "ok", what)
    else:
        yield Finding("disk", "problem" if share >= 1 else "warning", what, mend)
    if budget - lines.used > lines.free:
        what = f"disk_budget leaves {size(budget - lines.used)}, the disk {size(lines.free)}"
        yield Finding("disk", "warning", what, "disk_budget in stack/stack.yaml, or a larger disk")


def _disk_finding(volume: Volume) -> Finding:
    full = 1 - volume.free / volume.disk
    what = f"Docker's disk has {size(volume.free)} of {size(volume.disk)} free"
    if full < _NEARLY_FULL:
        return Finding("disk", "ok", what)
    what += f"; Loki takes nothing when {1 - _FULL:.0%} are left"
    return Finding("disk", "problem" if full >= _FULL else "warning", what, "docker system df")
