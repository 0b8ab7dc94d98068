"""A server that runs as a process of its own, on a free loopback port, with data of its own.

Fixtures and benchmarks start these: nothing here needs pytest. Each server can be stopped, killed
and started again on the same port with the same data.
"""

from __future__ import annotations

import abc
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from typing_extensions import Self

from loglane.errors import EnvironmentMissing, LoglaneError
from tests.servers.family import children_of, signal_all, wait_until_gone

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
# Below the ports that systems give to outgoing connections (from 32768 on Linux, 49152 elsewhere):
# while the server is down, a client's try to connect must not take its port, or even meet itself.
PORTS = range(20_000, 32_000)
_LOG_TAIL_LINES = 30


class ServerFailed(LoglaneError):
    """A database server did not start or stop; the message has the end of its log."""


class Server(abc.ABC):
    """One server process; its folder is made at the first start and goes with `remove`."""

    program: ClassVar[str]
    package: ClassVar[str]
    search: ClassVar[tuple[str, ...]] = ()
    account: ClassVar[str | None] = None
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, like: Self | None = None) -> None:
        """Prepare a server; it is not started.

        Args:
            like: A server that was initialised but never started: its data is copied, which is
                much quicker than making it.
        """
        self.port = _free_port()
        self._like = like
        self._process: subprocess.Popen[bytes] | None = None
        # Not in pytest's folders: these have parents that only their owner may enter, and a server
        # may have to run as somebody else. Its path is short enough for a Unix socket.
        self.folder = Path(tempfile.mkdtemp(prefix=f"loglane-{self.program}-", dir="/tmp"))

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """Return the URL of the default database, in SQLAlchemy's form without a driver."""

    @abc.abstractmethod
    def new_database(self) -> str:
        """Make an empty database and return its URL."""

    @abc.abstractmethod
    def answers(self) -> bool:
        """Tell whether the server takes a connection now."""

    @abc.abstractmethod
    def _command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    @abc.abstractmethod
    def _make_data(self) -> None:
        """Write the files of an empty server into `self.data`."""

    @property
    def data(self) -> Path:
        """Return the folder of the server's data."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """Return the file that the server writes its messages to."""
        return self.folder / "log"

    @property
    def pid(self) -> int | None:
        """Return the id of the running process, or None."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process else None

    def initialise(self) -> None:
        """Make the data folder when there is none yet.

        Raises:
            EnvironmentMissing: The server's program is not on this machine.
            ServerFailed: The data could not be made.
        """
        if self.data.exists():
            return
        self.find(self.program)
        self._give_away(self.folder)
        if self._like is None:
            self._make_data()
        else:
            shutil.copytree(self._like.data, self.data)
            self._give_away(self.data)

    def start(self) -> Self:
        """Start the server and wait until it answers; do nothing when it runs.

        Raises:
            EnvironmentMissing: The server's program is not on this machine.
            ServerFailed: It ended, or did not answer in time.
        """
        self.initialise()
        if self.pid is not None:
            return self
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C in the terminal is for the tests alone
                **self._identity(),
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if self.pid is None or time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"{self.program} did not start; log:\n{self._tail()}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Let the server end properly.

        Raises:
            ServerFailed: It did not end in time; it was killed then.
        """
        if self._process is None:
            return
        self.resume()
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"{self.program} did not stop; log:\n{self._tail()}") from None
        self._process = None

    def kill(self) -> None:
        """End the server and the processes it started at once, with SIGKILL."""
        if self._process is None:
            return
        family = self._family()
        self._process.kill()
        self._process.wait()
        self._process = None
        # PostgreSQL refuses to start while a process of the former server is alive.
        signal_all(family, signal.SIGKILL)
        wait_until_gone(family, STOP_TIMEOUT_S)

    def pause(self) -> None:
        """Let the server hang: its connections stay open, nothing answers."""
        signal_all(self._family(), signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        signal_all(self._family(), signal.SIGCONT)

    def remove(self) -> None:
        """Stop the server and delete its folder."""
        try:
            self.stop()
        finally:
            self.kill()
            shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except LoglaneError:
            self.remove()
            raise

    def __exit__(self, *_: object) -> None:
        self.remove()

    @classmethod
    def find(cls, program: str) -> str:
        """Return a program's path.

        Raises:
            EnvironmentMissing: It is not on this machine.
        """
        folders = [str(folder) for place in cls.search for folder in _newest_first(place)]
        path = shutil.which(program, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
        if path is None:
            raise EnvironmentMissing(
                f"Needs `{program}`: apt-get install --no-install-recommends {cls.package} "
                "(other systems: CONTRIBUTING.md, Tests)"
            )
        return path

    def _run(self, command: Sequence[str]) -> None:
        """Run a command to its end as the server's user."""
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            check=False,
            **self._identity(),
        )
        if done.returncode:
            said = done.stdout.decode(errors="replace")
            raise ServerFailed(f"{command[0]} failed with {done.returncode}:\n{said}")

    def _identity(self) -> dict[str, object]:
        """Return as whom and with which environment a process of the server runs."""
        # Messages in English, and a locale that exists everywhere.
        identity: dict[str, object] = {"env": {**os.environ, "LC_ALL": "C"}}
        if self._runs_as_another:
            identity |= {"user": self.account, "group": self.account, "extra_groups": []}
        return identity

    @property
    def _runs_as_another(self) -> bool:
        return self.account is not None and os.geteuid() == 0

    def _give_away(self, folder: Path) -> None:
        """Make the server's user the owner of everything in a folder."""
        if not self._runs_as_another:
            return
        for path in (folder, *folder.rglob("*")):
            try:
                shutil.chown(path, self.account, self.account)
            except LookupError:
                raise EnvironmentMissing(
                    f"Needs a user `{self.account}`: {self.program} does not run as root; "
                    f"apt-get install {self.package} makes one"
                ) from None

    def _family(self) -> list[int]:
        """Return the ids of the server's process and its children, when it runs."""
        return [self.pid, *children_of(self.pid)] if self.pid is not None else []

    def _tail(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-_LOG_TAIL_LINES:])


def _free_port() -> int:
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed("a hundred ports were tried, none is free")


def _newest_first(place: str) -> list[Path]:
    """Return the folders that a pattern names; `/usr/lib/postgresql/16` is before `15`."""
    found = Path("/").glob(place.lstrip("/"))
    return sorted(found, key=lambda folder: (len(str(folder)), str(folder)), reverse=True)
