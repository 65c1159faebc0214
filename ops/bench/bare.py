"""Bare: an aiohttp server that answers and does nothing: the limit of one that does something."""

import asyncio
import sys

import uvloop
from aiohttp import web


async def accept(request: web.Request) -> web.Response:
    """Read the body and answer as the gateway does, without looking at either."""
    await request.read()
    return web.json_response({"command_id": "", "pk": "", "entry": "", "location": ""}, status=202)


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    app.router.add_post("/exams", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
