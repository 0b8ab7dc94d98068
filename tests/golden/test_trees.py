"""The rendered trees of the environments and of the variants are the reviewed ones."""

from __future__ import annotations

import pytest

from loglane.stack.output import diff_tree
from loglane.stack.project import open_project

pytestmark = pytest.mark.golden


OWN, VARIANTS = "stack/stack.yaml", "tests/golden/variants/stack.yaml"
TREES = {
    "dev": OWN, "staging": OWN, "prod": OWN, "promtail": VARIANTS, "alloy": VARIANTS,
    "tenants": VARIANTS, "gateway": VARIANTS, "s3": VARIANTS,
}  # fmt: skip


def test_every_tree_has_its_spec(root):
    """No tree is left over from a variant that is gone."""
    assert {path.name for path in (root / "tests/golden/trees").iterdir()} == set(TREES)


@pytest.mark.parametrize(("env", "spec"), TREES.items(), ids=TREES)
def test_tree_is_the_reviewed_one(root, env, spec):
    """What renders now is byte for byte what was reviewed, and nothing is missing or left over."""
    trees = root / "tests" / "golden" / "trees" / env
    project = open_project(env, root / spec, trees)
    assert "" == diff_tree(project.render(), trees)


def test_tree_of_dev_is_committed_at_the_top(root):
    """`docker compose up` on a fresh clone starts what the spec says."""
    project = open_project("dev", root / "stack" / "stack.yaml")
    assert "" == diff_tree(project.render(), root)
