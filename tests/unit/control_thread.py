"""The real control socket over a made-up gateway, served from a thread, for tests of the command line."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.unit.console_fake import FakeSource
from vpp_gateway.console.capacity import Capacities
from vpp_gateway.console.control import serve_control
from vpp_gateway.console.operator import Acts


@contextmanager
def answering(
    source: FakeSource, state_dir: Path, acts: Acts | None = None, capacities: Capacities | None = None
) -> Iterator[Path]:
    """Answer on `state_dir/control.sock` during the block."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    done = asyncio.Event()

    async def serve() -> None:
        async with serve_control(source, state_dir, acts, capacities):
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield state_dir
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()
