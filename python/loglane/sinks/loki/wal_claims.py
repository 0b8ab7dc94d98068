"""A lock that one process holds on a file until it ends, in whatever way."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    # Windows neither moves nor removes what is open.
    MOVES_OPEN_FILES = False

    def _lock(fd: int) -> None:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(errno.EAGAIN, "held by another process") from error
else:
    import fcntl

    MOVES_OPEN_FILES = True

    def _lock(fd: int) -> None:
        # Not lockf: its lock ends when anything in this process closes the file.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)


def make_claim(path: Path) -> int:
    """Make a file and lock it; return the descriptor that holds the lock.

    Raises:
        OSError: The file cannot be made, or this file system has no locks.
    """
    return _locked(os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600))


def take_claim(path: Path) -> int:
    """Lock a file that is there; return the descriptor that holds the lock.

    Raises:
        BlockingIOError: A living process holds it.
        FileNotFoundError: It is not there, or not any more.
        OSError: It cannot be opened or locked.
    """
    fd = _locked(os.open(path, _FLAGS))
    try:
        # Its last holder may have removed it between the opening and the locking.
        if os.path.samestat(os.fstat(fd), path.stat()):
            return fd
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))


def _locked(fd: int) -> int:
    try:
        _lock(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd
