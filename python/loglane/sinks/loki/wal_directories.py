"""One directory a process: made, taken over and removed so that never two processes own it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from pathlib import Path

from loglane.sinks.loki import wal_claims
from loglane.sinks.loki.wal_positions import PositionFile
from loglane.sinks.loki.wal_segments import Report

LOCK = "lock"
POSITION = "delivered"

# Sorted by name, the oldest comes first.
_NAME = re.compile(r"process-\d{20}-\d+-[0-9a-f]{8}\Z")
_UNFINISHED = "new-"
_UNFINISHED_S = 3600.0


def make_directory(folder: Path) -> tuple[Path, int]:
    """Make a directory for this process; return it and the descriptor that holds its lock.

    Raises:
        OSError: It cannot be made, or the file system has no locks.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    final = folder / f"process-{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
    # It gets its name when it is locked: another process never sees it without an owner.
    path = folder / f"{_UNFINISHED}{final.name}" if wal_claims.MOVES_OPEN_FILES else final
    path.mkdir(mode=0o700)
    claim = -1
    try:
        claim = wal_claims.make_claim(path / LOCK)
        # Made now: noting what is delivered then works on a full disk too.
        PositionFile(path / POSITION).make()
        if path != final:
            path.rename(final)
    except BaseException:
        release_directory(path, claim)
        raise
    return final, claim


def take_directory(path: Path) -> int | None:
    """Lock a directory whose process is gone; return the descriptor that holds the lock.

    Returns:
        None when it has an owner, or was removed just now.

    Raises:
        OSError: It cannot be locked, as in a folder that only can be read.
    """
    try:
        return wal_claims.take_claim(path / LOCK)
    except BlockingIOError:
        return None
    except FileNotFoundError:
        # Its removal was cut off before the last step, or goes on just now.
        try:
            path.rmdir()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OSError(error.errno, "has no lock file") from error
        return None


def release_directory(path: Path, claim: int) -> None:
    """Give the lock up; remove the directory when nothing but the lock and position is in it."""
    if wal_claims.MOVES_OPEN_FILES:
        # Removed while it is locked: nobody takes it in between.
        _remove_empty(path)
        close_claim(claim)
    else:
        close_claim(claim)
        _remove_empty(path)


def close_claim(claim: int) -> None:
    """Close the descriptor of a lock; a forked child thereby does not unlock its parent's."""
    if claim >= 0:
        with contextlib.suppress(OSError):
            os.close(claim)


def list_directories(folder: Path, report: Report) -> list[Path]:
    """Return the directories of all processes, the oldest first."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are enough
    except FileNotFoundError:
        return []
    except OSError as error:
        report(f"{folder}: {error.strerror}; lines that other processes left are not sent")
        return []
    for name in names:
        if name.startswith(_UNFINISHED) and _NAME.match(name[len(_UNFINISHED) :]):
            _sweep_unfinished(folder / name)
    return [folder / name for name in names if _NAME.match(name)]


def _sweep_unfinished(path: Path) -> None:
    """Remove what a process left that was killed while it made its directory."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime < _UNFINISHED_S:
            return
        claim = take_directory(path)
        if claim is not None:
            release_directory(path, claim)


def _remove_empty(path: Path) -> None:
    with contextlib.suppress(OSError):
        if {*os.listdir(path)} <= {LOCK, POSITION}:  # noqa: PTH208 - names are enough
            (path / POSITION).unlink(missing_ok=True)
            (path / LOCK).unlink(missing_ok=True)
            path.rmdir()
