"""No line is lost while servers restart, are killed or are away, and while Docker rotates logs."""

from __future__ import annotations

import pytest
from docker.errors import NotFound

from benchmarks.reliability.scenarios import run_scenario, scenarios
from loglane.stack import loadprobe, probe
from loglane.stack.loadprobe import run_probe
from loglane.stack.probeapp import Load, container_name
from tests.integration.conftest import eventually

pytestmark = pytest.mark.integration

# Six seconds of writing, so that whatever happens happens in the middle.
LOAD = Load(lines=3000, rate=500, timeout_s=120.0)


@pytest.fixture(autouse=True)
def _whole_again(stack, docker_engine):
    """See that Loki is ready again before another test asks it."""
    yield
    with pytest.raises(NotFound):
        docker_engine.containers.get(container_name(stack.project.spec))
    ready = f"{stack.loki_url}/ready"
    assert eventually(lambda: probe.answers(ready), True) is True


@pytest.mark.parametrize("scenario", scenarios(absent_s=5.0), ids=lambda item: item.name)
def test_no_line_is_lost_or_doubled(stack, docker_engine, scenario):
    """Every numbered line is found once, whatever happens while they are written."""
    outcome = run_scenario(docker_engine, stack.project.spec, scenario, LOAD)
    assert (0, 0) == (outcome.lost, outcome.doubled), outcome
    assert outcome.found == outcome.written >= LOAD.lines


def test_log_rotation_happens_several_times(stack, docker_engine):
    """The rotated file cannot hold the lines: what is found had to be read in time."""
    scenario = next(item for item in scenarios() if item.name == "rotation")
    outcome = run_scenario(docker_engine, stack.project.spec, scenario, LOAD)
    # A line of the probe takes about 200 bytes in Docker's file.
    assert outcome.written * 200 > 2 * 256 * 1024
    assert 0 == outcome.lost


def test_probe_is_stopped_and_leaves_nothing(stack, docker_engine, monkeypatch):
    """Interrupted in the middle, as by Ctrl-C, it removes its container."""

    def interrupt(_found: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_probe(docker_engine, stack.project.spec, LOAD, interrupt)


def test_probe_counts_a_line_that_is_not_there(stack, docker_engine, monkeypatch):
    """A line that the container never wrote is lost: the count does not come from what is found."""
    monkeypatch.setattr(loadprobe.ProbeApp, "written", lambda self: self.load.lines + 1)
    outcome = run_probe(docker_engine, stack.project.spec, Load(lines=50, rate=50, timeout_s=15.0))
    assert (50, 1) == (outcome.found, outcome.lost)
