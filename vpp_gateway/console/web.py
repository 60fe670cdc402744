"""The console's server: one aiohttp application behind one gate.

    request -> Host known? -> peer not too fast? -> no body? -> token? -> handler -> headers -> answer
               421            429                   413         401/429

Closed by default: it listens on 127.0.0.1, and everything but `/healthz` needs a token (access.py). The page gets no
inline script or style, talks to nobody else, is framed by nobody and cached nowhere.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import hdrs, web

from vpp_gateway.clock import Clock
from vpp_gateway.console.access import LOOPBACK_HOSTS, SESSION_S, Access, Rate, host_allowed
from vpp_gateway.console.api import Api, error
from vpp_gateway.console.assets import STATIC, load_assets
from vpp_gateway.console.source import StatusSource
from vpp_gateway.errors import ConfigError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE = "vpp_gateway_console"
OPEN_PATHS = frozenset({"/healthz"})
SHUTDOWN_S = 3.0

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

CLOSED = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>vpp-gateway: closed</title>
<h1>This console is closed</h1>
<p>Open the address with the one-time token that the gateway printed when it started.
<p lang="ja">ゲートウェイの起動時に表示された、ワンタイムトークン付きのアドレスを開いてください。
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the console listens."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0 = any free port."""
    allowed_hosts: frozenset[str] = field(default_factory=frozenset)
    """Names besides the loopback ones that a Host header may carry, lower case, without port."""


def console_app(
    source: StatusSource,
    access: Access,
    clock: Clock,
    *,
    allowed_hosts: frozenset[str] = LOOPBACK_HOSTS,
    static: Path = STATIC,
) -> web.Application:
    """The whole console as an application.

    Args:
        source: what it shows.
        access: who may look.
        clock: paces the rate limits.
        allowed_hosts: names that a Host header may carry.
        static: folder of the built page.
    """
    app = web.Application(middlewares=[_dress, _Gate(access, clock, allowed_hosts).guard])
    Api(source).join(app)
    _Page(access, static).join(app)
    return app


@asynccontextmanager
async def serve_console(
    source: StatusSource, access: Access, clock: Clock, listen: Listen = Listen()
) -> AsyncIterator[str]:
    """Serve the console during the block; yields its base URL, for instance `http://127.0.0.1:8080`.

    Raises:
        ConfigError: the address cannot be bound.
    """
    allowed = LOOPBACK_HOSTS | listen.allowed_hosts | {listen.host}
    runner = web.AppRunner(
        console_app(source, access, clock, allowed_hosts=allowed), access_log=None, shutdown_timeout=SHUTDOWN_S
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.host, listen.port)
        try:
            await site.start()
        except OSError as failure:
            raise ConfigError(
                f"console: cannot listen on {listen.host}:{listen.port}: {failure.strerror or failure}; "
                "choose another address or port in the settings"
            ) from failure
        yield _url(listen.host, int(runner.addresses[0][1]))
    finally:
        await runner.cleanup()


def login_url(base: str, access: Access) -> str:
    """The address that opens the console once, to be shown to the operator."""
    return f"{base}/?token={access.issue()}"


def _url(host: str, port: int) -> str:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


@web.middleware
async def _dress(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put the security headers on every answer, refusals too; streams carry them before their first byte."""

    async def dress(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(HEADERS)
        response.headers.popall(hdrs.SERVER, None)

    request.match_info.apps[-1].on_response_prepare.count  # noqa: B018
    return await handler(request)


class _Gate:
    """Everything a request must pass before a handler sees it."""

    def __init__(self, access: Access, clock: Clock, allowed_hosts: frozenset[str]) -> None:
        self._access = access
        self._allowed_hosts = allowed_hosts
        self._requests = Rate(clock, per_s=100.0, burst=200.0)
        self._wrong_tokens = Rate(clock, per_s=5.0 / 60.0, burst=5.0)
