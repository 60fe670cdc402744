"""The host of one plug-in: starts it, talks to it, and survives whatever it does.

    waiting --back-off--> starting --hello, recover--> ready --any fault--> (killed) --> waiting

A fault is: it ends, breaks the contract, floods, or misses a deadline. Each costs the plug-in its offers, at once, and
nothing else: the process group is killed, orders in flight are reported FAILED with an unknown outcome, and the next
life is asked by `recover` what really happened. An offer that cannot be true is refused alone, by name (`check.py`).

While the plug-in is away, prepare and commit fail at once (the batteries must know now); a rollback waits for the
next life. What orders are and how often they may be given is in `orders.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

import structlog

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.domain.fact import Offered, Shifted
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Offer, OfferId, OrderId, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.errors import GatewayError, PeerError
from vpp_gateway.southbound.workload import contract
from vpp_gateway.southbound.workload.channel import Channel
from vpp_gateway.southbound.workload.check import check_offers
from vpp_gateway.southbound.workload.orders import Held, OrderBook
from vpp_gateway.southbound.workload.plugin import Answer
from vpp_gateway.southbound.workload.spec import PluginSpec, PluginStatus, Timing, TransportFactory

log = structlog.get_logger(__name__)
REFUSED_TOLD = 3
"""So many refused offers of one list are told with their reasons."""


class PluginHost:
    """Hosts one plug-in at one site agent.

    Args:
        spec: the plug-in.
        transport_factory: starts one life of it (`process.process_factory`, `memory.memory_factory`).
        clock: time.
        rng: jitter of the back-off.
        timing: deadlines.
        on_offered: told all offers whenever they change. Must not raise.
        on_shifted: told every state of an order. Must not raise.
        open_orders: orders known from before this host started, for the first `recover`.
        fence: highest epoch known so far.
    """

    def __init__(
        self,
        spec: PluginSpec,
        transport_factory: TransportFactory,
        clock: Clock,
        rng: Rng,
        timing: Timing,
        on_offered: Callable[[Offered], None],
        on_shifted: Callable[[Shifted], None],
        *,
        open_orders: Sequence[ShiftOrder] = (),
        fence: int = 0,
    ) -> None:
        self._spec = spec
        self._start = transport_factory
        self._clock = clock
        self._rng = rng
        self._timing = timing
        self._on_offered = on_offered
        self._on_shifted = on_shifted
        self._book = OrderBook(spec.name, self._say, open_orders=open_orders, fence=fence)
        self._offers: tuple[Offer, ...] = ()
        self._offers_stirred = asyncio.Event()
        self._withdrawn_for: str | None = None
        self._refused_ids: frozenset[OfferId] = frozenset()
        self._samples: dict[SiteId, contract.Sample] = {}
        self._channel: Channel | None = None
        self._group: asyncio.TaskGroup | None = None
        self._state: Literal["starting", "ready", "waiting", "stopped"] = "starting"
        self._reason = "not started yet"
        self._pid: int | None = None
        self._lives = 0
        self._stopped = False
        self._released = asyncio.Event()
        self.capabilities: contract.Capabilities | None = None
        """What the plug-in said of itself last; None = never."""

    # --- what the site agent asks -----------------------------------------------------------------------

    def order(self, order: ShiftOrder) -> None:
        """Give an order; never blocks. Everything that becomes of it is told to `on_shifted`."""
        held = self._book.take(order, self._clock.utc(), stopped=self._stopped)
        if held is None:
            return
        if self._channel is not None and self._group is not None:
            self._group.create_task(self._carry(self._channel, held, order))
        elif order.verb is not ShiftVerb.ROLLBACK:
            self._book.say(held, ShiftState.FAILED, f"plug-in {self._spec.name} is not there: {self._reason}")

    def status(self) -> PluginStatus:
        """How the plug-in stands now."""
        return PluginStatus(
            state=self._state,
            reason=self._reason,
            pid=self._pid,
            restarts=max(self._lives - 1, 0),
            offers=len(self._offers),
        )

    def samples(self) -> tuple[contract.Sample, ...]:
        """Newest sample of each site, as the plug-in said it."""
        return tuple(self._samples.values())

    async def estop(self) -> Answer:
        """Emergency stop: every order is given back, and none is begun until `release()`. Repeatable."""
        self._stopped = True
        if self._channel is None:
            return Answer(
                accepted=False, reason=f"plug-in is not there: {self._reason}; told when it is back"
            )
        try:
            return await self._stop(self._channel)
        except PeerError as error:
            return Answer(accepted=False, reason=f"{error}; told again when it is back")

    def release(self) -> None:
        """End the emergency stop; the plug-in is started anew."""
        self._stopped = False
        self._released.set()

    # --- life -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the plug-in alive until cancelled."""
        backoff_s = self._timing.respawn_first_s
        try:
            while True:
                began = self._clock.monotonic()
                fault = await self._life()
                self._heed_cancellation()
                if self._clock.monotonic() - began >= self._timing.settled_s:
                    backoff_s = self._timing.respawn_first_s
                wait_s = self._rng.uniform(0.5, 1.0) * backoff_s
                self._state = "waiting"
                log.warning(
                    "plug-in lost", plugin=self._spec.name, reason=fault, respawn_in_s=round(wait_s, 3)
                )
                await asyncio.sleep(wait_s)
                backoff_s = min(2 * backoff_s, self._timing.respawn_max_s)
        finally:
            self._mourn("stopped with its host")
            self._state = "stopped"

    def _heed_cancellation(self) -> None:
        """A TaskGroup that fails in the moment of its cancellation tells the failure alone (before Python 3.13)."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError

    async def _life(self) -> str:
        """One life; why it ended, in words."""
        self._state = "starting"
        self._lives += 1
        try:
            async with self._start(self._spec) as transport:
                self._pid = transport.pid
                fault = await self._talk(Channel(transport, self._clock, self._timing, self._take))
                self._mourn(fault)  # before the killing, which may take its time
            fault = f"{fault}; {transport.epitaph()}"
            self._reason = fault
        except OSError as error:
            fault = f"cannot be started: {error}"
            self._mourn(fault)
        return fault

    async def _talk(self, channel: Channel) -> str:
        fault = "ended"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(channel.listen())
                await self._introduce(channel)
                self._channel, self._group = channel, group
                self._state, self._reason = "ready", ""
                log.info("plug-in ready", plugin=self._spec.name, pid=self._pid, restarts=self._lives - 1)
                for held in self._book.unsent_rollbacks():
                    group.create_task(self._carry(channel, held, held.order))
                group.create_task(self._beat(channel))
                group.create_task(self._expire())
                # Waiting here, not in the group's end, is what lets `_heed_cancellation` count on Python 3.11.
                await self._end_on_release()
        except* GatewayError as errors:
            fault = str(errors.exceptions[0])
        finally:
            self._channel, self._group = None, None
        return fault

    async def _introduce(self, channel: Channel) -> None:
        hello = contract.Hello(
            id=channel.next_id(),
            name=self._spec.name,
            sites=self._spec.sites,
            config=self._spec.config,
            state_dir=self._spec.state_dir,
            fence=self._book.fence,
        )
        self.capabilities = self._believe(await channel.call(hello, self._timing.hello_s))
        recover = contract.Recover(
            id=channel.next_id(), orders=self._book.open_orders(), fence=self._book.fence
        )
        reply = await channel.call(recover, self._timing.recover_s)
        if not isinstance(reply, contract.States):
            raise PeerError(f"recover answered by {_told(reply)}, expected states")
        self._book.settle(reply.states)
        if self._stopped:
            await self._stop(channel)

    def _believe(self, reply: contract.Reply) -> contract.Capabilities:
        if not isinstance(reply, contract.Capabilities):
            raise PeerError(f"hello answered by {_told(reply)}, expected capabilities")
        if reply.api_version != contract.API_VERSION:
            raise PeerError(f"speaks contract version {reply.api_version}, expected {contract.API_VERSION}")
        if reply.name != self._spec.name or not set(reply.sites) <= set(self._spec.sites):
            raise PeerError(
                f"introduces itself as {reply.name!r} for {', '.join(reply.sites)}; "
                f"expected {self._spec.name!r} for {', '.join(self._spec.sites)}"
            )
        return reply

    async def _beat(self, channel: Channel) -> None:
        while True:
            await asyncio.sleep(self._timing.heartbeat_s)
            beat = contract.Heartbeat(id=channel.next_id())
            await channel.call(beat, self._timing.heartbeat_deadline_s)

    async def _end_on_release(self) -> None:
        self._released.clear()
        await self._released.wait()
        raise PeerError("started anew: the emergency stop was released")

    async def _stop(self, channel: Channel) -> Answer:
        reply = await channel.call(contract.EmergencyStop(id=channel.next_id()), self._timing.call_s)
        if not isinstance(reply, contract.Ack):
            raise PeerError(f"emergency stop answered by {_told(reply)}, expected ack")
        return Answer(accepted=reply.accepted, reason=reply.reason)

    def _mourn(self, fault: str) -> None:
        """The plug-in is gone: its offers too, and what was being begun is unknown."""
        self._reason, self._pid = fault, None
        self._publish((), fault)
        self._book.lost(fault)

    # --- what the plug-in says --------------------------------------------------------------------------

    def _take(self, notice: contract.Notice) -> None:
        match notice:
            case contract.Offers():
                self._offered(notice.offers)
            case contract.Shift():
                self._book.shifted(notice.order, notice.state, notice.reason)
            case contract.Samples():
                foreign = {sample.site for sample in notice.samples} - set(self._spec.sites)
                if foreign:
                    raise PeerError(f"samples of {', '.join(sorted(foreign))}, which it does not speak for")
                self._samples.update({sample.site: sample for sample in notice.samples})

    def _offered(self, offers: tuple[Offer, ...]) -> None:
        """What can be true of it stands; what cannot is refused, and said whenever that changes."""
        checked = check_offers(offers, self._spec, self._clock.utc())
        refused = tuple(why for _, why in checked.refused)
        known = frozenset(id for id, _ in checked.refused)
        if known - self._refused_ids:
            log.warning("offers refused", plugin=self._spec.name, reason="; ".join(refused[:REFUSED_TOLD]))
        self._refused_ids = known
        nothing = "; ".join(refused[:REFUSED_TOLD]) or "nothing to offer now"
        self._publish(checked.sound, "" if checked.sound else nothing, refused[:REFUSED_TOLD])

    def _publish(self, offers: tuple[Offer, ...], reason: str, refused: tuple[str, ...] = ()) -> None:
        if not offers and not self._offers and reason == self._withdrawn_for:
            return  # a plug-in that keeps dying of the same is said once
        self._offers = offers
        self._withdrawn_for = None if offers else reason
        self._offers_stirred.set()
        self._on_offered(
            Offered(
                at=self._clock.utc(),
                plugin=self._spec.name,
                offers=offers,
                reason=reason,
                refused=refused if offers else (),
            )
        )

    async def _expire(self) -> None:
        """Withdraw what is not renewed in time."""
        while True:
            self._offers_stirred.clear()
            ends = min((offer.valid_until for offer in self._offers), default=None)
            try:
                async with asyncio.timeout(None if ends is None else max(ends - self._clock.utc(), 0.0)):
                    await self._offers_stirred.wait()
            except TimeoutError:
                now = self._clock.utc()
                standing = tuple(offer for offer in self._offers if offer.valid_until > now)
                if len(standing) < len(self._offers):
                    self._publish(standing, "" if standing else "offers expired and were not renewed")

    async def _carry(self, channel: Channel, held: Held, order: ShiftOrder) -> None:
        """Send an order and wait for its ack. Raises PeerError when the plug-in must be replaced."""
        if order.deadline_at <= self._clock.utc():
            self._book.refused(held, order.verb, "its deadline passed while the plug-in was away")
            return
        held.in_flight += 1
        reply = await channel.call(contract.Order(id=channel.next_id(), order=order), self._timing.call_s)
        held.in_flight -= 1
        match reply:
            case contract.Ack(accepted=True):
                return
            case contract.Ack() | contract.Failure():
                self._book.refused(held, order.verb, reply.reason)
            case _:
                raise PeerError(f"order answered by {_told(reply)}, expected ack")

    def _say(self, order: OrderId, state: ShiftState, reason: str) -> None:
        log.info("shift", plugin=self._spec.name, order=order, state=str(state), reason=reason)
        self._on_shifted(
            Shifted(at=self._clock.utc(), order=order, plugin=self._spec.name, state=state, reason=reason)
        )


def _told(reply: contract.Reply) -> str:
    return f"error: {reply.reason}" if isinstance(reply, contract.Failure) else reply.type
