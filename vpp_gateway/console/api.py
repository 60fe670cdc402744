"""The REST API: what the page and the CLI see, for anybody's program.

    GET /healthz                  the process answers; needs no token, tells nothing else
    GET /readyz                   200 or 503 with reasons: could an event be delivered now
    GET /api/v1/status            status.Status
    GET /api/v1/events            the events of the status
    GET /api/v1/events/{id}       one of them; its id holds a slash (`tso/EV-1`)
    GET /api/v1/history?since=    points after `since` (UTC, Unix s; negative: so many s before now), at most 600
    GET /api/v1/stream?since=     server-sent events (stream.py)

Everything is a read. Errors are JSON: {"error": "what was found, what is allowed"}.
"""

from __future__ import annotations

import json
import math
from typing import Literal

from aiohttp import web

from vpp_gateway.console.history import HistoryReply, decimate
from vpp_gateway.console.readiness import readiness
from vpp_gateway.console.source import StatusSource
from vpp_gateway.console.status import SCHEMA_VERSION, EventView, View
from vpp_gateway.console.stream import Streams, serve_stream


class EventsReply(View):
    """Answer of `/api/v1/events`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    """Version of the published shape."""
    events: tuple[EventView, ...]
    """Newest first."""


def error(kind: type[web.HTTPException], text: str) -> web.HTTPException:
    """An HTTP error whose body is JSON and says `text`."""
    return kind(text=json.dumps({"error": text}), content_type="application/json")


class Api:
    """The handlers, over one source."""

    def __init__(self, source: StatusSource) -> None:
        self._source = source
        self._streams = Streams()

    def join(self, app: web.Application) -> None:
        """Add the routes to `app`."""
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/api/v1/status", self.status)
        app.router.add_get("/api/v1/events", self.events)
        app.router.add_get("/api/v1/events/{id:.+}", self.event)
        app.router.add_get("/api/v1/history", self.history)
        app.router.add_get("/api/v1/stream", self.stream, allow_head=False)
        app.on_shutdown.append(self._streams.close)

    async def healthz(self, request: web.Request) -> web.Response:
        """Alive."""
        return web.Response(text='{"alive":true}', content_type="application/json")

    async def readyz(self, request: web.Request) -> web.Response:
        """Able to deliver, or why not."""
        answer = readiness(self._source.status())
        return _json(answer, status=200 if answer.ready else 503)

    async def status(self, request: web.Request) -> web.Response:
        """The picture of now."""
        return _json(self._source.status())

    async def events(self, request: web.Request) -> web.Response:
        """All events of the picture."""
        return _json(EventsReply(events=self._source.status().events))

    async def event(self, request: web.Request) -> web.Response:
        """One event, or 404 with the known ids."""
        wanted = request.match_info["id"]
        events = self._source.status().events
        for event in events:
            if event.id == wanted:
                return _json(event)
        known = ", ".join(event.id for event in events) or "none"
        raise error(web.HTTPNotFound, f"no event {wanted!r}; known: {known}")

    async def history(self, request: web.Request) -> web.Response:
        """Points for the charts."""
        since = self._since(request) or 0.0
        return _json(HistoryReply(points=decimate(self._source.history(since))))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events; Last-Event-ID (ms) goes before `since` (s)."""
        since = self._since(request)
        last = _seconds(request.headers.get("Last-Event-ID"), "Last-Event-ID")
        return await serve_stream(
            request, self._source, self._streams, since if last is None else last / 1000
        )

    def _since(self, request: web.Request) -> float | None:
        """`since` of the query as UTC (Unix s); a negative one counts back from now: no client clock matters."""
        since = _seconds(request.query.get("since"), "since")
        return self._source.status().at + since if since is not None and since < 0 else since


def _json(view: View, status: int = 200) -> web.Response:
    return web.Response(body=view.model_dump_json().encode(), status=status, content_type="application/json")


def _seconds(text: str | None, name: str) -> float | None:
    """A finite number that a client said, or None if it said none."""
    if text is None or text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise error(web.HTTPBadRequest, f"{name}={text[:40]!r}: a number is expected")
    return value
