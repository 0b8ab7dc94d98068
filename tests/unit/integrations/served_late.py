"""A program that configures logging and then starts uvicorn on a socket file."""

from __future__ import annotations

import sys

import uvicorn

from loglane.integrations.uvicorn import LOG_CONFIG
from tests.unit.integrations.served_asgi import app

if __name__ == "__main__":
    chosen = {"log_config": LOG_CONFIG} if sys.argv[2] == "LOG_CONFIG" else {}
    uvicorn.run(app, uds=sys.argv[1], **chosen)
