"""Takes the pictures of the documents from the running demo: `python -m docs.images.make_pictures` in the root.

Nothing is staged: the demo's world, the real gateway in it, the page in headless Chromium, an event from the VTN. So a
picture shows what anyone sees who runs `make demo`; only the moment is chosen. Needs chromium and fonts-noto-cjk.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
from pathlib import Path

from tests.wire.browser import Page, browser, open_page
from vpp_gateway.demo import plan
from vpp_gateway.demo.acts import Player
from vpp_gateway.demo.world import World, free_port, open_world

FOLDER = Path(__file__).parent
PICTURES = {"page.png": "en", "page-ja.png": "ja"}
QUIET_S = 40.0
"""Undisturbed load before the first event."""
PAUSE_S = 12.0
"""Undisturbed load between the two events: the baseline of the second one."""
INTO_S = 27.0
"""The moment of the picture, seconds after the second event's start."""
BYTES_MAX = 400_000
SETTLE_S = 2.5
"""From a click to a page at rest, with a fresh second on it."""
DOWN, UP = plan.ACTS[0], plan.ACTS[1]


async def shot(page: Page) -> bytes:
    """What the page shows, as a PNG."""
    said = await page.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)
    return base64.b64decode(said["data"])


def keep(image: bytes, path: Path) -> None:
    """Write a picture that is small enough for a repository."""
    if len(image) > BYTES_MAX:
        raise SystemExit(f"{path.name} has {len(image)} bytes, allowed are {BYTES_MAX}")
    path.write_bytes(image)
    print(f"{path.name}: {len(image)} bytes")


async def show(world: World, page: Page) -> None:
    """Open the gateway's page and wait until it lives."""
    await page.call("Page.navigate", url=world.page_url())
    await page.until("document.querySelector('.site-row') && document.querySelector('.uplot canvas')")


async def choose(page: Page, lang: str) -> None:
    """Switch the page's language, and let a second pass so that every number is fresh."""
    if await page.value("document.documentElement.lang") != lang:
        await page.click("日本語" if lang == "ja" else "EN")
        await page.until(f"document.documentElement.lang === '{lang}'")
    await asyncio.sleep(SETTLE_S)


async def fold(page: Page) -> None:
    """Close the details of the running event, so that the list of events is seen whole."""
    await page.value("document.querySelector('.card-events [aria-expanded=true]').click()")


async def play(folder: Path) -> None:
    """Start the world, let an up event pass, and take the pictures in the middle of a down event."""
    async with (
        open_world(folder, console_port=free_port(), seed=1) as world,
        browser() as devtools,
        open_page(devtools, scheme="light", width=1440, height=900) as page,
    ):
        await world.ready()
        await show(world, page)
        await asyncio.sleep(QUIET_S)
        player = Player(world, plan.WATCHED, print)
        await player.play((UP,))
        await asyncio.sleep(PAUSE_S)
        due_at = float(int(world.clock.utc() + plan.WATCHED.notice_s))
        sent = [player.send(order, due_at) for order in DOWN.orders]
        await asyncio.sleep(max(0.0, sent[0].due_at + INTO_S - world.clock.utc()))
        await page.click("2 min")
        await fold(page)
        for name, lang in PICTURES.items():
            await choose(page, lang)
            keep(await shot(page), FOLDER / name)
        for complaint in page.complaints:
            print(f"the page complains: {complaint}", file=sys.stderr)


def main() -> None:
    """Entry point."""
    with tempfile.TemporaryDirectory(prefix="vppgw-") as folder:
        asyncio.run(play(Path(folder)))


if __name__ == "__main__":
    main()
