"""The app's own structlog processors, between a complete line and its masking."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from structlog import DropEvent

from loglane.record import OWN

Processor = Callable[[Any, str, MutableMapping[str, Any]], Mapping[str, Any]]


class ProcessorChain:
    """Runs processors over records, one after the other; one that fails is left out and named."""

    def __init__(self, processors: Sequence[Processor]) -> None:
        self._processors = processors
        self._running = threading.local()

    def __call__(self, level: str, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the record as the processors have it; None when one of them drops it."""
        if getattr(self._running, "inside", False):
            # A processor that logs: its line must not go through it again.
            return dict(record)
        # As structlog calls the message.
        event = dict(record)
        event = {"event": event.pop("message"), **event}
        self._running.inside = True
        try:
            for processor in self._processors:
                event = _processed(processor, level, event)
        except DropEvent:
            return None
        finally:
            self._running.inside = False
        first = {name: event.pop(name) for name in OWN[:2] if name in event}
        return {**first, "message": event.pop("event", ""), **event}


def _processed(processor: Processor, level: str, event: dict[str, Any]) -> dict[str, Any]:
    try:
        changed = processor(None, level, dict(event))
        if not isinstance(changed, Mapping):
            raise TypeError(f"it returned {type(changed).__name__}, not a mapping")
        return dict(changed)
    except DropEvent:
        raise
    except Exception as error:  # noqa: BLE001 - the line is written without it
        name = getattr(processor, "__qualname__", type(processor).__name__)
        return {**event, "processor_error": f"{name}: {type(error).__name__}: {error}"}
