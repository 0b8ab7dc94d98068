"""What happens to the chain while numbered lines run through it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import docker
from docker.models.containers import Container

from loglane.stack.loadprobe import Outcome, Progress, run_probe
from loglane.stack.probeapp import Load, container_name
from loglane.stack.spec import StackSpec

# It happens when this share of the lines has been found, so in the middle of the writing.
_AFTER = 0.2
_STOP_S = 30
_COLLECTOR_AWAY_S = 4.0

Disturb = Callable[[docker.DockerClient, StackSpec], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that goes wrong: what is done, and what is different about the lines."""

    name: str
    title: str
    disturb: Disturb | None = None
    changes: dict[str, object] = field(default_factory=dict)


def component(client: docker.DockerClient, spec: StackSpec, service: str) -> Container:
    """Return the container of a component."""
    labels = [f"com.docker.compose.project={spec.project}", f"com.docker.compose.service={service}"]
    return client.containers.list(all=True, filters={"label": labels})[0]


def _restart_loki(client: docker.DockerClient, spec: StackSpec) -> None:
    component(client, spec, "loki").restart(timeout=_STOP_S)


def _kill_loki(client: docker.DockerClient, spec: StackSpec) -> None:
    loki = component(client, spec, "loki")
    loki.kill()
    loki.start()


def absent_loki(seconds: float) -> Disturb:
    """Return a disturbance that takes Loki away for so long."""

    def disturb(client: docker.DockerClient, spec: StackSpec) -> None:
        loki = component(client, spec, "loki")
        loki.stop(timeout=_STOP_S)
        time.sleep(seconds)
        loki.start()

    return disturb


def _restart_collector(client: docker.DockerClient, spec: StackSpec) -> None:
    component(client, spec, spec.collector).restart(timeout=_STOP_S)


def _kill_collector(client: docker.DockerClient, spec: StackSpec) -> None:
    collector = component(client, spec, spec.collector)
    collector.kill()
    time.sleep(_COLLECTOR_AWAY_S)
    collector.start()


def _restart_app(client: docker.DockerClient, spec: StackSpec) -> None:
    client.containers.get(container_name(spec)).restart(timeout=1)


def scenarios(absent_s: float = 20.0, log_size: str = "256k") -> tuple[Scenario, ...]:
    """Return every scenario, with the seconds of Loki's absence and the size of a log file."""
    return (
        Scenario("calm", "nothing happens"),
        Scenario("loki-restart", "Loki is restarted", _restart_loki),
        Scenario("loki-kill", "Loki is killed (-9) and started", _kill_loki),
        Scenario("loki-absent", f"Loki is away for {absent_s:g} s", absent_loki(absent_s)),
        Scenario("collector-restart", "the collector is restarted", _restart_collector),
        Scenario(
            "collector-kill",
            f"the collector is killed (-9), away for {_COLLECTOR_AWAY_S:g} s",
            _kill_collector,
        ),
        Scenario("app-restart", "the app is restarted", _restart_app, {"restarted": True}),
        Scenario(
            "rotation",
            f"Docker rotates the app's log file ({log_size}, two of them)",
            changes={"max_size": log_size, "max_file": 2},
        ),
    )


def run_scenario(
    client: docker.DockerClient,
    spec: StackSpec,
    scenario: Scenario,
    load: Load,
    progress: Progress = lambda _: None,
) -> Outcome:
    """Send lines through the chain, and let the scenario happen in the middle.

    Raises:
        LoglaneError: The lines could not be sent, or Loki did not come back.
    """
    happened: Future[None] | None = None

    def watched(found: int) -> None:
        nonlocal happened
        progress(found)
        if scenario.disturb and happened is None and found >= _AFTER * load.lines:
            happened = pool.submit(scenario.disturb, client, spec)

    with ThreadPoolExecutor(1) as pool:
        outcome = run_probe(client, spec, replace(load, **scenario.changes), watched)
    if happened is not None:
        happened.result()
    elif scenario.disturb is not None:
        raise AssertionError(f"{scenario.name} never happened: {outcome}")
    return outcome
