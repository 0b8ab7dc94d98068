"""Streams and their entries in blocks in SQLite, with an index of labels in memory."""

from __future__ import annotations

from loglane.devserver.store.entries import EVERYTHING, Behind, Entry, NewEntry, Prefilter
from loglane.devserver.store.index import Stream
from loglane.devserver.store.store import Store

__all__ = ["EVERYTHING", "Behind", "Entry", "NewEntry", "Prefilter", "Store", "Stream"]
