"""Ask Loki from Python."""

from loglane.query.client import Entry, LokiClient, Sample, Stream

__all__ = ["Entry", "LokiClient", "Sample", "Stream"]
