"""The demo: an example app, its logs shipped to an embedded server, and queries that find them."""

from loglane.demo.run import run_demo

__all__ = ["run_demo"]
