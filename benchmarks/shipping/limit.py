"""What one connection can take at most: ready-made batches, sent back to back."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from benchmarks.shipping.batches import Batch, Encoding

_TIMEOUT_S = 60.0


def push_back_to_back(url: str, batches: Sequence[Batch], encoding: Encoding) -> float:
    """Push batches over one connection; return the seconds until the last one is confirmed.

    Raises:
        AssertionError: Loki did not answer 204.
    """
    where = urlsplit(url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=_TIMEOUT_S)
    headers = dict(encoding.headers)
    connection.connect()
    began = time.perf_counter()
    for batch in batches:
        connection.request("POST", "/loki/api/v1/push", batch.body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 204:
            raise AssertionError(f"Loki answered {answer.status}: {said[:500]!r}")
    seconds = time.perf_counter() - began
    connection.close()
    return seconds
