"""Loki's HTTP API over a store: `app` routes, `push` writes, `reads` answers."""

from __future__ import annotations

from loglane.devserver.api.app import create_app

__all__ = ["create_app"]
