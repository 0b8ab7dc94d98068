"""Every reviewed compose file is one by compose's own schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.stack.compose_schema import compose_problems

TREES = Path(__file__).resolve().parents[2] / "golden" / "trees"
FILES = sorted(TREES.glob("*/docker-compose.yml"))


@pytest.mark.parametrize("file", FILES, ids=[file.parent.name for file in FILES])
def test_compose_schema_takes_every_golden_tree(file):
    """A key or a value that compose does not know is found without Docker."""
    assert [] == compose_problems(file.read_text())


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("mem_limit:", "mem_limits:"), ("restart: unless-stopped", "restart: [always]")],
    ids=["unknown key", "wrong kind"],
)
def test_compose_schema_refuses_what_compose_refuses(right, wrong):
    """The schema is really applied to every service."""
    text = (TREES / "dev" / "docker-compose.yml").read_text()
    assert right in text
    assert compose_problems(text.replace(right, wrong))
