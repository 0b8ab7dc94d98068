"""A WSGI app that the tests start servers with."""

from __future__ import annotations

import os
import time
from pathlib import Path

import flask

import loglane
from loglane.integrations.wsgi import RequestLogWsgiMiddleware

loglane.configure(mode="container", service="shop")
log = loglane.get_logger("app")
app = flask.Flask("shop")
app.wsgi_app = RequestLogWsgiMiddleware(app.wsgi_app)
# Where workers leave a trace of theirs for each other.
MEETING = Path(os.environ.get("MEETING", "."))


@app.get("/ready")
def ready():
    return "ready"


@app.get("/items/<int:number>")
def item(number):
    loglane.bind_context(user_id=number)
    log.info("inside", pid=os.getpid())
    return str(number)


@app.get("/stream/<int:number>")
def stream(number):
    def parts():
        for part in range(3):
            log.info("part", part=part)
            yield str(part)

    return flask.Response(parts())


@app.get("/meet")
def meet():
    """Answer when another worker is here too: two of these keep two workers busy."""
    (MEETING / str(os.getpid())).touch()
    end = time.monotonic() + 30
    while len(list(MEETING.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    log.info("met", pid=os.getpid())
    return str(os.getpid())


@app.get("/crash")
def crash():
    return 1 / 0
