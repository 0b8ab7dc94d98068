"""The rendered trees of the three environments are the reviewed ones."""

from __future__ import annotations

import pytest

from loglane.stack.output import diff_tree
from loglane.stack.project import open_project

pytestmark = pytest.mark.golden


@pytest.mark.parametrize("env", ["dev", "staging", "prod"])
def test_tree_is_the_reviewed_one(root, env):
    """What renders now is byte for byte what was reviewed, and nothing is missing or left over."""
    trees = root / "tests" / "golden" / "trees" / env
    project = open_project(env, root / "stack" / "stack.yaml", trees)
    assert "" == diff_tree(project.render(), trees)


def test_tree_of_dev_is_committed_at_the_top(root):
    """`docker compose up` on a fresh clone starts what the spec says."""
    project = open_project("dev", root / "stack" / "stack.yaml")
    assert "" == diff_tree(project.render(), root)
