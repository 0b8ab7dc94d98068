"""A disk with little room."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


class SmallDisk:
    """A folder with little room, when this process may mount one; else a folder like any other."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        folder.mkdir()
        self.is_mounted = os.getuid() == 0 and self._mount(f"size={size}")

    def give_room(self) -> None:
        """Make it large."""
        if self.is_mounted:
            self._mount("remount,size=1g")

    def close(self) -> None:
        """Take it away."""
        if self.is_mounted:
            # Lazily: a process that is being ended may still have a file open.
            subprocess.run(["umount", "--lazy", self.folder], check=True)

    def _mount(self, options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Make a small disk and take it away afterwards."""
    disk = SmallDisk(folder, size)
    try:
        yield disk
    finally:
        disk.close()
