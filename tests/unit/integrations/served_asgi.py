"""An ASGI app that the tests start servers with."""

from __future__ import annotations

import asyncio

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse

import loglane
from loglane.integrations.asgi import install

loglane.configure(mode="container", service="shop")
log = loglane.get_logger("app")
app = FastAPI()
install(app)


@app.get("/ready")
async def ready():
    return "ready"


@app.get("/items/{number}")
async def item(number: int, tasks: BackgroundTasks):
    loglane.bind_context(user_id=number)
    await asyncio.sleep(0)
    await asyncio.to_thread(log.info, "in a thread")
    tasks.add_task(log.info, "afterwards")
    return number


@app.get("/plain")
async def plain():
    log.info("inside")
    return "plain"


@app.get("/stream/{number}")
def stream(number: int):
    def parts():
        for part in range(3):
            log.info("part", part=part)
            yield f"{part}"

    return StreamingResponse(parts())


@app.get("/endless")
async def endless():
    async def parts():
        try:
            while True:
                yield "x" * 1000
                await asyncio.sleep(0.01)
        finally:
            log.info("cleaned")

    return StreamingResponse(parts())


@app.get("/crash")
async def crash():
    return 1 / 0
