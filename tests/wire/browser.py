"""A real browser for the page tests: headless Chromium, driven over its DevTools protocol.

Everything that the page says to its console or asks of the network is kept, so that a test can demand silence.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
PATIENCE_S = 60.0
"""Generous: a browser starts slowly on a busy machine; nothing is measured by it."""


class Page:
    """One tab."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []
        """Errors and warnings: exceptions, console, browser log (CSP, failed loads)."""
        self.requests: list[str] = []
        """Every URL that the page asked for."""

    async def listen(self) -> None:
        """Take in what the browser says, until it closes."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            said = json.loads(message.data)
            if "id" in said:
                self._waiting.pop(said["id"]).set_result(said)
            else:
                self._note(said["method"], said.get("params", {}))

    def _note(self, method: str, params: Mapping[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(params["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.complaints.append(json.dumps(params["args"])[:500])
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """One DevTools command and its result."""
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE_S):
            said = await answer
        assert "error" not in said, f"{method}: {said['error']}"
        found: dict[str, Any] = said["result"]
        return found

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression (or its promise) gives."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true, looking once per frame."""
        looking = (
            "new Promise((done) => { const look = () => { "
            f"if ({expression}) done(true); else setTimeout(look, 16); }}; look(); }})"
        )
        try:
            await self.value(looking)
        except TimeoutError:
            shown = await self.value("document.body.innerText")
            raise AssertionError(f"never true: {expression}\nthe page shows:\n{shown}") from None

    async def click(self, text: str) -> None:
        """Click the button with exactly this text."""
        script = (
            f"[...document.querySelectorAll('button')].filter(b => b.innerText.trim() === {json.dumps(text)})"
        )
        assert await self.value(f"{script}.length") == 1, f"one button {text!r}"
        await self.value(f"{script}[0].click()")


@asynccontextmanager
async def browser() -> AsyncIterator[str]:
    """A browser for the block; yields its DevTools address, for `open_page`."""
    assert CHROMIUM is not None
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while b"DevTools listening on ws://" not in (line := await process.stderr.readline()):
                    assert line, "the browser ended before it began"
            draining = asyncio.get_running_loop().create_task(process.stderr.read())
            yield "http://" + line.decode().split("ws://")[1].partition("/")[0]
        finally:
            process.terminate()
            await process.wait()
        await draining


@asynccontextmanager
async def open_page(
    devtools: str, *, scheme: str = "light", width: int = 1440, height: int = 900
) -> AsyncIterator[Page]:
    """An empty tab of that size and colour scheme, in Tokyo."""
    async with ClientSession() as client, asyncio.TaskGroup() as group:
        async with client.put(f"{devtools}/json/new?about:blank") as answer:
            target = await answer.json()
        async with client.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            page = Page(socket)
            listening = group.create_task(page.listen())
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.call(f"{domain}.enable")
            await page.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=False,
            )
            await page.call(
                "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
            )
            await page.call("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")
            await page.call("Network.setCacheDisabled", cacheDisabled=True)
            yield page
            listening.cancel()
        async with client.get(f"{devtools}/json/close/{target['id']}"):
            pass
