"""What the tests of the log on the disk share."""

from __future__ import annotations

import os
import signal
import warnings

from loglane.sinks.loki.wal import Wal


def batch(first, count=10, size=50):
    """Return numbered records: (timestamp, rank, line)."""
    return [(at, at % 5, b"%0*d" % (size, at)) for at in range(first, first + count)]


def take_all(wal, max_bytes=1_000_000):
    """Return all that can be read, and acknowledge it."""
    found = []
    while (portion := wal.read(max_bytes)) is not None:
        found += portion.records
        wal.acknowledge(portion)
    return found


def read_all(wal, max_bytes=1_000_000):
    """Return all that can be read, and acknowledge nothing."""
    found = []
    while (portion := wal.read(max_bytes)) is not None:
        found += portion.records
    wal.rewind()
    return found


def in_child(work):
    """Run `work` in a forked child that ends without any clean-up; return its pid."""
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, which another test may have left.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.alarm(60)
        work()
        status = 0
    finally:
        os._exit(status)


def wait_for(*pids):
    """Wait for children; return their exit codes, negative for a signal."""
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


class Folder:
    """A folder that is opened as by one more process each time."""

    def __init__(self, path):
        self.path = path
        self.reports = []
        self.opened = []

    def open(self, max_bytes=10_000_000, **options):
        """Return a new log that has taken nothing over yet."""
        wal = Wal(self.path, max_bytes, report=self.reports.append, **options)
        self.opened.append(wal)
        return wal

    def leave(self, *batches, **options):
        """Leave records as a killed process does; return what was appended."""
        wal = self.open(**options)
        for one in batches:
            assert len(one) == wal.append(one)
        wal.abandon()
        return [record for one in batches for record in one]

    def names(self):
        """Return all paths below the folder, sorted."""
        return sorted(str(path.relative_to(self.path)) for path in self.path.rglob("*"))

    def files(self, pattern):
        """Return the files in all directories that match."""
        return sorted(self.path.glob(f"*/{pattern}"))

    def close(self):
        """Close all that were opened."""
        for wal in self.opened:
            wal.close()
