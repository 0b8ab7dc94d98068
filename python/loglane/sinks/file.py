"""Lines to a rotating file that several processes may share."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import time
from collections import deque
from pathlib import Path

try:
    import fcntl as _fcntl
except ImportError:  # Windows
    _fcntl = None  # type: ignore[assignment]

# Log lines may hold personal data: only the owner reads a file that is made here. One that is
# there already keeps its mode, also when it is rotated.
_MODE = 0o600
# A FIFO without a reader would block the opening for ever; regular files do not mind.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
_FLAGS |= getattr(os, "O_BINARY", 0)
# A process that was stopped inside its write must not stop the others for ever.
_LOCK_WAIT_S = 2.0
_LOCK_PAUSE_S = 0.0002
_LOCK_MAX_PAUSE_S = 0.002


class FileSink:
    """Appends lines to a file and rotates it: `app.log`, `app.log.1` (newest), `app.log.2`, ...

    Processes that share the file take turns by a lock on `<path>.lock`. Where there is no such
    lock (Windows, some network file systems) only one process may write. A file that was moved or
    deleted is made anew. Nothing is raised into the caller.

    Attributes:
        dropped: Lines that could not be written; each is tried once.
        problem: Why the last line could not be written, or the file not be rotated or locked;
            empty when all was well.
    """

    def __init__(
        self, path: str | os.PathLike[str], max_bytes: int = 10 * 1024 * 1024, backups: int = 5
    ) -> None:
        """Set the place; the file is opened at the first line.

        Args:
            path: The file; missing folders are made, a new file has mode 0600.
            max_bytes: A line that would make the file longer goes to a new one, so a file is
                longer only when a single line is; 0 never rotates.
            backups: How many rotated files are kept; 0 keeps none.
        """
        # Absolute, so that a later change of directory does not split the log.
        try:
            self._path = os.path.realpath(path)
        except OSError:
            # The working directory is gone; writing will say so.
            self._path = os.fspath(path)
        self._max_bytes = max_bytes
        self._backups = backups
        self._fd = self._lock_fd = -1
        self._identity = (0, 0)
        self._start_clean()

    def _start_clean(self) -> None:
        self._lock = threading.RLock()
        self._lines: deque[bytes] = deque()
        self._writing = False
        self._patient = True
        self.dropped = 0
        self.problem = ""

    def write(self, line: bytes) -> None:
        """Append one line, given without its newline; the system has it when this returns."""
        with self._lock:
            self._lines.append(line)
            if self._writing:
                return  # a signal handler logs inside a write, which takes this line along
            self._writing = True
            try:
                while self._lines:
                    self._put(self._lines.popleft() + b"\n")
            finally:
                self._writing = False

    def hurry(self) -> None:
        """Wait no longer for other processes, because a signal ends this one."""
        self._patient = False

    def drain(self) -> None:
        """Append what waits for a write that a signal has interrupted and that will not go on."""
        while self._lines and self._fd >= 0:
            self._append(self._lines.popleft() + b"\n", os.fstat(self._fd).st_size)

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        with self._lock:
            self._close_log()
            self._close_lock()

    def start_child(self) -> None:
        """Start clean in a forked child: new locks, no line and no count of the parent."""
        self._start_clean()
        # The inherited descriptor of the lock is the parent's lock: it would exclude nobody.
        self._close_log()
        self._close_lock()

    def _put(self, data: bytes) -> None:
        self.problem = ""
        try:
            may_rotate, size = self._take_turn(), self._current_size()
            if size is None:
                # Whoever moved the file may have moved the lock with it: take the turn anew.
                self.close()
                self.problem = ""
                may_rotate, size = self._take_turn(), self._open(_MODE)
            if may_rotate and size and 0 < self._max_bytes < size + len(data):
                size = self._rotate()
            self._append(data, size)
        except Exception as error:  # noqa: BLE001 - a full disk must not reach the log call
            self.dropped += 1
            self.problem = f"{self._path}: {_reason(error)}; the line is dropped"
        finally:
            self._end_turn()

    def _append(self, data: bytes, size: int) -> None:
        if size and _byte_at(self._fd, size - 1) != b"\n":
            # The disk was full, or a process was killed, in the middle of a line.
            data = b"\n" + data
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def _current_size(self) -> int | None:
        """Return the size of the open file; None when the path is another file, or none."""
        if self._fd < 0:
            return None
        try:
            opened = os.fstat(self._fd)
        except OSError:
            opened = None
        if opened is None or (opened.st_dev, opened.st_ino) != self._identity:
            # A daemon closes what it inherits; the numbers may be other files by now.
            self._fd = self._lock_fd = -1
            return None
        try:
            found = os.stat(self._path)  # noqa: PTH116 - for each line: Path is slower
        except FileNotFoundError:
            return None
        return found.st_size if (found.st_dev, found.st_ino) == self._identity else None

    def _open(self, mode: int) -> int:
        """Open the file, made with this mode if it is not there; return its size."""
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, _FLAGS, mode)
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            self._close_log()
            raise OSError(errno.EINVAL, "not a regular file")
        self._identity = (found.st_dev, found.st_ino)
        return found.st_size

    def _rotate(self) -> int:
        """Begin a new file and return its size; when that fails, the old one goes on."""
        mode = stat.S_IMODE(os.fstat(self._fd).st_mode)
        # Windows moves no open file.
        self._close_log()
        try:
            self._shift()
        except OSError as error:
            self.problem = f"{self._path}: {_reason(error)}; the file cannot be rotated and grows"
        size = self._open(mode)
        if not size and hasattr(os, "fchmod"):
            os.fchmod(self._fd, mode)  # what the umask took away
        return size

    def _shift(self) -> None:
        if self._backups < 1:
            Path(self._path).unlink()
            return
        names = [f"{self._path}.{number}" for number in range(1, self._backups + 1)]
        # Only up to the first gap: trying again after a failure moves nothing out at the end.
        gap = next((at for at, name in enumerate(names) if not os.path.lexists(name)), None)
        for at in range(self._backups - 1 if gap is None else gap, 0, -1):
            Path(names[at - 1]).replace(names[at])
        Path(self._path).replace(names[0])

    def _take_turn(self) -> bool:
        """Wait for this process's turn; return whether the file may be rotated."""
        if _fcntl is None:
            return True
        try:
            if self._lock_fd < 0:
                self._open_lock()
            return self._wait_for_lock()
        except OSError as error:
            # As in a folder that only takes the file that is there already.
            self.problem = f"{self._path}.lock: {_reason(error)}; the file is not rotated"
            return False

    def _open_lock(self) -> None:
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        self._lock_fd = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, _MODE)

    def _wait_for_lock(self) -> bool:
        deadline = time.monotonic() + (_LOCK_WAIT_S if self._patient else 0.0)
        pause_s = _LOCK_PAUSE_S
        while True:
            try:
                # Not lockf: its lock ends when anything in this process closes the lock's file.
                _fcntl.flock(self._lock_fd, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    break
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LOCK_MAX_PAUSE_S)
            else:
                self._patient = True
                return True
        # Appending is safe without it. The next lines do not wait again.
        self._patient = False
        self.problem = f"{self._path}.lock: held by a process that hangs; the file is not rotated"
        return False

    def _end_turn(self) -> None:
        if self._lock_fd >= 0:
            with contextlib.suppress(OSError):
                _fcntl.flock(self._lock_fd, _fcntl.LOCK_UN)

    def _close_log(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _close_lock(self) -> None:
        fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)


def _byte_at(fd: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, 1, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, 1)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
