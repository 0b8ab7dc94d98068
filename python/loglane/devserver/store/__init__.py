"""Streams and their entries in SQLite, with an index of labels in memory."""

from __future__ import annotations

from loglane.devserver.store.index import Stream
from loglane.devserver.store.store import Behind, Entry, NewEntry, Store

__all__ = ["Behind", "Entry", "NewEntry", "Store", "Stream"]
