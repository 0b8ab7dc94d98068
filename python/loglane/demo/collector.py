"""Does for one child process what the stack's collector does for containers."""

from __future__ import annotations

import json
import queue
import threading
import time
from dataclasses import dataclass
from typing import IO

from loglane.fields import route
from loglane.query import LokiClient, Stream

_BATCH = 500
_END = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line that the app wrote: when it was read, and on which of its streams."""

    timestamp_ns: int
    text: str
    stream: str


class Collector:
    """Reads an app's stdout and stderr, and pushes every line with the contract's labels.

    `lines` holds what was read; after `finish` all of it has been confirmed by the server.
    """

    def __init__(self, client: LokiClient, service: str, env: str) -> None:
        self.lines: list[Line] = []
        self._client = client
        self._defaults = {"service": service, "env": env}
        self._queue: queue.Queue[Line | None] = queue.Queue()
        self._readers: list[threading.Thread] = []
        self._failure: Exception | None = None
        self._shipper = threading.Thread(target=self._ship, name="demo-shipper")
        self._clock = threading.Lock()
        self._last_ns = 0

    def attach(self, stdout: IO[str], stderr: IO[str]) -> None:
        """Start reading both streams until the app closes them."""
        for name, pipe in (("stdout", stdout), ("stderr", stderr)):
            reader = threading.Thread(target=self._read, args=(name, pipe), name=f"demo-{name}")
            self._readers.append(reader)
            reader.start()
        self._shipper.start()

    def finish(self) -> None:
        """Wait until every line has been pushed.

        Raises:
            LoglaneError: A push failed.
        """
        for reader in self._readers:
            reader.join()
        self._queue.put(_END)
        self._shipper.join()
        if self._failure is not None:
            raise self._failure

    def _read(self, stream: str, pipe: IO[str]) -> None:
        for text in pipe:
            line = Line(self._now_ns(), text.rstrip("\n"), stream)
            self.lines.append(line)
            self._queue.put(line)

    def _now_ns(self) -> int:
        # Loki stores a line once for each stream, time and text, so two alike need two times.
        with self._clock:
            self._last_ns = max(time.time_ns(), self._last_ns + 1)
            return self._last_ns

    def _ship(self) -> None:
        ended = False
        while not ended:
            batch = [self._queue.get()]
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            ended = _END in batch
            lines = [line for line in batch if line is not None]
            if lines and self._failure is None:
                try:
                    self._client.push([self._stream(line) for line in lines])
                except Exception as error:  # noqa: BLE001 - raised by finish, in the caller's thread
                    self._failure = error

    def _stream(self, line: Line) -> Stream:
        record = {**self._defaults, "stream": line.stream}
        try:
            parsed = json.loads(line.text)
        except ValueError:
            parsed = None
        if isinstance(parsed, dict):
            record |= parsed
        labels, metadata = route(record)
        return Stream(labels, [(line.timestamp_ns, line.text, metadata)])
