"""The page in a real browser, during a made-up event: silent, self-contained, quick, whole in both languages."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tests.repository import ROOT
from tests.unit.console_fake import END_S, RECEIVED_S, START_S, FakeSource, ToyClock, World
from tests.unit.console_http import BEARER
from tests.wire.browser import CHROMIUM, Page, browser, open_page
from vpp_gateway.clock import SeededRng
from vpp_gateway.console.access import Access
from vpp_gateway.console.web import Listen, login_url, serve_console

BEGIN = 1_800_000_000.0
FIRST_PAINT_MAX_MS = 1000.0
JS_MAX_BYTES = 60 * 1024

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """The page as its sources stand now."""
    if shutil.which("npm") is None:
        pytest.skip("no Node: apt-get install nodejs npm")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    hook.build_page(ROOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """A page that watches the made-up gateway, whose time the test moves."""

    page: Page
    url: str
    source: FakeSource
    clock: ToyClock

    def at(self, seconds: float) -> None:
        """Go to `seconds` after the start of the event and publish that second."""
        self.clock.now = BEGIN + START_S + seconds
        self.source.beat()


@asynccontextmanager
async def showing(
    devtools: str,
    *,
    seconds: float = 150.0,
    lang: str = "en",
    scheme: str = "light",
    width: int = 1440,
    checked: bool = False,
) -> AsyncIterator[Show]:
    clock = ToyClock(BEGIN + START_S + seconds)
    source = FakeSource(World(BEGIN, checked=checked), clock)
    access = Access(clock, SeededRng(7), BEARER)
    async with (
        serve_console(source, access, clock, Listen(port=0)) as url,
        open_page(devtools, scheme=scheme, width=width) as page,
    ):
        await page.call("Page.navigate", url=f"{login_url(url, access)}&lang={lang}")
        await page.until("document.querySelector('.site-row') && document.querySelector('.uplot canvas')")
        yield Show(page=page, url=url, source=source, clock=clock)


def play(act: Callable[[str], Awaitable[None]]) -> None:
    async def run() -> None:
        async with browser() as devtools:
            await act(devtools)

    asyncio.run(run())


SHOWN = "document.querySelector('{}').innerText"
OVERFLOWING = (
    "[...document.querySelectorAll('.card')]"
    ".filter(c => c.scrollHeight > c.clientHeight + 1 || c.scrollWidth > c.clientWidth + 1)"
    ".map(c => c.className)"
)


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_one_look_without_scrolling_without_a_complaint_and_without_the_world(lang: str, scheme: str) -> None:
    async def act(devtools: str) -> None:
        for seconds in (-200.0, -10.0, 4.0, 150.0, END_S - START_S + 5):
            async with showing(devtools, seconds=seconds, lang=lang, scheme=scheme) as show:
                page = show.page
                show.at(seconds + 1)
                await page.until(f"{SHOWN.format('.clock')} !== ''")
                assert await page.value("document.documentElement.scrollHeight") <= 900
                assert await page.value("document.documentElement.scrollWidth") <= 1440
                assert await page.value(OVERFLOWING) == []
                assert await page.value("document.documentElement.lang") == lang
                assert await page.value("location.search") == f"?lang={lang}", "the token stays nowhere"
                assert page.complaints == []
                own = urlsplit(show.url).netloc
                assert {urlsplit(url).netloc for url in page.requests} == {own}

    play(act)


def test_first_paint_and_weight() -> None:
    async def act(devtools: str) -> None:
        paints = []
        for _ in range(3):
            async with showing(devtools) as show:
                await show.page.until("performance.getEntriesByName('picture').length > 0")
                paints.append(
                    await show.page.value(
                        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
                    )
                )
                weight = await show.page.value(
                    "performance.getEntriesByType('resource')"
                    ".filter(r => r.name.endsWith('.js')).reduce((sum, r) => sum + r.encodedBodySize, 0)"
                )
                assert 0 < weight <= JS_MAX_BYTES
        assert statistics.median(paints) <= FIRST_PAINT_MAX_MS, paints

    play(act)


def test_an_event_passes_through() -> None:
    async def act(devtools: str) -> None:
        async with showing(devtools, seconds=-60.0) as show:
            page = show.page
            assert "No order in force" in await page.value(SHOWN.format(".hero"))

            show.at(RECEIVED_S - START_S + 1)
            await page.until(f"{SHOWN.format('.card-stopwatch')}.includes('EV-2026-0117')")
            assert "until start" in await page.value(SHOWN.format(".face"))
            assert "87 ms" in await page.value(SHOWN.format(".steps"))

            show.at(3.0)
            await page.until(f"{SHOWN.format('.hero')}.includes('ramping')")
            steps = await page.value(SHOWN.format(".steps"))
            assert "419 ms" in steps and "862 ms" in steps and "5.20 s" not in steps

            show.at(150.0)
            await page.until(f"{SHOWN.format('.hero')}.includes('within ±10 %')")
            delivered = float(await page.value(SHOWN.format(".big-delivered")))
            point = show.source.world.point(show.clock.now)
            assert delivered == pytest.approx(point.regulation_w / 1e6, abs=0.006)
            assert await page.value(SHOWN.format(".big-ordered")) == "/ 9.00 MW"
            assert "5.20 s" in await page.value(SHOWN.format(".steps"))
            assert "Batteries go first" in await page.value(SHOWN.format(".why"))

            show.at(END_S - START_S + 1)
            await page.until(f"{SHOWN.format('.hero')}.includes('No order in force')")
            assert "30:00" in await page.value(SHOWN.format(".face"))
            assert page.complaints == []

    play(act)


def test_silence_turns_everything_grey_and_the_next_beat_brings_it_back() -> None:
    async def act(devtools: str) -> None:
        async with showing(devtools) as show:
            page = show.page
            show.at(151.0)
            await page.until("document.querySelectorAll('td.stale').length === 0")
            await page.until(f"{SHOWN.format('.pill')}.includes('Connection lost')")
            numbers = await page.value("document.querySelectorAll('tbody tr').length")
            assert await page.value("document.querySelectorAll('tbody tr td.stale').length") >= 2 * numbers
            assert await page.value("document.querySelector('.hero').classList.contains('stale')")
            show.at(152.0)
            await page.until("document.querySelectorAll('td.stale').length === 0")
            assert "Live" in await page.value(SHOWN.format(".pill"))
            assert page.complaints == []

    play(act)


def test_choices_of_language_zone_window_and_stack() -> None:
    async def act(devtools: str) -> None:
        async with showing(devtools) as show:
            page = show.page
            assert "SIMULATED" in await page.value(SHOWN.format(".simulated"))
            await page.call("Emulation.setTimezoneOverride", timezoneId="UTC")
            jst = await page.value(SHOWN.format(".clock"))
            await page.click("Local")
            await page.until(f"{SHOWN.format('.clock')}.slice(6, 8) !== '{jst[6:8]}'")
            local = await page.value(SHOWN.format(".clock"))
            assert (int(jst[6:8]) - int(local[6:8])) % 24 == 9
            utc = await page.value("document.querySelector('.clock').title")
            assert utc.endswith("Z") and utc[11:13] == local[6:8]

            await page.click("Site")
            await page.until(f"{SHOWN.format('.card-stack .legend')}.includes('Kanagawa 1')")
            asked = len(page.requests)
            await page.click("60 min")
            await page.until(
                "document.querySelector('.card-import [aria-pressed=true]').innerText === '60 min'"
            )
            assert any("history?since=-3600" in url for url in page.requests[asked:])

            await page.click("日本語")
            await page.until("document.documentElement.lang === 'ja'")
            shown = await page.value("document.body.innerText")
            assert "下げDR" in shown and "東京第1" in shown and "蓄電池が先行" in shown
            await page.call("Page.reload")
            await page.until("document.querySelector('.site-row')")
            assert page.complaints == []

    play(act)


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", ("check meter", "read at saitama-2", "warning")),
        ("ja", ("副計器", "saitama-2 が読み取り", "注意")),
    ],
)
def test_a_check_meter_is_a_row_and_a_badge_where_it_is_followed(lang: str, said: tuple[str, ...]) -> None:
    async def act(devtools: str) -> None:
        async with showing(devtools, lang=lang, checked=True) as show:
            page = show.page
            show.at(151.0)
            await page.until("document.querySelectorAll('.site-row .badge').length === 1")
            rows = await page.value(SHOWN.format(".card-sites"))
            assert [word for word in said if word not in rows] == []
            assert rows.count("-check") == 3
            badge = "document.querySelector('.site-row .badge').closest('tr').innerText"
            assert ("Kanagawa 1" if lang == "en" else "神奈川第1") in await page.value(badge)
            followed = "document.querySelectorAll('.device-row .armed:not(.armed-off)')"
            assert (
                await page.value(
                    f"[...{followed}].filter(x => x.closest('tr').innerText.includes('-check')).length"
                )
                == 1
            )
            assert await page.value("document.documentElement.scrollHeight") <= 900
            assert await page.value(OVERFLOWING) == []
            assert page.complaints == []

    play(act)


def test_everything_has_a_name_for_those_who_cannot_see() -> None:
    async def act(devtools: str) -> None:
        async with showing(devtools) as show:
            page = show.page
            await page.call("Accessibility.enable")
            nodes = (await page.call("Accessibility.getFullAXTree"))["nodes"]
            named = ("button", "meter", "img", "image", "region", "heading", "group", "table", "columnheader")
            seen: dict[str, list[str]] = {}
            for node in nodes:
                if not node.get("ignored"):
                    name = node.get("name", {}).get("value", "")
                    seen.setdefault(node["role"]["value"], []).append(name)
            nameless = [
                role for role in named for name in seen.get(role, []) if role != "table" and not name.strip()
            ]
            assert nameless == []
            assert len(seen["main"]) == 1 and len(seen["banner"]) == 1
            assert await page.value("document.querySelectorAll('h1').length") == 1
            assert len(seen["button"]) >= 10 and len(seen["meter"]) >= 7

    play(act)


def test_phone_scrolls_down_but_never_sideways() -> None:
    async def act(devtools: str) -> None:
        async with showing(devtools, width=360) as show:
            assert await show.page.value("document.documentElement.scrollWidth") <= 360
            assert show.page.complaints == []

    play(act)
