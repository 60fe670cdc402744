"""The link in memory and the link over a Unix socket pass the same suite, so a virtual house holds for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from vpp_gateway.clock import LoopClock, SeededRng, SystemClock
from vpp_gateway.domain.fact import Offered
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.order import PluginName, SiteSchedule
from vpp_gateway.domain.reading import DeviceHealth, Health, SiteReading
from vpp_gateway.link.memory import MemoryAgent, MemoryCentre
from vpp_gateway.link.messages import (
    DOWN,
    LINK_VERSION,
    UP,
    Down,
    Hello,
    OfferedReport,
    Parting,
    Readings,
    ScheduleOrder,
    Up,
    Welcome,
)
from vpp_gateway.link.unix import LinkAgent, LinkCentre
from vpp_gateway.sim.loop import VirtualLoop, run

SITE = SiteId("tokyo-1")
EPOCH = 7
PATIENCE_S = 10.0


def schedule(seq: int) -> ScheduleOrder:
    return ScheduleOrder(
        schedule=SiteSchedule(site=SITE, epoch=EPOCH, seq=seq, issued_at=float(seq), steps=())
    )


def readings(at: float) -> Readings:
    health = (DeviceHealth(device=DeviceId("b1"), health=Health.GOOD, seen_at=at),)
    return Readings(
        reading=SiteReading(site=SITE, at=at, meter=None, batteries=(), health=health, applied_seq=0)
    )


def offered(reason: str) -> OfferedReport:
    return OfferedReport(fact=Offered(at=1.0, plugin=PluginName("work"), offers=(), reason=reason))


class CentreEnd(Protocol):
    def send(self, site: SiteId, message: ScheduleOrder) -> bool: ...


class AgentEnd(Protocol):
    def send(self, message: Up, *, keep: bool) -> None: ...
    async def run(self) -> None: ...


class Ends:
    """Both ends and everything they heard."""

    def __init__(self) -> None:
        self.at_centre: list[Up] = []
        self.at_agent: list[Down] = []
        self.links: list[bool] = []
        """As the centre was told."""
        self.linked: list[bool] = []
        """As the agent was told."""
        self.reasons: list[str] = []
        self.centre: CentreEnd
        self.agent: AgentEnd
        self.cut: Callable[[], Awaitable[None]]
        self.dial: Callable[[], None]
        self._stirred = asyncio.Event()

    def hello(self) -> Hello:
        return Hello(version=LINK_VERSION, site=SITE, highest_epoch=3, secret="s")

    def from_site(self, site: SiteId, message: Up) -> None:
        assert site == SITE
        self.at_centre.append(message)
        self._stirred.set()

    def on_link(self, site: SiteId, up: bool, reason: str = "", silent: bool = False) -> None:
        assert site == SITE
        self.links.append(up)
        self.reasons.append(reason)
        self._stirred.set()

    def from_centre(self, message: Down) -> None:
        self.at_agent.append(message)
        self._stirred.set()

    def on_linked(self, up: bool) -> None:
        self.linked.append(up)
        self._stirred.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._stirred.clear()
                await self._stirred.wait()


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[Ends]:
    ends = Ends()
    centre = MemoryCentre(
        clock=SystemClock(), epoch=lambda: EPOCH, on_message=ends.from_site, on_linked=ends.on_link
    )
    agent = MemoryAgent(
        centre=centre, hello=ends.hello, on_message=ends.from_centre, on_linked=ends.on_linked
    )

    async def cut() -> None:
        centre.detach(SITE, "cable cut")

    ends.centre, ends.agent, ends.cut, ends.dial = centre, agent, cut, agent.dial
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(centre.run()), group.create_task(agent.run())]
        yield ends
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def over_a_socket(folder: Path) -> AsyncIterator[Ends]:
    ends, clock = Ends(), SystemClock()
    centre = LinkCentre(
        path=folder / "link.sock",
        secret="s",
        sites=(SITE,),
        clock=clock,
        epoch=lambda: EPOCH,
        on_message=ends.from_site,
        on_linked=ends.on_link,
    )
    agent = LinkAgent(
        path=folder / "link.sock",
        hello=ends.hello,
        on_message=ends.from_centre,
        on_linked=ends.on_linked,
        clock=clock,
        rng=SeededRng(1),
    )
    ends.centre, ends.agent = centre, agent
    async with asyncio.TaskGroup() as group:
        serving = [group.create_task(centre.run())]
        dialling = [group.create_task(agent.run())]

        async def cut() -> None:
            dialling[-1].cancel()
            await asyncio.gather(dialling[-1], return_exceptions=True)

        ends.cut, ends.dial = cut, lambda: dialling.append(group.create_task(agent.run()))
        yield ends
        for task in (*serving, *dialling):
            task.cancel()


Scene = Callable[[Ends], Awaitable[None]]


@pytest.fixture(params=[in_memory, over_a_socket], ids=["memory", "unix"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scene], None]:
    def run(scene: Scene) -> None:
        async def main() -> None:
            async with request.param(tmp_path) as ends:
                await ends.until(lambda: ends.linked == [True] and ends.links == [True])
                await scene(ends)

        asyncio.run(main())

    return run


def test_the_agent_is_welcomed_with_epoch_and_time(play: Callable[[Scene], None]) -> None:
    async def scene(ends: Ends) -> None:
        (welcome,) = ends.at_agent
        assert isinstance(welcome, Welcome) and welcome.epoch == EPOCH
        assert abs(welcome.at - SystemClock().utc()) < PATIENCE_S

    play(scene)


def test_both_ways_in_order_and_as_it_was_said(play: Callable[[Scene], None]) -> None:
    async def scene(ends: Ends) -> None:
        orders = [schedule(seq) for seq in range(1, 20)]
        words: list[Up] = [readings(float(n)) for n in range(20)] + [offered("nothing to offer now")]
        for order in orders:
            assert ends.centre.send(SITE, order)
        for word in words:
            ends.agent.send(word, keep=False)
        await ends.until(lambda: len(ends.at_agent) == 1 + len(orders) and len(ends.at_centre) == len(words))
        assert ends.at_agent[1:] == orders
        assert ends.at_centre == words

    play(scene)


def test_a_cut_is_told_at_both_ends_and_only_what_is_kept_comes_later(play: Callable[[Scene], None]) -> None:
    async def scene(ends: Ends) -> None:
        await ends.cut()
        await ends.until(lambda: ends.links == [True, False] and ends.linked == [True, False])
        assert ends.reasons[-1]
        assert ends.centre.send(SITE, schedule(1)) is False
        ends.agent.send(readings(1.0), keep=False)
        ends.agent.send(offered("kept"), keep=True)
        ends.agent.send(offered("kept too"), keep=True)
        ends.dial()
        await ends.until(lambda: len(ends.at_centre) == 2 and ends.links == [True, False, True])
        assert ends.at_centre == [offered("kept"), offered("kept too")]
        assert [type(message) for message in ends.at_agent] == [Welcome, Welcome]
        assert ends.centre.send(SITE, schedule(2))
        await ends.until(lambda: ends.at_agent[-1] == schedule(2))

    play(scene)


def test_a_site_that_is_not_there_takes_nothing(play: Callable[[Scene], None]) -> None:
    async def scene(ends: Ends) -> None:
        assert ends.centre.send(SiteId("osaka-9"), schedule(1)) is False

    play(scene)


def test_a_centre_that_goes_right_after_its_welcome_costs_the_agent_nothing(tmp_path: Path) -> None:
    """What the agent had kept is kept again; it neither spins nor loses it."""
    ends, path = Ends(), tmp_path / "link.sock"
    closings: list[int] = []

    async def welcome_and_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(DOWN.dump_json(Welcome(epoch=1, at=0.0)) + b"\n")
        writer.close()
        closings.append(1)
        ends._stirred.set()

    async def main() -> None:
        agent = LinkAgent(
            path=path,
            hello=ends.hello,
            on_message=ends.from_centre,
            on_linked=lambda up: close_while_linking(up),
            clock=SystemClock(),
            rng=SeededRng(1),
        )

        def close_while_linking(up: bool) -> None:
            # The kernel's EPIPE, at the moment at which the agent has just been welcomed.
            if up and agent._writer is not None:
                agent._writer.transport.abort()

        for n in range(5):
            agent.send(offered(f"kept {n}"), keep=True)
        server = await asyncio.start_unix_server(welcome_and_go, path=path)
        async with server, asyncio.TaskGroup() as group:
            task = group.create_task(agent.run())
            await ends.until(lambda: len(closings) >= 3)
            task.cancel()
        assert len(agent._kept) == 5

    asyncio.run(main())


def test_a_centre_that_falls_silent_is_lost_although_its_socket_stands(tmp_path: Path) -> None:
    ends, path, loop = Ends(), tmp_path / "link.sock", VirtualLoop()
    clock = LoopClock(loop, 1_790_000_000.0)
    lost_at: list[float] = []
    over = asyncio.Event()

    said: list[bytes] = []

    async def welcome_and_stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(DOWN.dump_json(Welcome(epoch=1, at=clock.utc())) + b"\n")
        said.append(await reader.readline())
        await over.wait()
        writer.close()
        await writer.wait_closed()

    def on_linked(up: bool) -> None:
        ends.on_linked(up)
        if not up:
            lost_at.append(loop.time())

    async def main() -> None:
        agent = LinkAgent(
            path=path,
            hello=ends.hello,
            on_message=ends.from_centre,
            on_linked=on_linked,
            clock=clock,
            rng=SeededRng(1),
        )
        server = await asyncio.start_unix_server(welcome_and_stall, path=path)
        began = loop.time()
        async with server, asyncio.TaskGroup() as group:
            task = group.create_task(agent.run())
            await asyncio.sleep(8.0)
            task.cancel()
            over.set()
            await asyncio.sleep(0.1)
        assert ends.linked[:2] == [True, False]
        assert 4.9 <= lost_at[0] - began <= 5.2
        assert UP.validate_json(said[0]) == Parting(), "it lives, and says so before it hangs up"

    run(main, loop=loop)


@pytest.mark.parametrize(
    ("end", "silent"),
    [("hangs up", False), ("parts", True), ("says nothing any more", True)],
)
def test_the_centre_tells_an_agent_that_died_from_one_that_carries_on(
    tmp_path: Path, end: str, silent: bool
) -> None:
    ends, path, loop = Ends(), tmp_path / "link.sock", VirtualLoop()
    told: list[tuple[bool, bool]] = []
    centre = LinkCentre(
        path=path,
        secret="s",
        sites=(SITE,),
        epoch=lambda: EPOCH,
        clock=LoopClock(loop, 1_790_000_000.0),
        on_message=ends.from_site,
        on_linked=lambda site, up, reason, silent: told.append((up, silent)),
    )

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(centre.run())
            await asyncio.sleep(0.1)
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(UP.dump_json(ends.hello()) + b"\n")
            await asyncio.sleep(0.1)
            if end == "parts":
                writer.write(UP.dump_json(Parting()) + b"\n")
            if end != "says nothing any more":
                writer.close()
            await asyncio.sleep(6.0)
            writer.close()
            task.cancel()
        assert told[:2] == [(True, False), (False, silent)]

    run(main, loop=loop)
