"""The gate of the console: every route with every way in, headers, hosts, limits, and the page that was not built."""

from __future__ import annotations

import asyncio
import gzip
import re
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trustme
from aiohttp import ClientSession, TCPConnector
from pydantic import TypeAdapter

from tests.unit.console_fake import FakeSource, ToyClock, World
from tests.unit.console_http import BEARER, BEGIN, EVENT, HOLDER, Served, served
from vpp_gateway.clock import SeededRng
from vpp_gateway.console.access import Access
from vpp_gateway.console.api import EventsReply
from vpp_gateway.console.assets import load_assets
from vpp_gateway.console.history import POINTS_MAX, HistoryReply
from vpp_gateway.console.readiness import Readiness
from vpp_gateway.console.status import EventView, Status
from vpp_gateway.console.web import Listen, login_url, serve_console
from vpp_gateway.errors import ConfigError

JSON_ERROR: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
ROUTES = (
    "/healthz",
    "/readyz",
    "/api/v1/status",
    "/api/v1/events",
    f"/api/v1/events/{EVENT}",
    "/api/v1/history",
    "/api/v1/stream",
    "/",
    "/app.js",
    "/nothing-here",
)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A tiny built page."""
    script = b"console.log(1);" * 20
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>", encoding="utf-8")
    (tmp_path / "app.js").write_bytes(script)
    (tmp_path / "app.js.gz").write_bytes(gzip.compress(script))
    (tmp_path / "sources.sha256").write_text("kept from the public", encoding="ascii")
    return tmp_path


def play(page: Path, act: Callable[[Served], Awaitable[None]]) -> None:
    async def run() -> None:
        async with served(page) as console:
            await act(console)

    asyncio.run(run())


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "way_in", ["none", "wrong bearer", "wrong cookie", "wrong token", "cookie", "bearer"]
)
def test_every_route_and_every_way_in(page: Path, route: str, way_in: str) -> None:
    async def act(console: Served) -> None:
        headers: dict[str, str] = {}
        query = ""
        match way_in:
            case "wrong bearer":
                headers = {"Authorization": "Bearer " + "x" * 32}
            case "wrong cookie":
                console.client.cookie_jar.update_cookies(
                    {f"vpp_gateway_console_{console.url[-5:]}": "x" * 64}
                )
            case "wrong token":
                query = "?token=" + "x" * 64
            case "bearer":
                headers = HOLDER
            case "cookie":
                async with console.client.get(f"{console.url}/?token={console.access.issue()}") as entered:
                    assert entered.status == 200
        holds = way_in in ("cookie", "bearer")
        expected = 200 if holds or route == "/healthz" else 401
        if route == "/nothing-here" and holds:
            expected = 404
        async with console.client.get(console.url + route + query, headers=headers) as answer:
            assert answer.status == expected

    play(page, act)


def test_token_sets_a_strict_cookie_and_is_spent(page: Path) -> None:
    async def act(console: Served) -> None:
        address = f"{console.url}/?token={console.access.issue()}"
        async with console.client.get(address) as answer:
            cookie = answer.headers["Set-Cookie"]
        assert re.search(r"HttpOnly", cookie) and "SameSite=Strict" in cookie and "Path=/" in cookie
        async with console.client.get(address) as again:
            assert again.status == 200  # the cookie speaks now
        console.client.cookie_jar.clear()
        async with console.client.get(address) as stolen:
            assert stolen.status == 401
            assert "closed" in await stolen.text()

    play(page, act)


def test_token_opens_the_page_only(page: Path) -> None:
    async def act(console: Served) -> None:
        token = console.access.issue()
        async with console.client.get(f"{console.url}/api/v1/status?token={token}") as answer:
            assert answer.status == 401
        async with console.client.get(f"{console.url}/?token={token}") as answer:
            assert answer.status == 200

    play(page, act)


@pytest.mark.parametrize("route", ["/", "/api/v1/status", "/api/v1/nothing", "/healthz"])
@pytest.mark.parametrize("headers", [{}, HOLDER])
def test_every_answer_wears_the_headers(page: Path, route: str, headers: dict[str, str]) -> None:
    async def act(console: Served) -> None:
        async with console.client.get(console.url + route, headers=headers) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Server" not in answer.headers
            assert "Access-Control-Allow-Origin" not in answer.headers

    play(page, act)


def test_foreign_host_is_turned_away_even_with_a_token(page: Path) -> None:
    async def act(console: Served) -> None:
        for host, status in (("rebound.example", 421), ("localhost:9", 200), ("[::1]", 200)):
            async with console.client.get(
                f"{console.url}/api/v1/status", headers={**HOLDER, "Host": host}
            ) as answer:
                assert answer.status == status, host

    play(page, act)


def test_bodies_and_other_methods_are_refused(page: Path) -> None:
    async def act(console: Served) -> None:
        async with console.client.get(f"{console.url}/api/v1/status", headers=HOLDER, data=b"x") as answer:
            assert answer.status == 413
        async with console.client.post(f"{console.url}/api/v1/status", headers=HOLDER) as answer:
            assert answer.status == 405
            assert answer.headers["Allow"] == "GET,HEAD"
            assert "error" in JSON_ERROR.validate_json(await answer.read())

    play(page, act)


def test_too_many_requests(page: Path) -> None:
    async def act(console: Served) -> None:
        statuses = []
        for _ in range(205):
            async with console.client.get(f"{console.url}/healthz") as answer:
                statuses.append(answer.status)
        assert statuses == [200] * 200 + [429] * 5
        console.clock.now += 1.0
        async with console.client.get(f"{console.url}/healthz") as answer:
            assert answer.status == 200

    play(page, act)


def test_wrong_tokens_are_slowed_but_never_lock_out(page: Path) -> None:
    async def act(console: Served) -> None:
        wrong = {"Authorization": "Bearer " + "x" * 32}
        statuses = []
        for _ in range(7):
            async with console.client.get(f"{console.url}/api/v1/status", headers=wrong) as answer:
                statuses.append(answer.status)
        assert statuses == [401] * 5 + [429] * 2
        async with console.client.get(f"{console.url}/api/v1/status", headers=HOLDER) as answer:
            assert answer.status == 200

    play(page, act)


def test_answers_are_the_published_models(page: Path) -> None:
    async def act(console: Served) -> None:
        async def get(route: str) -> bytes:
            async with console.client.get(console.url + route, headers=HOLDER) as answer:
                assert answer.content_type == "application/json"
                return await answer.read()

        picture = Status.model_validate_json(await get("/api/v1/status"))
        assert picture == console.source.status()
        assert EventsReply.model_validate_json(await get("/api/v1/events")).events == picture.events
        assert EventView.model_validate_json(await get(f"/api/v1/events/{EVENT}")) == picture.events[0]
        escaped = EVENT.replace("/", "%2F")
        assert EventView.model_validate_json(await get(f"/api/v1/events/{escaped}")) == picture.events[0]
        assert Readiness.model_validate_json(await get("/readyz")).ready

        points = HistoryReply.model_validate_json(await get("/api/v1/history")).points
        assert points[-1].at == int(console.clock.now)
        last = HistoryReply.model_validate_json(await get("/api/v1/history?since=-10")).points
        assert [point.at - console.clock.now for point in last] == [float(second) for second in range(-9, 1)]

    play(page, act)


def test_history_is_bounded(page: Path) -> None:
    async def act(console: Served) -> None:
        console.clock.now += 3000.0
        async with console.client.get(f"{console.url}/api/v1/history?since=0", headers=HOLDER) as answer:
            assert len(HistoryReply.model_validate_json(await answer.read()).points) == POINTS_MAX

    play(page, act)


@pytest.mark.parametrize("since", ["yesterday", "nan", "inf"])
def test_since_must_be_a_number(page: Path, since: str) -> None:
    async def act(console: Served) -> None:
        for route in ("history", "stream"):
            async with console.client.get(
                f"{console.url}/api/v1/{route}?since={since}", headers=HOLDER
            ) as answer:
                assert answer.status == 400
                assert since in JSON_ERROR.validate_json(await answer.read())["error"]

    play(page, act)


def test_unknown_event_names_the_known(page: Path) -> None:
    async def act(console: Served) -> None:
        async with console.client.get(f"{console.url}/api/v1/events/tso/nope", headers=HOLDER) as answer:
            assert answer.status == 404
            assert EVENT in JSON_ERROR.validate_json(await answer.read())["error"]

    play(page, act)


def test_not_ready_is_503(page: Path) -> None:
    async def act(console: Served) -> None:
        deaf = console.source.status().model_copy(update={"links": ()})
        console.source.shown = deaf
        async with console.client.get(f"{console.url}/readyz", headers=HOLDER) as answer:
            assert answer.status == 503
            assert Readiness.model_validate_json(await answer.read()).reasons == (
                "no northbound connection is in service",
            )
        async with console.client.get(f"{console.url}/healthz") as answer:
            assert answer.status == 200

    play(page, act)


def test_built_files_are_served_zipped_to_who_takes_it_and_nothing_else(page: Path) -> None:
    async def act(console: Served) -> None:
        plain = (page / "app.js").read_bytes()
        for encoding, zipped in (("gzip", True), ("identity", False)):
            async with console.client.get(
                f"{console.url}/app.js", headers={**HOLDER, "Accept-Encoding": encoding}
            ) as answer:
                assert answer.headers.get("Content-Encoding") == ("gzip" if zipped else None)
                assert answer.content_type == "text/javascript"
                assert await answer.read() == plain
        for hidden in ("/sources.sha256", "/app.js.gz", "/..%2fweb.py", "/index.html/x"):
            async with console.client.get(console.url + hidden, headers=HOLDER) as answer:
                assert answer.status == 404, hidden

    play(page, act)


def test_page_that_was_not_built_says_what_to_run(tmp_path: Path) -> None:
    async def act(console: Served) -> None:
        async with console.client.get(f"{console.url}/", headers=HOLDER) as answer:
            text = await answer.text()
            assert answer.status == 200
            assert "npm run build" in text and "apt-get install nodejs npm" in text

    play(tmp_path / "absent", act)
    assert load_assets(tmp_path / "absent").keys() == {"index.html"}


def console_parts() -> tuple[FakeSource, Access, ToyClock]:
    clock = ToyClock(BEGIN)
    return FakeSource(World(BEGIN), clock), Access(clock, SeededRng(7), BEARER), clock


def test_listens_on_loopback_unless_told() -> None:
    assert Listen().host == "127.0.0.1"

    async def run() -> None:
        source, access, clock = console_parts()
        async with serve_console(source, access, clock, Listen(port=0)) as url, ClientSession() as client:
            assert url.startswith("http://127.0.0.1:")
            async with client.get(login_url(url, access)) as answer:
                assert answer.status == 200
            port = int(url.rpartition(":")[2])
            with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{port}.*choose another"):
                async with serve_console(source, access, clock, Listen(port=port)):
                    pytest.fail("two servers on one port")

    asyncio.run(run())


def test_tls_makes_the_cookie_secure() -> None:
    ca = trustme.CA()
    server, client_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    ca.issue_cert("127.0.0.1").configure_cert(server)
    ca.configure_trust(client_side)

    async def run() -> None:
        source, access, clock = console_parts()
        async with (
            serve_console(source, access, clock, Listen(port=0), server) as url,
            ClientSession(connector=TCPConnector(ssl=client_side)) as client,
        ):
            assert url.startswith("https://127.0.0.1:")
            async with client.get(login_url(url, access)) as answer:
                assert "Secure" in answer.headers["Set-Cookie"]

    asyncio.run(run())
