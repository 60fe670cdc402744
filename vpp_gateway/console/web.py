"""The console's server: one aiohttp application behind one gate.

    request -> Host known? -> peer not too fast? -> no body? -> token? -> handler -> headers -> answer
               421            429                   413         401/429

Closed by default: it listens on 127.0.0.1, and everything but `/healthz` needs a token (access.py). The page gets no
inline script or style, talks to nobody else, is framed by nobody and cached nowhere.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from vpp_gateway.clock import Clock
from vpp_gateway.console.access import LOOPBACK_HOSTS, SESSION_S, Access, Rate, host_allowed
from vpp_gateway.console.api import Api, error
from vpp_gateway.console.assets import STATIC, load_assets
from vpp_gateway.console.source import StatusSource
from vpp_gateway.errors import ConfigError

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
    app = web.Application(middlewares=[_explain, _Gate(access, clock, allowed_hosts).middleware()])
    app.on_response_prepare.append(_dress)
    Api(source).join(app)
    _Page(static).join(app)
    return app


@asynccontextmanager
async def serve_console(
    source: StatusSource,
    access: Access,
    clock: Clock,
    listen: Listen = Listen(),
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Serve the console during the block; yields its base URL, for instance `http://127.0.0.1:8080`.

    Args:
        source: what it shows.
        access: who may look.
        clock: paces the rate limits.
        listen: where.
        tls: the server's identity; None = clear text, for the loopback only.

    Raises:
        ConfigError: the address cannot be bound.
    """
    allowed = LOOPBACK_HOSTS | listen.allowed_hosts | {listen.host.lower()}
    runner = web.AppRunner(
        console_app(source, access, clock, allowed_hosts=allowed),
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.host, listen.port, ssl_context=tls)
        try:
            await site.start()
        except OSError as failure:
            raise ConfigError(
                f"console: cannot listen on {listen.host}:{listen.port}: {failure.strerror or failure}; "
                "choose another address or port in the settings"
            ) from failure
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://{_authority(listen.host, int(runner.addresses[0][1]))}"
    finally:
        await runner.cleanup()


def login_url(base: str, access: Access) -> str:
    """The address that opens the console once, to be shown to the operator."""
    return f"{base}/?token={access.issue()}"


def _authority(host: str, port: int) -> str:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every answer, refusals and streams too."""
    response.headers.update(HEADERS)
    response.headers.popall(hdrs.SERVER, None)


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every plain error (unknown path, wrong method) the JSON body that the API promises."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        if refusal.status >= 400 and refusal.content_type == "text/plain":
            said = refusal.text
            if said == f"{refusal.status}: {refusal.reason}":
                said = f"{request.method} {request.path}: {refusal.reason}"
            refusal.text = json.dumps({"error": said})
            refusal.content_type = "application/json"
        raise


class _Gate:
    """Everything that a request must pass before a handler sees it."""

    def __init__(self, access: Access, clock: Clock, allowed_hosts: frozenset[str]) -> None:
        self._access = access
        self._allowed_hosts = allowed_hosts
        self._requests = Rate(clock, per_s=100.0, burst=200.0)
        self._wrong_tokens = Rate(clock, per_s=5.0 / 60.0, burst=5.0)

    def middleware(self) -> Middleware:
        """The gate as an aiohttp middleware."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._refuse_misfits(request)
            secret = None if request.path in OPEN_PATHS else self._admit(request)
            response = await handler(request)
            if secret is not None:
                _set_cookie(request, response, secret)
            return response

        return guard

    def _refuse_misfits(self, request: web.Request) -> None:
        """Raise for what no token could make right."""
        if not host_allowed(request.headers.get(hdrs.HOST, ""), self._allowed_hosts):
            raise error(web.HTTPMisdirectedRequest, "this console does not answer to that host name")
        if not self._requests.allow(_peer(request)):
            raise error(web.HTTPTooManyRequests, "more than 100 requests a second")
        if request.can_read_body:
            raise web.HTTPRequestEntityTooLarge(max_size=0, actual_size=request.content_length or 0)

    def _admit(self, request: web.Request) -> str | None:
        """Let `request` in or raise; returns the secret of a session that has just begun."""
        if self._access.session(request.cookies.get(_cookie_name(request), "")):
            return None
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer" and self._access.bearer(bearer.strip()):
            return None
        token = request.query.get("token", "") if request.path == "/" else ""
        secret = self._access.redeem(token) if token else None
        if secret is None:
            raise self._refusal(request, tried=bool(bearer or token))
        return secret

    def _refusal(self, request: web.Request, *, tried: bool) -> web.HTTPException:
        if tried and not self._wrong_tokens.allow(_peer(request)):
            return error(web.HTTPTooManyRequests, "too many wrong tokens; wait a minute")
        if request.path == "/":
            return web.HTTPUnauthorized(text=CLOSED, content_type="text/html")
        refusal = error(web.HTTPUnauthorized, "a bearer token or the console's cookie is needed")
        refusal.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="vpp-gateway"'
        return refusal


class _Page:
    """The built files, one route each."""

    def __init__(self, static: Path) -> None:
        self._assets = load_assets(static)

    def join(self, app: web.Application) -> None:
        """Add the routes to `app`."""
        app.router.add_get("/", self._serve("index.html"))
        for name in self._assets:
            app.router.add_get(f"/{name}", self._serve(name))

    def _serve(self, name: str) -> Handler:
        asset = self._assets[name]

        async def serve(request: web.Request) -> web.StreamResponse:
            zipped = asset.gzipped is not None and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "")
            response = web.Response(
                body=asset.gzipped if zipped else asset.body,
                content_type=asset.content_type,
                charset=asset.charset,
            )
            response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
            if zipped:
                response.headers[hdrs.CONTENT_ENCODING] = "gzip"
            return response

        return serve


def _cookie_name(request: web.Request) -> str:
    """Cookies know no ports: two consoles on one machine must not take each other's."""
    return f"{COOKIE}_{request.url.port}"


def _set_cookie(request: web.Request, response: web.StreamResponse, secret: str) -> None:
    response.set_cookie(
        _cookie_name(request),
        secret,
        max_age=int(SESSION_S),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )


def _peer(request: web.Request) -> str:
    return request.remote or "unknown"
