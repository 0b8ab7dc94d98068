"""Sinks as they are often written, to see that the counting finds what they lose and double."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx2
import orjson

from benchmarks.faults.counting import SERVICE

_PAUSE_S = 0.2
_TIMEOUT_S = 10.0


class NaiveSink:
    """Sends what it has every so often.

    Args:
        url: Where Loki is.
        resend: Send lines again, with the time of that moment, when there was no good answer;
            else they are dropped and nobody is told.
    """

    def __init__(self, url: str, resend: bool) -> None:
        self._resend = resend
        self._lines: list[bytes] = []
        self._ends = False
        self._sent = 0
        self._http = httpx2.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, **fields: Any) -> None:
        """Take one line."""
        self._lines.append(orjson.dumps(fields))

    def stats(self) -> dict[str, Any]:
        """Return what it knows, which is not much."""
        return {"queued": len(self._lines), "sent": self._sent, "dropped": {}}

    def close(self) -> None:
        """Send what is left, once."""
        self._ends = True
        self._thread.join()

    def _run(self) -> None:
        while not self._ends:
            time.sleep(_PAUSE_S)
            self._send()
        self._send()

    def _send(self) -> None:
        batch, self._lines = self._lines, []
        now_ns = time.time_ns()
        values = [[str(now_ns + place), line.decode()] for place, line in enumerate(batch)]
        body = {"streams": [{"stream": {"service": SERVICE}, "values": values}]}
        if batch and not self._push(body) and self._resend:
            self._lines = batch + self._lines

    def _push(self, body: dict[str, Any]) -> bool:
        try:
            status = self._http.post("/loki/api/v1/push", json=body).status_code
        except httpx2.TransportError:
            return False
        self._sent += status == 204
        return status == 204
