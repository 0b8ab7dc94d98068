"""On what the figures were measured."""

from __future__ import annotations

import os
import platform

from loglane.stack import engine


def machine_line() -> str:
    """Name the machine and Docker in one line."""
    client = engine.connect()
    docker = client.version()["Version"]
    client.close()
    return f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Docker {docker}"
