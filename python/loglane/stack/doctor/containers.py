"""The containers: whether each runs, is well, and is what the spec pins."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from loglane.stack import engine
from loglane.stack.doctor.finding import Finding, Level
from loglane.stack.doctor.subject import Subject, listed
from loglane.stack.spec import StackSpec

# A component that runs another's image.
_IMAGE_OF = {"docker-proxy": "nginx", "gateway": "nginx"}
_DIGEST_LABEL = "loglane.config"


def container_findings(subject: Subject) -> Iterator[Finding]:
    """Say which components run and are healthy."""
    there = {container.service: container for container in subject.containers}
    missing = [name for name in subject.spec.components if name not in there]
    if missing:
        yield Finding("containers", "problem", f"not running: {listed(missing)}", subject.up)
    well = []
    for name in subject.spec.components:
        container = there.get(name)
        if container is None:
            continue
        if container.state != "running" or container.health not in ("healthy", ""):
            state = container.health if container.state == "running" else container.state
            what = f"{name} is {state}"
            mend = f"{subject.compose} logs --tail 50 {name}"
            level: Level = "warning" if container.health == "starting" else "problem"
            yield Finding("containers", level, what, mend)
        elif container.restarts > 0:
            what = f"{name} runs, after {container.restarts} restarts by Docker"
            mend = f"{subject.compose} logs --tail 200 {name}"
            yield Finding("containers", "warning", what, mend)
        else:
            well.append(name)
    if well:
        yield Finding("containers", "ok", f"running and healthy: {', '.join(well)}")


def image_findings(subject: Subject) -> Iterator[Finding]:
    """Say which images are missing, and which containers run another than the pinned one."""
    missing = [
        image for image in subject.spec.pinned_images if not engine.has_image(subject.client, image)
    ]
    if missing:
        what = f"not on this machine: {listed(missing)}"
        level: Level = "warning" if subject.running("loki") else "problem"
        yield Finding("images", level, what, f"docker pull {missing[0]}")
    wrong = [
        Finding("images", "problem", f"{c.service} runs {c.image}, pinned is {wanted}", subject.up)
        for c in subject.containers
        if (wanted := pinned_image(subject.spec, c.service)) not in (None, c.image)
    ]
    yield from wrong
    if not missing and not wrong:
        yield Finding("images", "ok", f"as pinned: {', '.join(subject.spec.pinned_images)}")


def applied_findings(subject: Subject) -> Iterator[Finding]:
    """Say which containers run with another config than the rendered one."""
    if not subject.containers or not subject.project.compose_file.is_file():
        return
    compose = yaml.safe_load(subject.project.compose_file.read_text())
    wanted = {
        name: (service.get("labels") or {}).get(_DIGEST_LABEL)
        for name, service in compose["services"].items()
    }
    behind = [
        container.service
        for container in subject.containers
        if container.config_digest != (wanted.get(container.service) or "")
    ]
    if behind:
        what = f"running with an earlier config than the rendered one: {listed(behind)}"
        yield Finding("containers", "problem", what, subject.up)
    else:
        yield Finding("containers", "ok", "each runs with the config that is rendered")


def pinned_image(spec: StackSpec, component: str) -> str | None:
    """Return the image that the spec pins for a component; None for one that is not its own."""
    if component not in spec.components:
        return None
    image: str = getattr(spec.images, _IMAGE_OF.get(component, component))
    return image
