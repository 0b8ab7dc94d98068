"""Evaluation of parsed LogQL over entries of a store.

`pipeline` turns stages into functions over one line and its `labels`; `streams` answers log
queries; `ranges`, `vectors` and `binary` answer metric queries; `query` is the entry.
"""

from __future__ import annotations

from loglane.devserver.engine.query import run_instant, run_range

__all__ = ["run_instant", "run_range"]
