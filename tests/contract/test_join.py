"""The example of joining is what the stack takes."""

from __future__ import annotations

import pytest
import yaml

from loglane.errors import EnvironmentMissing
from loglane.stack import engine
from loglane.stack.loading import load_spec


@pytest.fixture(scope="module")
def compose(root):
    """Return the example's compose file as data."""
    return yaml.safe_load((root / "examples/join/docker-compose.yml").read_text())


def test_every_service_of_the_example_has_the_label_of_the_spec(root, compose):
    """Whoever copies the example is collected by the stack as it is."""
    name, _, value = load_spec(root / "stack/stack.yaml", "dev").apps.label.partition("=")
    labels = {service: keys["labels"] for service, keys in compose["services"].items()}
    assert {service: {name: value} for service in labels} == labels


def test_every_service_of_the_example_keeps_two_log_files(compose):
    """With one file Docker throws away what the collector has not read yet."""
    for keys in compose["services"].values():
        assert int(keys["logging"]["options"]["max-file"]) >= 2


def test_foreign_services_of_the_example_fit_into_the_spec(root, compose, tmp_path):
    """What belongs into the spec is valid there, and names services of the example."""
    added = yaml.safe_load((root / "examples/join/services.yaml").read_text())
    spec = yaml.safe_load((root / "stack/stack.yaml").read_text()) | added
    (tmp_path / "environments").mkdir()
    (tmp_path / "stack.yaml").write_text(yaml.safe_dump(spec))
    (tmp_path / "environments/dev.yaml").write_text("env: dev\n")
    services = load_spec(tmp_path / "stack.yaml", "dev").services
    assert {"proxy": "nginx", "db": "postgresql", "checkout": "json"} == {
        name: service.format for name, service in services.items()
    }
    assert set(services) <= set(compose["services"])


def test_compose_takes_the_example(root):
    """`docker compose config` has nothing to say against it."""
    try:
        engine.compose_version()
    except EnvironmentMissing as missing:
        pytest.skip(f"needs docker compose: {missing}")
    assert (0, "") == engine.compose_config(root / "examples/join/docker-compose.yml")
