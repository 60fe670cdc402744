"""One stream of server-sent events for a page: `/api/v1/stream`.

    id: 1792131845000          the second of the point, in ms: a page that comes back says it as Last-Event-ID
    event: history             first, and after losses: every point since then (decimated)
    event: status              the whole picture
    event: point               one second for the charts
    : keep-alive               when nothing else was said for a while

The queue of a slow page is bounded (`source.Subscription`): the newest beat wins and the points in between follow as
`history`. A page that takes nothing for WRITE_S is cut off; its browser reconnects by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from vpp_gateway.console.history import HistoryReply, decimate
from vpp_gateway.console.source import StatusSource, Subscription
from vpp_gateway.console.status import View

KEEP_ALIVE_S = 15.0
WRITE_S = 10.0
RETRY_MS = 1000
STREAMS_MAX = 32

HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}


class Streams:
    """The open streams of one application, so that its end can close them."""

    def __init__(self) -> None:
        self._open: list[Subscription] = []

    @contextmanager
    def admit(self, subscription: Subscription) -> Iterator[None]:
        """Count `subscription` among the open ones during the block.

        Raises:
            HTTPServiceUnavailable: STREAMS_MAX are open already.
        """
        if len(self._open) >= STREAMS_MAX:
            raise web.HTTPServiceUnavailable(text=f"{STREAMS_MAX} streams are open already")
        self._open.append(subscription)
        try:
            yield
        finally:
            self._open.remove(subscription)

    async def close(self, app: web.Application) -> None:
        """End every stream; the server is going down."""
        for subscription in self._open:
            subscription.close()


async def serve_stream(
    request: web.Request, source: StatusSource, streams: Streams, since: float | None
) -> web.StreamResponse:
    """Serve one page until it goes, falls too far behind, or the server ends.

    Args:
        since: UTC (Unix s) after which points are wanted first; None = only what comes.
    """
    response = web.StreamResponse(headers=HEADERS)
    with source.subscribe() as beats, streams.admit(beats):
        await response.prepare(request)
        try:
            await _talk(response, source, beats, since)
        except (ConnectionResetError, TimeoutError):
            # The page went away, or takes nothing: it will dial again with its Last-Event-ID.
            if request.transport is not None:
                request.transport.abort()
    return response


async def _talk(
    response: web.StreamResponse, source: StatusSource, beats: Subscription, since: float | None
) -> None:
    await _write(response, f"retry: {RETRY_MS}\n\n".encode())
    status = source.status()
    sent_at = status.at if since is None else await _catch_up(response, source, since)
    await _write(response, _event("status", status))
    while True:
        try:
            beat = await beats.get(KEEP_ALIVE_S)
        except TimeoutError:
            await _write(response, b": keep-alive\n\n")
            continue
        if beat is None:
            return
        if beats.lost():
            sent_at = await _catch_up(response, source, sent_at)
        message = _event("status", beat.status)
        if beat.point.at > sent_at:
            sent_at = beat.point.at
            message += _event("point", beat.point, sent_at)
        await _write(response, message)


async def _catch_up(response: web.StreamResponse, source: StatusSource, since: float) -> float:
    """Send the points after `since`; return the second of the last one."""
    points = decimate(source.history(since))
    if not points:
        return since
    await _write(response, _event("history", HistoryReply(points=points), points[-1].at))
    return points[-1].at


def _event(name: str, view: View, at: float | None = None) -> bytes:
    id_line = "" if at is None else f"id: {round(at * 1000)}\n"
    return f"{id_line}event: {name}\ndata: {view.model_dump_json()}\n\n".encode()


async def _write(response: web.StreamResponse, message: bytes) -> None:
    async with asyncio.timeout(WRITE_S):
        await response.write(message)
