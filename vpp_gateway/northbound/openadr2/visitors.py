"""Connections at the push address: how many there may be, and how long one may stand there without a whole request.

aiohttp waits for ever for the rest of a request's head. A VTN needs a connection or two; what only holds one is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

VISITORS_MAX = 64
QUIET_S = 30.0
"""A connection without a request being served is closed after so long, whatever drips in meanwhile."""
LOOK_S = 1.0


class Visitors:
    """Who stands there; on the time of the running loop."""

    def __init__(self, *, most: int = VISITORS_MAX, quiet_s: float = QUIET_S) -> None:
        self._most = most
        self._quiet_s = quiet_s
        self._since: dict[asyncio.BaseTransport, float] = {}
        self._served: set[asyncio.BaseTransport] = set()

    @contextmanager
    def serving(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """While a request whose head has come in whole is read and answered."""
        if transport is None:  # gone already
            yield
            return
        self._served.add(transport)
        try:
            yield
        finally:
            self._served.discard(transport)
            self._since[transport] = asyncio.get_running_loop().time()

    def look(self, present: Iterable[asyncio.BaseTransport | None]) -> int:
        """Close who has been quiet for too long, and of too many those who have been so the longest; how many."""
        now = asyncio.get_running_loop().time()
        here = [transport for transport in present if transport is not None]
        self._since = {transport: self._since.get(transport, now) for transport in here}
        quiet = sorted(
            (transport for transport in here if transport not in self._served), key=self._since.__getitem__
        )
        late = sum(self._since[transport] + self._quiet_s <= now for transport in quiet)
        too_many = max(0, len(here) - self._most)
        closed = quiet[: max(late, too_many)]
        for transport in closed:
            if isinstance(transport, asyncio.Transport):
                transport.abort()
            else:
                transport.close()
        return len(closed)
