"""The machine: Docker, compose, ports, processors, clocks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime

from loglane.stack import engine, preflight
from loglane.stack.doctor.finding import Finding, Level
from loglane.stack.doctor.subject import Subject, ask, duration

# A Date header has whole seconds; what is more than this is no rounding.
_SKEW_S = 3.0
# Loki takes lines at most this far from the future (loki: creation_grace_period).
_MAX_SKEW_S = 600.0


def docker_findings(subject: Subject) -> Iterator[Finding]:
    """Say which Docker and compose there are."""
    version = subject.client.version()
    yield Finding("docker", "ok", f"Docker {version['Version']} answers")
    major, minor = engine.compose_version()
    yield Finding("docker", "ok", f"Docker Compose {major}.{minor}")
    for failure in preflight.cpu_failures(subject.spec, engine.machine(subject.client).cpus):
        yield Finding("docker", "problem", failure, f"resources in the spec, then {subject.up}")


def port_findings(subject: Subject) -> Iterator[Finding]:
    """Say which ports are published, and which are taken by others."""
    own = engine.published_ports(subject.client, subject.spec.project)
    failures = list(preflight.port_failures(subject.spec, own))
    for failure in failures:
        yield Finding("ports", "problem", failure, "ss --listening --tcp --numeric --processes")
    if not failures:
        places = (
            f"{name} {address}:{port}" for name, (address, port) in subject.spec.published.items()
        )
        yield Finding("ports", "ok", ", ".join(places))
    if subject.spec.bind_address not in ("127.0.0.1", "::1") and subject.spec.gateway is None:
        what = f"Loki, which has no login, listens on {subject.spec.bind_address}"
        yield Finding("ports", "warning", what, "gateway in the spec puts a login in front")


def clock_findings(subject: Subject) -> Iterator[Finding]:
    """Compare this machine's clock with Docker's and Loki's."""
    began = time.time()
    docker_says = datetime.fromisoformat(_microseconds(subject.client.info()["SystemTime"]))
    yield _skew("Docker", docker_says.timestamp() - (began + time.time()) / 2, 0.0)
    if subject.running("loki"):
        began = time.time()
        header = ask(f"{subject.url('loki')}/ready").headers["date"]
        # The header has left out up to a second.
        loki_says = parsedate_to_datetime(header).timestamp() + 0.5
        yield _skew("Loki", loki_says - (began + time.time()) / 2, 0.5)


def _microseconds(timestamp: str) -> str:
    # Python 3.10 reads neither nanoseconds nor Z.
    moment, dot, rest = timestamp.replace("Z", "+00:00").partition(".")
    if not dot:
        return moment
    zone = rest.lstrip("0123456789")
    return f"{moment}.{rest[: len(rest) - len(zone)][:6]:0<6}{zone}"


def _skew(whose: str, seconds: float, rounding_s: float) -> Finding:
    off = abs(seconds)
    if off <= _SKEW_S:
        near = "a second" if rounding_s else f"{max(off, 0.1):.1f} s"
        return Finding("clocks", "ok", f"{whose}'s clock is ours within {near}")
    direction = "ahead of" if seconds > 0 else "behind"
    what = f"{whose}'s clock is {duration(off)} {direction} ours: lines get wrong times"
    level: Level = "problem" if off >= _MAX_SKEW_S else "warning"
    return Finding("clocks", level, what, "timedatectl set-ntp true")
