"""The link over a Unix socket: the centre listens, each site agent dials.

The socket lies in the state directory (0600) and both ends know a shared secret, so a stray local process can
neither read the fleet nor command it. A field deployment over a network gets its own transport with the same words.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import ValidationError

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import PeerError
from vpp_gateway.link.messages import (
    DOWN,
    LINE_MAX_BYTES,
    LINK_VERSION,
    UP,
    Down,
    Hello,
    Parting,
    Up,
    Welcome,
)

SOCKET_NAME = "link.sock"
HELLO_WITHIN_S = 5.0
REDIAL_FIRST_S, REDIAL_MAX_S = 0.1, 0.25
"""Dialling a local socket costs next to nothing, and a new centre is in control only when all sites have come."""
QUEUE_MAX = 2000
"""Outcomes that an agent keeps for a centre that is away; the oldest go first."""
SILENT_S = 5.0
"""Each end says something every second; who hears nothing for so long gives the connection up."""

log = structlog.get_logger()


class LinkCentre:
    """The centre's end for all sites.

    Args:
        path: Where to listen.
        secret: Shared with the agents.
        sites: Sites that may connect.
        epoch: Says the centre's epoch at the moment of a connection.
        on_message: Takes what an agent says.
        on_linked: Told when a site comes (True) or goes (False, with the reason).
    """

    def __init__(
        self,
        *,
        path: Path,
        secret: str,
        sites: tuple[SiteId, ...],
        clock: Clock,
        epoch: Callable[[], int],
        on_message: Callable[[SiteId, Up], None],
        on_linked: Callable[[SiteId, bool, str, bool], None],
    ) -> None:
        self._path, self._secret, self._sites, self._epoch = path, secret, sites, epoch
        self._clock = clock
        self._on_message, self._on_linked = on_message, on_linked
        self._writers: dict[SiteId, asyncio.StreamWriter] = {}
        self.refused = 0
        """Connections turned away since start."""

    def send(self, site: SiteId, message: Down) -> bool:
        """Queue a message for a site; False when it is not linked."""
        writer = self._writers.get(site)
        if writer is None or writer.is_closing():
            return False
        writer.write(DOWN.dump_json(message) + b"\n")
        return True

    async def run(self) -> None:
        """Listen until cancelled."""
        self._path.unlink(missing_ok=True)
        umask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._serve, path=self._path, limit=LINE_MAX_BYTES)
        finally:
            os.umask(umask)
        async with server:
            try:
                await server.serve_forever()
            finally:
                for writer in self._writers.values():
                    writer.close()
                self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            site = await self._greet(reader)
        except (PeerError, OSError, TimeoutError) as error:
            self.refused += 1
            log.warning("link refused", reason=str(error))
            writer.close()
            return
        old = self._writers.pop(site, None)
        if old is not None:
            old.close()
        self._writers[site] = writer
        writer.write(DOWN.dump_json(Welcome(epoch=self._epoch(), at=self._clock.utc())) + b"\n")
        self._on_linked(site, True, "", False)
        reason, silent = "the site agent closed the link", False
        try:
            silent = await self._listen(site, reader)
        except (PeerError, OSError, TimeoutError) as error:
            reason, silent = str(error) or type(error).__name__, isinstance(error, TimeoutError)
        finally:
            writer.close()
            if self._writers.get(site) is writer:
                del self._writers[site]
                self._on_linked(site, False, reason, silent)

    async def _greet(self, reader: asyncio.StreamReader) -> SiteId:
        async with asyncio.timeout(HELLO_WITHIN_S):
            line = await _line(reader)
        hello = _parse_up(line)
        if not isinstance(hello, Hello):
            raise PeerError(f"link: expected hello first, got {hello.type}")
        if hello.version != LINK_VERSION:
            raise PeerError(f"link: agent speaks version {hello.version}, this centre {LINK_VERSION}")
        if not hmac.compare_digest(hello.secret.encode(), self._secret.encode()):
            raise PeerError("link: wrong secret")
        if hello.site not in self._sites:
            raise PeerError(f"link: unknown site {hello.site!r}; known: {', '.join(self._sites)}")
        return hello.site

    async def _listen(self, site: SiteId, reader: asyncio.StreamReader) -> bool:
        """Hand on what an agent says until it hangs up; whether it said that it carries on alone."""
        while True:
            async with asyncio.timeout(SILENT_S):
                line = await _line(reader)
            if not line:
                return False
            message = _parse_up(line)
            if isinstance(message, Parting):
                return True
            self._on_message(site, message)


class LinkAgent:
    """A site agent's end: dials, keeps outcomes while the centre is away, never gives up."""

    def __init__(
        self,
        *,
        path: Path,
        hello: Callable[[], Hello],
        on_message: Callable[[Down], None],
        on_linked: Callable[[bool], None],
        clock: Clock,
        rng: Rng,
    ) -> None:
        self._path, self._hello = path, hello
        self._on_message, self._on_linked = on_message, on_linked
        self._clock, self._rng = clock, rng
        self._writer: asyncio.StreamWriter | None = None
        self._kept: deque[Up] = deque(maxlen=QUEUE_MAX)

    def send(self, message: Up, *, keep: bool) -> None:
        """Say something to the centre; `keep` = say it later if the centre is away."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(UP.dump_json(message) + b"\n")
        elif keep:
            self._kept.append(message)

    async def run(self) -> None:
        """Dial and serve until cancelled."""
        delay = REDIAL_FIRST_S
        while True:
            try:
                await self._session()
                delay = REDIAL_FIRST_S
            except (OSError, PeerError) as error:
                log.debug("link down", reason=str(error))
            await asyncio.sleep(delay * self._rng.uniform(0.8, 1.2))
            delay = min(delay * 2.0, REDIAL_MAX_S)

    async def _session(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=LINE_MAX_BYTES)
        try:
            writer.write(UP.dump_json(self._hello()) + b"\n")
            while line := await self._heard(reader):
                message = _parse_down(line)
                if isinstance(message, Welcome) and self._writer is not writer:
                    self._writer = writer
                    self._on_message(message)
                    self._on_linked(True)
                    # Taken out whole: what cannot be sent now is kept again, for the next connection.
                    kept, self._kept = self._kept, deque(maxlen=QUEUE_MAX)
                    for waiting in kept:
                        self.send(waiting, keep=True)
                else:
                    self._on_message(message)
        finally:
            if self._writer is writer:
                self._writer = None
                self._on_linked(False)
            writer.close()

    async def _heard(self, reader: asyncio.StreamReader) -> bytes:
        """The next line; a centre that says nothing for so long has stopped, whatever its socket says."""
        try:
            async with asyncio.timeout(SILENT_S):
                return await _line(reader)
        except TimeoutError:
            if self._writer is not None:
                self._writer.write(UP.dump_json(Parting()) + b"\n")
            raise PeerError(f"link: the centre said nothing for {SILENT_S:g} s") from None


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError as error:
        raise PeerError(f"link: a line longer than {LINE_MAX_BYTES} bytes") from error


def _parse_up(line: bytes) -> Up:
    try:
        return UP.validate_json(line)
    except ValidationError as error:
        raise PeerError(f"link: not a message of an agent: {error.errors()[0]['msg']}") from error


def _parse_down(line: bytes) -> Down:
    try:
        return DOWN.validate_json(line)
    except ValidationError as error:
        raise PeerError(f"link: not a message of a centre: {error.errors()[0]['msg']}") from error
