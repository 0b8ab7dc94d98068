"""Direct push to Loki."""

from loglane.sinks.loki.sink import LokiSink

__all__ = ["LokiSink"]
