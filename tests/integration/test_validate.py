"""The real programs take every tree that is reviewed, and refuse one that is damaged."""

from __future__ import annotations

import shutil

import pytest

from loglane.stack.project import open_project
from loglane.stack.validate import validate
from tests.golden.test_trees import TREES
from tests.integration.conftest import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("docker_engine")]


@pytest.mark.parametrize(("env", "spec"), TREES.items(), ids=TREES)
def test_programs_take_every_golden_tree(env, spec):
    """Each config is one by the program that reads it, and every security check passes."""
    report = validate(open_project(env, ROOT / spec))
    assert [] == report.failures
    missing = [verdict.how for verdict in report.programs if verdict.outcome == "not there"]
    if missing:
        pytest.skip(f"needs more programs: {'; '.join(missing)}")


DAMAGE = {
    "loki -verify-config": ("loki/loki.yaml.j2", "retention_enabled:", "retention_on:"),
    "loki -verify-config, tenants": ("loki/overrides.yaml.j2", "  retention_stream:", "  streams:"),
    "docker compose config": ("docker-compose.yml.j2", "mem_limit:", "memory_limit:"),
}


@pytest.mark.parametrize(("check", "damage"), DAMAGE.items(), ids=DAMAGE)
def test_programs_refuse_a_damaged_template(check, damage, tmp_path):
    """Each program is really asked: a key that it does not know fails its check first."""
    file, right, wrong = damage
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    shutil.copytree(ROOT / "tests/golden/variants", tmp_path / "stack")
    template = tmp_path / "templates" / file
    assert right in template.read_text()
    template.write_text(template.read_text().replace(right, wrong))
    report = validate(open_project("tenants", tmp_path / "stack" / "stack.yaml"))
    failed = [verdict.check for verdict in report.programs if verdict.outcome == "failed"]
    assert check == failed[0], report.failures
