"""Tell whether this process runs in a container, and by what sign.

The signs are those that the runtimes leave: marker files, environment variables, the path of the
control group, and the mounts of the root and of `/etc/hostname`. A host that runs containers has
some of them elsewhere (an overlay below `/var/lib/docker`, a `docker.service`), which do not count.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

_MARKER_FILES = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")
# What runtimes set `container` to for their first process (systemd: src/basic/virt.c and
# https://systemd.io/CONTAINER_INTERFACE). Flatpak and WSL set it too, and are somebody's desktop.
_RUNTIMES = frozenset(
    {"containerd", "crio", "docker", "garden", "lxc", "lxc-libvirt", "oci", "openvz", "podman",
     "pouch", "rkt", "systemd-nspawn"}
)  # fmt: skip
_MAX_BYTES = 1024 * 1024

# Whole path segments: `/system.slice/docker.service` is where a host's own daemon runs.
_ID = r"[0-9a-f]{12,64}"
_CGROUPS = {
    "kubepods": re.compile(r"(^|[/:-])kubepods([./-]|$)"),
    "docker": re.compile(rf"/docker(/buildkit)?/{_ID}|/docker-{_ID}\.scope|/docker/buildkit/"),
    "libpod": re.compile(rf"/libpod-{_ID}(\.scope)?(/|$)"),
    "containerd": re.compile(rf"(/|:)(cri-containerd|nerdctl)[-:]{_ID}"),
    "crio": re.compile(rf"(/|:)crio[-:]{_ID}"),
    "ecs": re.compile(r"/ecs/[0-9a-z-]+|/ecstasks-"),
    "garden": re.compile(r"/garden/[0-9a-z-]+"),
    "lxc": re.compile(r"/lxc(\.payload)?/[^/]+|/lxc\.payload\.[^/]+"),
}

_OVERLAYS = frozenset({"overlay", "aufs", "fuse.fuse-overlayfs"})
_STORAGE = re.compile(r"/(docker|containerd|containers/storage|buildkit|nerdctl|garden|kubelet)/")
_PER_CONTAINER_FILES = frozenset({"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})
_CONTAINER_FOLDER = re.compile(
    rf"containers/([^/]+/)?{_ID}/|overlay-containers/|/pods/[0-9a-f-]{{36}}/|/sandboxes/{_ID}/"
)


def is_container_environment() -> bool:
    """Tell whether this process runs in a container (Docker, Podman, Kubernetes, LXC, ...)."""
    return container_evidence() is not None


def container_evidence(
    root: str | os.PathLike[str] = "/", environ: Mapping[str, str] = os.environ
) -> str | None:
    """Return the first sign that this process runs in a container.

    Args:
        root: Folder to look in; only tests give another.
        environ: Environment variables.

    Returns:
        For example `/.dockerenv`, `KUBERNETES_SERVICE_HOST` or `cgroup: kubepods`; None when there
        is no sign. A sign that cannot be read counts as none.
    """
    return next(_signs(Path(root), environ), None)


def resolve_mode(
    mode: Literal["auto", "container", "local"],
    *,
    container_enabled: bool = True,
    root: str | os.PathLike[str] = "/",
    environ: Mapping[str, str] = os.environ,
) -> tuple[Literal["container", "local"], str]:
    """Decide what `auto` means here.

    Args:
        mode: The setting `mode`.
        container_enabled: The setting `container.enabled`.
        root: As in `container_evidence`.
        environ: As in `container_evidence`.

    Returns:
        The mode, and why in a few words.
    """
    if mode != "auto":
        return mode, "as set"
    if not container_enabled:
        return "local", "container.enabled is false"
    evidence = container_evidence(root, environ)
    return ("local", "not in a container") if evidence is None else ("container", evidence)


def _signs(root: Path, environ: Mapping[str, str]) -> Iterator[str]:
    yield from (name for name in _MARKER_FILES if _exists(root / name[1:]))
    if environ.get("KUBERNETES_SERVICE_HOST"):
        yield "KUBERNETES_SERVICE_HOST"
    if environ.get("container") in _RUNTIMES:
        yield f"container={environ['container']}"
    yield from _first_process(root)
    for process in ("self", "1"):
        yield from _cgroup(_read(root / "proc" / process / "cgroup"))
    yield from _mounts(_read(root / "proc/self/mountinfo"))


def _first_process(root: Path) -> Iterator[str]:
    """Look at what the runtime told process 1; systemd passes it on in a file that all can read."""
    told = _read(root / "run/systemd/container").strip()
    if told in _RUNTIMES:
        yield f"/run/systemd/container: {told}"
    for variable in _read(root / "proc/1/environ").split("\0"):
        name, _, value = variable.partition("=")
        if name == "container" and value in _RUNTIMES:
            yield f"/proc/1/environ: container={value}"


def _cgroup(text: str) -> Iterator[str]:
    for line in text.splitlines():
        path = line.split(":", 2)[-1]
        yield from (f"cgroup: {name}" for name, sign in _CGROUPS.items() if sign.search(path))


def _mounts(text: str) -> Iterator[str]:
    """Look at /proc/self/mountinfo, the one sign in a private cgroup namespace.

    Its lines are `id parent dev root mount-point options [fields...] - type source options`
    (https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html).
    """
    root_type = root_options = device_type = ""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if len(left) < 5 or len(right) < 2:
            continue
        source_folder, point, kind = left[3], left[4], right[0]
        if point == "/":
            root_type, root_options = kind, right[-1]
        elif point == "/dev":
            device_type = kind
        elif point in _PER_CONTAINER_FILES and _CONTAINER_FOLDER.search(source_folder):
            yield f"mountinfo: {point}"
        elif point.startswith("/proc/") and kind == "fuse.lxcfs":
            yield "mountinfo: lxcfs"
    # A live system's root is an overlay too; a real machine has a devtmpfs on /dev.
    if root_type in _OVERLAYS and (_STORAGE.search(root_options) or device_type == "tmpfs"):
        yield f"mountinfo: {root_type} root"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES).decode(errors="replace")
    except (OSError, ValueError):
        return ""
