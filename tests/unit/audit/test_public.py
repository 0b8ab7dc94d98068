"""The names of the package are sorted, there, and what the docs list; its examples run."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import loglane.audit
from tests.unit.audit.business import opened_sync


def document(root) -> str:
    return (root / "docs" / "audit.md").read_text()


def snippets(root) -> list[str]:
    return re.findall(r"```python\n(.*?)```", document(root), re.DOTALL)


def test_documented_names_are_the_public_ones(root):
    """docs/audit.md lists exactly what the package exports."""
    listed = re.findall(r"`([A-Za-z_]+)`", document(root).partition("## All names")[2])
    assert loglane.audit.__all__ == sorted(loglane.audit.__all__) == sorted(listed)
    assert [] == [name for name in loglane.audit.__all__ if not hasattr(loglane.audit, name)]


def test_other_names_are_not_there():
    """As in any module."""
    with pytest.raises(AttributeError, match="no attribute 'AuditLogs'"):
        _ = loglane.audit.AuditLogs


@pytest.mark.parametrize(
    ("names", "unwanted"),
    [
        ("", {"sqlalchemy", "pydantic"}),
        ("audit_log", {"sqlalchemy", "pydantic"}),
        ("AuditEvent", {"sqlalchemy"}),
    ],
    ids=["nothing", "decorator", "event"],
)
def test_importing_is_cheap(names, unwanted):
    """What is not asked for is not loaded."""
    code = "import sys, loglane.audit\n"
    code += f"from loglane.audit import {names}\n" if names else ""
    code += f"print(sorted(set(sys.modules) & {unwanted!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


@pytest.mark.parametrize("number", range(4))
def test_snippets_of_the_docs_run(root, tmp_path, number):
    """Each of them is a program that works, with the tables in place."""
    from loglane.audit.table import metadata

    with opened_sync(f"sqlite:///{tmp_path}/audit.db") as engine:
        metadata.create_all(engine)
    file = tmp_path / "snippet.py"
    file.write_text(snippets(root)[number])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(file)], cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr), done.stdout
