"""What tests of the way to Loki share."""

from __future__ import annotations

import pytest

from tests.unit.sinks.loki.wal_cases import Folder


@pytest.fixture
def folder(tmp_path):
    """Return a folder for the log on the disk."""
    folder = Folder(tmp_path / "wal")
    yield folder
    folder.close()
