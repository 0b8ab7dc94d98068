"""What the documents point to is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md",
    *sorted(f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")),
)  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_of_a_document_lead_to_files(root, name):
    """Every relative link and image of a document is a file or folder of the repository."""
    document = root / name
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    relative = [target for target in targets if "://" not in target]
    assert [] == [target for target in relative if not (document.parent / target).exists()]


def test_make_targets_of_the_readme_are_there(root):
    """Every `make` command of README and CONTRIBUTING is a target that `make help` lists."""
    text = (root / "README.md").read_text() + (root / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`?make ([a-z]+(?:-[a-z]+)*)", text))
    done = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  make (\S+)", done.stdout, re.MULTILINE))
    assert named
    assert named <= listed


def test_contributing_stays_short(root):
    """Nobody reads a long one."""
    assert len((root / "CONTRIBUTING.md").read_text().splitlines()) < 150
