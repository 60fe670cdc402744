"""Program: a server that answers every POST with one file. `python -m tests.bench.openadr2_site PORT FILE`

Says `ready` when it listens; ends when its stdin closes.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp import web


async def serve(port: int, said: bytes) -> None:
    """Until stdin closes."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=said, content_type="application/xml")

    app = web.Application()
    app.router.add_post("/{service}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
