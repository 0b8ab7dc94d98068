"""Telling a container from a host by the signs that each runtime leaves."""

from __future__ import annotations

import pytest

from loglane import container
from loglane.container import container_evidence, is_container_environment, resolve_mode

ID = "6b944da2c5ddb79af9e34d23503844154611364e5b1b2a80c89e78075e2f6360"
POD = "7f1ab3c1-93c5-4b0a-8f4b-0c1f6f0e5a11"
CGROUP, FIRST_CGROUP = "proc/self/cgroup", "proc/1/cgroup"
MOUNTS = "proc/self/mountinfo"

HOST_ROOT = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
HOST_DEV = "24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=12358300k\n"
CONTAINER_DEV = "74 72 0:43 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755\n"
UNKNOWN_OVERLAY = "72 48 0:39 / / rw - overlay overlay rw,lowerdir=l/A:l/B,upperdir=c/diff\n"


def overlay_root(folder: str) -> str:
    return (
        f"72 48 0:39 / / rw,relatime master:2 - overlay overlay rw,lowerdir={folder}/l/OJOQ:"
        f"{folder}/l/VFQ5,upperdir={folder}/5463/diff,workdir={folder}/5463/work\n"
    )


def file_mount(source: str, point: str) -> str:
    return f"90 72 254:0 {source} {point} rw,relatime - ext4 /dev/vda rw,discard\n"


CONTAINERS = {
    "docker": ({".dockerenv": ""}, {}, "/.dockerenv"),
    "podman": ({"run/.containerenv": ""}, {}, "/run/.containerenv"),
    "kubernetes-account": (
        {"var/run/secrets/kubernetes.io/serviceaccount/token": "x"},
        {},
        "/var/run/secrets/kubernetes.io",
    ),
    "kubernetes-env": ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "KUBERNETES_SERVICE_HOST"),
    "nspawn-env": ({}, {"container": "systemd-nspawn"}, "container=systemd-nspawn"),
    "lxc-env": ({}, {"container": "lxc"}, "container=lxc"),
    "nspawn-file": (
        {"run/systemd/container": "systemd-nspawn\n"},
        {},
        "/run/systemd/container: systemd-nspawn",
    ),
    "lxc-first-process": (
        {"proc/1/environ": "TERM=linux\0container=lxc\0"},
        {},
        "/proc/1/environ: container=lxc",
    ),
    "v1-docker": ({CGROUP: f"9:name=systemd:/docker/{ID}\n0::/docker/{ID}\n"}, {}, "docker"),
    "v1-docker-in-1": ({CGROUP: "4:memory:/\n", FIRST_CGROUP: f"4:memory:/docker/{ID}\n"}, {},
                       "docker"),
    "systemd-docker": ({CGROUP: f"0::/system.slice/docker-{ID}.scope\n"}, {}, "docker"),
    "buildkit": ({CGROUP: "0::/docker/buildkit/k5l0mq1e\n"}, {}, "docker"),
    "v1-kubepods": ({CGROUP: f"11:cpu:/kubepods/besteffort/pod{POD}/{ID}\n"}, {}, "kubepods"),
    "systemd-kubepods": (
        {CGROUP: f"1:name=systemd:/kubepods.slice/kubepods-pod{POD}.slice/crio-{ID}.scope\n"},
        {},
        "kubepods",
    ),
    "kind": ({CGROUP: f"0::/kubelet.slice/kubelet-kubepods.slice/{ID}\n"}, {}, "kubepods"),
    "containerd": ({CGROUP: f"0::/system.slice/nerdctl-{ID}.scope\n"}, {}, "containerd"),
    "podman-cgroup": ({CGROUP: f"0::/machine.slice/libpod-{ID}.scope\n"}, {}, "libpod"),
    "podman-rootless": (
        {CGROUP: f"0::/user.slice/user-1000.slice/user@1000.service/libpod-{ID}.scope/c\n"},
        {},
        "libpod",
    ),
    "crio": ({CGROUP: f"0::/system.slice/crio-{ID}.scope\n"}, {}, "crio"),
    "ecs": ({CGROUP: f"9:perf_event:/ecs/{POD}/{ID}\n"}, {}, "ecs"),
    "garden": ({CGROUP: "4:memory:/garden/8b6e3b6a-2a1e-4d8e-6a3b\n"}, {}, "garden"),
    "v1-lxc": ({CGROUP: "4:memory:/lxc/web01\n"}, {}, "lxc"),
    "lxc-payload": ({CGROUP: "0::/lxc.payload.web01/system.slice/cron.service\n"}, {}, "lxc"),
    "v2-docker": (
        {CGROUP: "0::/\n", MOUNTS: overlay_root("/var/lib/docker/overlay2") + CONTAINER_DEV},
        {},
        "mountinfo: overlay root",
    ),
    "v2-docker-many-layers": (
        {CGROUP: "0::/\n", MOUNTS: UNKNOWN_OVERLAY + CONTAINER_DEV},
        {},
        "mountinfo: overlay root",
    ),
    "v2-docker-btrfs": (
        {CGROUP: "0::/\n",
         MOUNTS: "70 1 0:40 /@/var/lib/docker/btrfs/x / rw - btrfs /dev/sda rw\n"
         + file_mount(f"/var/lib/docker/containers/{ID}/hostname", "/etc/hostname")},
        {},
        "mountinfo: /etc/hostname",
    ),
    "v2-podman": (
        {MOUNTS: file_mount(f"/containers/storage/overlay-containers/{ID}/userdata/hosts",
                            "/etc/hosts")},
        {},
        "mountinfo: /etc/hosts",
    ),
    "v2-podman-rootless": (
        {MOUNTS: overlay_root("/home/ada/.local/share/containers/storage/overlay")},
        {},
        "mountinfo: overlay root",
    ),
    "v2-kubelet": (
        {MOUNTS: file_mount(f"/var/lib/kubelet/pods/{POD}/etc-hosts", "/etc/hosts")},
        {},
        "mountinfo: /etc/hosts",
    ),
    "v2-containerd": (
        {MOUNTS: overlay_root("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs")},
        {},
        "mountinfo: overlay root",
    ),
    "v2-lxc": (
        {MOUNTS: HOST_ROOT + "90 2 0:9 /proc/cpuinfo /proc/cpuinfo rw - fuse.lxcfs lxcfs rw\n"},
        {},
        "mountinfo: lxcfs",
    ),
}  # fmt: skip

HOSTS = {
    "empty": ({}, {}),
    "shell-v2": ({CGROUP: "0::/user.slice/user-1000.slice/session-3.scope\n"}, {}),
    "shell-v1": ({CGROUP: "9:name=systemd:/user.slice\n4:memory:/\n"}, {}),
    "dockerd": ({CGROUP: "0::/system.slice/docker.service\n", FIRST_CGROUP: "0::/init.scope\n"},
                {}),
    "daemons": ({CGROUP: "0::/system.slice/containerd.service\n4:cpu:/system.slice/crio.service\n"
                 "3:pids:/system.slice/lxcfs.service\n2:cpuset:/lxc.monitor.web01\n"
                 "1:io:/system.slice/kubelet.service\n"}, {}),
    "runs-docker": (
        {CGROUP: "0::/user.slice\n",
         MOUNTS: HOST_ROOT + HOST_DEV + overlay_root("/var/lib/docker/overlay2").replace(
             " / / ", " / /var/lib/docker/overlay2/5463/merged ")},
        {},
    ),
    "runs-lxd": ({MOUNTS: HOST_ROOT + HOST_DEV
                  + "90 2 0:9 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw\n"}, {}),
    "live-system": ({MOUNTS: UNKNOWN_OVERLAY + HOST_DEV}, {}),
    "netns": ({MOUNTS: HOST_ROOT + file_mount("/etc/netns/blue/resolv.conf", "/etc/resolv.conf")},
              {}),
    "flatpak": ({}, {"container": "flatpak"}),
    "own-variable": ({"proc/1/environ": "container=\0"}, {"container": "box-7", "docker": "1"}),
    "garbage": ({CGROUP: "\xff\xfe", MOUNTS: "no\n - \n1 2 3 4 / rw - x\n"}, {}),
    "folder-in-the-way": ({"proc/self/cgroup/x": "", "proc/self/mountinfo/x": ""}, {}),
}  # fmt: skip


@pytest.fixture
def tree(tmp_path):
    """Return a function that writes files below a fake root."""

    def write(files):
        for name, content in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        return tmp_path

    return write


@pytest.mark.parametrize(("files", "environ", "expected"), CONTAINERS.values(), ids=CONTAINERS)
def test_a_container_is_told_by_its_sign(tree, files, environ, expected):
    """Each runtime leaves one sign, and it is named."""
    found = container_evidence(tree(files), environ)
    assert expected == (found or "").removeprefix("cgroup: ")


@pytest.mark.parametrize(("files", "environ"), HOSTS.values(), ids=HOSTS)
def test_a_host_is_no_container(tree, files, environ):
    """A host is none, also when it runs containers itself."""
    assert None is container_evidence(tree(files), environ)


def test_question_is_answered_by_the_evidence(monkeypatch):
    """The boolean and the sign agree."""
    answers = []
    for evidence in (None, "/.dockerenv"):
        monkeypatch.setattr(container, "container_evidence", lambda evidence=evidence: evidence)
        answers.append(is_container_environment())
    assert [False, True] == answers


@pytest.mark.parametrize(
    ("mode", "enabled", "files", "expected"),
    [
        ("auto", True, {}, ("local", "not in a container")),
        ("auto", True, {".dockerenv": ""}, ("container", "/.dockerenv")),
        ("auto", False, {".dockerenv": ""}, ("local", "container.enabled is false")),
        ("local", True, {".dockerenv": ""}, ("local", "as set")),
        ("container", False, {}, ("container", "as set")),
    ],
    ids=["auto-host", "auto-container", "auto-disabled", "local", "container"],
)
def test_mode_is_resolved_with_a_reason(tree, mode, enabled, files, expected):
    """Only `auto` looks around, and only when container mode is enabled."""
    found = resolve_mode(mode, container_enabled=enabled, root=tree(files), environ={})
    assert expected == found
