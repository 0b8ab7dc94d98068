"""What must be true before a stack is started."""

from __future__ import annotations

from pathlib import Path

from loglane.stack.preflight import folder_failures
from loglane.stack.project import open_project


class _Container:
    def __init__(self, folder: Path) -> None:
        self.labels = {"com.docker.compose.project.working_dir": str(folder)}


class _Engine:
    """An engine whose containers were started from one folder."""

    def __init__(self, folder: Path) -> None:
        self.containers = self
        self._found = [_Container(folder)]

    def list(self, **_: object) -> list[_Container]:
        return self._found


def test_stack_of_the_same_name_elsewhere_is_named(tmp_path, root):
    """Two folders with one project name would share containers and data."""
    project = open_project("dev", root / "stack" / "stack.yaml", tmp_path / "here")
    (found,) = folder_failures(_Engine(tmp_path / "there"), project)
    assert f"a stack named loglane was started from {tmp_path / 'there'}" in found
    assert [] == list(folder_failures(_Engine(tmp_path / "here"), project))
