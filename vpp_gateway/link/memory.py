"""The link in memory, for virtual time and tests: the same words, encoded and decoded, delivered by the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from vpp_gateway.clock import Clock
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.link.messages import DOWN, UP, Down, Hello, Up, Welcome
from vpp_gateway.link.unix import QUEUE_MAX


class MemoryCentre:
    """The centre's end; agents attach through `MemoryAgent`."""

    def __init__(
        self,
        *,
        clock: Clock,
        epoch: Callable[[], int],
        on_message: Callable[[SiteId, Up], None],
        on_linked: Callable[[SiteId, bool, str, bool], None],
    ) -> None:
        self._clock = clock
        self._epoch, self.on_message, self.on_linked = epoch, on_message, on_linked
        self._agents: dict[SiteId, MemoryAgent] = {}

    def send(self, site: SiteId, message: Down) -> bool:
        agent = self._agents.get(site)
        if agent is None:
            return False
        agent.deliver(message)
        return True

    def attach(self, agent: MemoryAgent, hello: Hello) -> None:
        """An agent dials."""
        self._agents[hello.site] = agent
        agent.deliver(Welcome(epoch=self._epoch(), at=self._clock.utc()))
        self.on_linked(hello.site, True, "", False)

    def detach(self, site: SiteId, reason: str, *, silent: bool = False) -> None:
        """An agent's end breaks; `silent`: nobody closed it, its agent may live."""
        agent = self._agents.pop(site, None)
        if agent is not None:
            agent.drop()
            self.on_linked(site, False, reason, silent)

    async def run(self) -> None:
        """Nothing to serve; lives as long as the real one would."""
        await asyncio.Event().wait()


class MemoryAgent:
    """A site agent's end."""

    def __init__(
        self,
        *,
        centre: MemoryCentre,
        hello: Callable[[], Hello],
        on_message: Callable[[Down], None],
        on_linked: Callable[[bool], None],
    ) -> None:
        self._centre, self._hello = centre, hello
        self._on_message, self._on_linked = on_message, on_linked
        self._kept: deque[Up] = deque(maxlen=QUEUE_MAX)
        self.linked = False

    def send(self, message: Up, *, keep: bool) -> None:
        """As `LinkAgent.send`."""
        if not self.linked:
            if keep:
                self._kept.append(message)
            return
        line = UP.dump_json(message)
        site = self._hello().site
        asyncio.get_running_loop().call_soon(
            lambda: self._centre.on_message(site, UP.validate_json(line)) if self.linked else None
        )

    def deliver(self, message: Down) -> None:
        """The centre said something."""
        line = DOWN.dump_json(message)
        asyncio.get_running_loop().call_soon(self._take, line)

    def drop(self) -> None:
        """The connection broke."""
        self.linked = False
        self._on_linked(False)

    async def run(self) -> None:
        """Dial once; `MemoryCentre.detach` breaks the link, calling `dial` again heals it."""
        self.dial()
        await asyncio.Event().wait()

    def dial(self) -> None:
        self._centre.attach(self, self._hello())

    def _take(self, line: bytes) -> None:
        message = DOWN.validate_json(line)
        self._on_message(message)
        if isinstance(message, Welcome) and not self.linked:
            self.linked = True
            self._on_linked(True)
            kept, self._kept = self._kept, deque(maxlen=QUEUE_MAX)
            for waiting in kept:
                self.send(waiting, keep=True)
