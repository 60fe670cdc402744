"""The page of a running centre costs only itself: its address may be taken, its folder may be gone."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from tests.unit.console_fake import FakeSource, ToyClock, World
from tests.unit.console_http import BEGIN
from vpp_gateway.clock import SeededRng
from vpp_gateway.console.access import Access
from vpp_gateway.console.page import keep_page
from vpp_gateway.console.web import Listen, serve_console

BRIEF_S = 0.02


async def until(true: Callable[[], object], what: str) -> None:
    """Wait for it, at most 5 s."""

    for _ in range(250):
        if true():
            return
        await asyncio.sleep(BRIEF_S)
    raise AssertionError(what)


async def keeping(port: int, url_file: Path, told: list[str]) -> None:
    clock = ToyClock(BEGIN)
    access = Access(clock, SeededRng(1))
    await keep_page(
        lambda: serve_console(FakeSource(World(BEGIN), clock), access, clock, Listen(port=port)),
        access=access,
        url_file=url_file,
        trouble=told.append,
        retry_s=BRIEF_S,
    )


def test_a_taken_address_is_named_and_tried_again(tmp_path: Path) -> None:
    async def play() -> None:
        told: list[str] = []
        url_file = tmp_path / "console.url"
        url_file.write_text("of an earlier life\n")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            page = asyncio.create_task(keeping(port, url_file, told))
            await until(lambda: len(told) > 1, "no word of the trouble")
            assert f"cannot listen on 127.0.0.1:{port}" in told[0]
            assert not url_file.exists()
        await until(url_file.exists, "no page although the address is free")
        assert told[-1] == ""
        assert url_file.read_text().startswith(f"http://127.0.0.1:{port}/?token=")
        assert stat.S_IMODE(url_file.stat().st_mode) == 0o600
        page.cancel()
        await asyncio.gather(page, return_exceptions=True)

    asyncio.run(play())


def test_an_address_that_cannot_be_left_for_the_operator_is_named(tmp_path: Path) -> None:
    async def play() -> None:
        told: list[str] = []
        folder = tmp_path / "later"
        page = asyncio.create_task(keeping(0, folder / "console.url", told))
        await until(lambda: told, "no word of the trouble")
        assert "No such file" in told[0]
        folder.mkdir()
        await until((folder / "console.url").exists, "no page although the folder is there")
        page.cancel()
        await asyncio.gather(page, return_exceptions=True)

    asyncio.run(play())
