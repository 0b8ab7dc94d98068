"""Checks of each container: what it may do, and how much of the machine it may take."""

from __future__ import annotations

from collections.abc import Iterator

from loglane.stack.security.check import Check
from loglane.stack.security.rendered import COLLECTORS, DOCKER_PROXY, Rendered

# Capabilities that a known service cannot do without; every other one is a regression.
KNOWN_CAPABILITIES = {
    # Hands files of mode 0600, which are the operator's, to the users of other containers.
    "secrets": {"CHOWN", "DAC_OVERRIDE", "FOWNER"},
    # Reads log files of the host, most of which belong to other users; rendered with such sources.
    **{name: {"DAC_READ_SEARCH"} for name in COLLECTORS},
}
# Docker's socket, the journal and other containers' files belong to root.
KNOWN_ROOT = {"secrets", DOCKER_PROXY, *COLLECTORS}
# Its image has no other user than one of its own.
_USER_OF_IMAGE = {"loki"}
# Each gives a container what another one has.
_SHARED = ("volumes_from", "extends", "group_add")
_LOG_DRIVERS = ("json-file", "local")


def _no_new_privileges(rendered: Rendered) -> Iterator[str]:
    wanted = ("no-new-privileges:true", "no-new-privileges=true", "no-new-privileges")
    for name, service in rendered.services.items():
        if not any(option in wanted for option in service.get("security_opt", ())):
            yield f"{name}: security_opt lacks no-new-privileges:true"


def _drops_capabilities(rendered: Rendered) -> Iterator[str]:
    for name, service in rendered.services.items():
        if service.get("cap_drop") != ["ALL"]:
            yield f"{name}: cap_drop is {service.get('cap_drop', [])}, not [ALL]"


def _adds_known_capabilities(rendered: Rendered) -> Iterator[str]:
    for name, service in rendered.services.items():
        more = sorted(set(service.get("cap_add", ())) - KNOWN_CAPABILITIES.get(name, set()))
        if more:
            yield f"{name}: cap_add has {', '.join(more)}"


def _known_root(rendered: Rendered) -> Iterator[str]:
    for name, service in rendered.services.items():
        user = str(service.get("user", "")).partition(":")[0]
        if not user and name not in _USER_OF_IMAGE:
            yield f"{name}: names no user; that of the image may be root"
        if (user == "root" or (user and not user.strip("+0"))) and name not in KNOWN_ROOT:
            yield f"{name}: runs as root"


def _read_only_root(rendered: Rendered) -> Iterator[str]:
    for name, service in rendered.services.items():
        if service.get("read_only") is not True:
            yield f"{name}: read_only is not true"


def _no_host_access(rendered: Rendered) -> Iterator[str]:
    for name, service in rendered.services.items():
        if service.get("privileged"):
            yield f"{name}: privileged"
        for key in ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup"):
            shared = str(service.get(key, "")).partition(":")[0]
            if shared in ("host", "service", "container"):
                yield f"{name}: {key} is {service[key]}"
        for key in _SHARED:
            if service.get(key):
                yield f"{name}: {key} gives it what others have"
        if service.get("devices"):
            yield f"{name}: has devices of the machine"
        for option in service.get("security_opt", ()):
            if "unconfined" in option or "label:disable" in option:
                yield f"{name}: security_opt has {option}"


def _limits(rendered: Rendered) -> Iterator[str]:
    for name, service in rendered.services.items():
        missing = [key for key in ("mem_limit", "cpus", "pids_limit") if not service.get(key)]
        if missing:
            yield f"{name}: no {', '.join(missing)}"


def _log_rotation(rendered: Rendered) -> Iterator[str]:
    for name, service in rendered.services.items():
        logging = service.get("logging", {})
        options = logging.get("options") or {}
        if logging.get("driver") not in _LOG_DRIVERS or "max-size" not in options:
            yield f"{name}: Docker keeps all that it writes; set logging.options.max-size"
        elif int(options.get("max-file", 1)) < 2:
            # With one file, what is not yet read is gone when it is full.
            yield f"{name}: logging.options.max-file is less than 2"


def _pinned_images(rendered: Rendered) -> Iterator[str]:
    for name, service in rendered.services.items():
        image = str(service.get("image", ""))
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in image and tag in ("", "latest"):
            yield f"{name}: image {image!r} names no version"
        if "build" in service:
            yield f"{name}: is built from what lies around"


def _restarts(rendered: Rendered) -> Iterator[str]:
    once = rendered.one_shots
    for name, service in rendered.services.items():
        policy = service.get("restart", "no")
        if name in once and policy not in ("no", False):
            yield f"{name}: runs once, but restart is {policy}"
        if name not in once and policy not in ("unless-stopped", "always"):
            yield f"{name}: restart is {policy}; it would stay down"


def _health_checks(rendered: Rendered) -> Iterator[str]:
    for name, service in rendered.lasting():
        check = service.get("healthcheck") or {}
        if not check.get("test") or check.get("disable") or check["test"] == ["NONE"]:
            yield f"{name}: no healthcheck"


def _ordered_start(rendered: Rendered) -> Iterator[str]:
    for name in rendered.services:
        waits = rendered.dependencies(name)
        for other, how in waits.items():
            if how.get("condition", "service_started") == "service_started":
                yield f"{name}: waits for {other} to be started, not to be healthy or done"
        if name in (*COLLECTORS, "grafana") and "loki" not in waits:
            yield f"{name}: does not wait for loki"
        reads = any(target == "/run/secrets" for _, target, _ in rendered.mounts(name))
        if reads and "secrets" in rendered.services and "secrets" not in waits:
            yield f"{name}: reads secrets and does not wait until they are there"


CONTAINER_CHECKS = (
    Check("no new privileges", "a setuid program gives nobody root", _no_new_privileges),
    Check("capabilities dropped", "root in a container is no root", _drops_capabilities),
    Check("capabilities added", "only the known ones come back", _adds_known_capabilities),
    Check("root users", "only where a file of root's is read", _known_root),
    Check("read-only root", "nothing settles in a container", _read_only_root),
    Check("nothing of the host", "no privileged mode, no host namespaces", _no_host_access),
    Check("limits", "the stack cannot starve the machine", _limits),
    Check("log rotation", "Docker's own logs cannot fill the disk", _log_rotation),
    Check("pinned images", "an upgrade is a change that you make", _pinned_images),
    Check("restart policy", "what fails comes back, what is done stays", _restarts),
    Check("health checks", "a container that hangs is seen", _health_checks),
    Check("ordered start", "nothing starts before what it needs", _ordered_start),
)
