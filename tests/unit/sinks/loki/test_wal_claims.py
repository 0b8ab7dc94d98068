"""A lock has one holder, and is the lock of the file that is there."""

from __future__ import annotations

import pytest

from loglane.sinks.loki import wal_claims


def test_a_claim_is_held_once(tmp_path):
    """Also within a process; it is free when its descriptor is closed."""
    path = tmp_path / "lock"
    claim = wal_claims.make_claim(path)
    with pytest.raises(BlockingIOError):
        wal_claims.take_claim(path)
    wal_claims.os.close(claim)
    wal_claims.os.close(wal_claims.take_claim(path))


def test_a_claim_is_made_once(tmp_path):
    """A file that is there belongs to somebody."""
    wal_claims.os.close(wal_claims.make_claim(tmp_path / "lock"))
    with pytest.raises(FileExistsError):
        wal_claims.make_claim(tmp_path / "lock")


@pytest.mark.parametrize("is_replaced", [False, True], ids=["removed", "replaced"])
def test_a_file_that_is_gone_when_it_is_locked_is_no_claim(tmp_path, monkeypatch, is_replaced):
    """Its last holder removed it between the opening and the locking."""
    path = tmp_path / "lock"
    path.touch()
    lock = wal_claims._lock

    def late(fd):
        path.unlink()
        if is_replaced:
            path.touch()
        lock(fd)

    monkeypatch.setattr(wal_claims, "_lock", late)
    with pytest.raises(FileNotFoundError):
        wal_claims.take_claim(path)
