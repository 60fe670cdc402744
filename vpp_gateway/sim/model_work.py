"""Workload that can be shifted, as a formula: offers with latency, spread and rebound, and what their orders do to the load.

    commit   --latency-->  load ramps over lag_s  -->  ACTIVE            rollback: the same way back
    a pause or cap that ends gives back `rebound_share` of the energy it saved, evenly within `rebound_within_s`

It stands where a plug-in's host stands at a site agent. After every change what is left of each offer is published anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.domain.fact import Offered, Shifted
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import (
    Leg,
    Offer,
    OfferId,
    OrderId,
    PluginName,
    ShiftOrder,
    ShiftState,
    ShiftVerb,
)
from vpp_gateway.sim.model_site import Ramp, SitePhysics

PREPARE_S = 0.1
VALID_S = 300.0
RENEW_S = 60.0
REVERT_S = 0.5
"""Work of a plug-in that died is back in its place after so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkSpec:
    """One kind of work at one site, in equal units."""

    name: str
    kind: str
    """cap | pause | shed | move | absorb"""
    site: SiteId
    to: SiteId | None = None
    """Destination of a move."""
    w: float
    """What it takes at `site` when all units run, W (> 0); what an absorb adds."""
    units: int = 4
    latency_s: float = 2.0
    """Order to change at `site`, median; a destination needs `arrive_s` more."""
    arrive_s: float = 2.0
    spread: float = 0.2
    """A latency is off its median by up to this share."""
    lag_s: float = 0.5
    sustain_s: float = 4 * 3600.0
    min_dwell_s: float = 0.0
    cost: float = 1.0
    downtime_s: float = 0.0
    rebound_share: float = 0.0
    rebound_within_s: float = 900.0


@dataclass(slots=True)
class _Running:
    order: ShiftOrder
    spec: WorkSpec
    units: int
    state: ShiftState | None = None
    ramps: list[Ramp] = field(default_factory=list)
    active_since: float | None = None
    ticket: int = 0
    """Counts what was ordered; an act whose ticket is old is void."""


class ModelWork:
    """All work of one plug-in.

    Args:
        physics: Every site, for the load.
        on_offered: Takes the offers.
        on_shifted: Takes the state of orders.
    """

    def __init__(
        self,
        name: PluginName,
        specs: Sequence[WorkSpec],
        physics: Mapping[SiteId, SitePhysics],
        *,
        clock: Clock,
        rng: Rng,
        on_offered: Callable[[Offered], None],
        on_shifted: Callable[[Shifted], None],
    ) -> None:
        self.name = name
        self.fault = ""
        """"" | dead (its work is back in its place, nothing offered) | liar (says active, does nothing)."""
        self._specs, self._physics = {spec.name: spec for spec in specs}, physics
        self._clock, self._rng = clock, rng
        self._on_offered, self._on_shifted = on_offered, on_shifted
        self._edition = 0
        self._published: dict[OfferId, tuple[WorkSpec, int]] = {}
        """Offers that can be called: a plan may call several, though each order makes a new edition."""
        self._running: dict[OrderId, _Running] = {}

    # -- as a plug-in host ----------------------------------------------------------------------------------

    def order(self, order: ShiftOrder) -> None:
        """An order of the centre; the same again changes nothing."""
        known = self._running.get(order.id)
        if self.fault == "dead":
            self._say_of(order, ShiftState.FAILED, "the plug-in has ended")
            return
        if known is None:
            if order.verb is ShiftVerb.ROLLBACK or order.offer not in self._published:
                self._say_of(order, ShiftState.FAILED, "there is no such order or offer")
                return
            spec, offered = self._published[order.offer]
            left = self._left(spec)
            if left <= 0 or left < offered:
                self._say_of(order, ShiftState.FAILED, "what was offered has been taken meanwhile")
                return
            known = self._running[order.id] = _Running(order, spec, min(order.step + 1, left))
            self._publish()
        known.order = order
        match order.verb:
            case ShiftVerb.PREPARE if known.state is None:
                self._act(known, PREPARE_S, lambda: self._become(known, ShiftState.PREPARED))
            case ShiftVerb.COMMIT if known.state in (None, ShiftState.PREPARED):
                self._commit(known)
            case ShiftVerb.ROLLBACK if known.state is not ShiftState.RETURNING:
                self._roll_back(known)

    async def run(self) -> None:
        """Publish now and again, before offers run out."""
        while True:
            if self.fault != "dead":
                self._publish(renewed=True)
            await asyncio.sleep(RENEW_S)

    def fail(self, how: str) -> None:
        """Break it so, or mend it ("")."""
        was, self.fault = self.fault, how
        if how == "dead" and was != "dead":
            self._die()
        elif was == "dead":
            self._publish()

    def open(self) -> dict[str, float]:
        """Regulation that the open orders of each spec stand for at its own site, W."""
        found: dict[str, float] = {}
        for running in self._running.values():
            spec = running.spec
            found[spec.name] = found.get(spec.name, 0.0) - _import_w(spec) * running.units / spec.units
        return found

    # -- what it does ---------------------------------------------------------------------------------------

    def _commit(self, running: _Running) -> None:
        spec, now = running.spec, self._clock.utc()
        share = running.units / spec.units
        self._become(running, ShiftState.RAMPING)
        ends = [now]
        for site, import_w, latency_s in _legs(spec):
            since = now + self._real_s(latency_s)
            ends.append(since + spec.lag_s)
            if self.fault != "liar":
                ramp = Ramp()
                ramp.go(import_w * share, since, since + spec.lag_s)
                self._physics[site].shifts.append(ramp)
                running.ramps.append(ramp)
        self._act(running, max(ends) - now, lambda: self._active(running))

    def _active(self, running: _Running) -> None:
        running.active_since = self._clock.utc()
        self._become(running, ShiftState.ACTIVE)

    def _roll_back(self, running: _Running) -> None:
        spec, now = running.spec, self._clock.utc()
        self._become(running, ShiftState.RETURNING)
        ends = [now]
        for ramp, (_, _, latency_s) in zip(running.ramps, _legs(spec), strict=False):
            since = now + self._real_s(latency_s)
            ramp.go(0.0, since, since + spec.lag_s)
            ends.append(since + spec.lag_s)
        self._act(running, max(ends) - now, lambda: self._returned(running))

    def _returned(self, running: _Running) -> None:
        self._rebound(running)
        self._running.pop(running.order.id, None)
        self._become(running, ShiftState.RETURNED)
        self._publish()

    def _rebound(self, running: _Running) -> None:
        spec, now = running.spec, self._clock.utc()
        if not spec.rebound_share or running.active_since is None or self.fault == "liar":
            return
        saved_ws = -_import_w(spec) * running.units / spec.units * (now - running.active_since)
        back_w = spec.rebound_share * saved_ws / spec.rebound_within_s
        ramp = Ramp(was_w=back_w, will_w=0.0, since=now + spec.rebound_within_s)
        ramp.until = ramp.since + 1e-3
        self._physics[spec.site].rebounds.append(ramp)

    def _die(self) -> None:
        """Its work goes back to where it was; whoever watches it says that it is gone and its orders failed."""
        now, reason = self._clock.utc(), "the plug-in has ended"
        self._published.clear()
        self._on_offered(Offered(at=now, plugin=self.name, offers=(), reason=reason))
        for running in list(self._running.values()):
            running.ticket += 1
            for ramp in running.ramps:
                ramp.go(0.0, now, now + REVERT_S)
            self._say_of(running.order, ShiftState.FAILED, reason)
        self._running.clear()

    # -- small hands ----------------------------------------------------------------------------------------

    def _publish(self, *, renewed: bool = False) -> None:
        """What is left of each spec; offers that were open go on until they are renewed, as far as nothing of them was taken."""
        self._edition += 1
        now = self._clock.utc()
        if renewed:
            self._published.clear()
        offers = []
        for spec in self._specs.values():
            left = self._left(spec)
            if left <= 0:
                continue
            id = OfferId(f"{spec.name}/{self._edition}")
            self._published[id] = (spec, left)
            offers.append(
                Offer(
                    id=id,
                    plugin=self.name,
                    kind=spec.kind,
                    legs=tuple(
                        Leg(site=site, import_delta_w=import_w * left / spec.units, latency_s=latency_s)
                        for site, import_w, latency_s in _legs(spec)
                    ),
                    steps=(*((unit + 1) / left for unit in range(left - 1)), 1.0),
                    valid_until=now + VALID_S,
                    sustain_s=spec.sustain_s,
                    min_dwell_s=spec.min_dwell_s,
                    cost=spec.cost,
                    downtime_s=spec.downtime_s,
                    rebound_wh=spec.rebound_share * spec.w * left / spec.units * spec.sustain_s / 3600.0,
                    rebound_within_s=spec.rebound_within_s,
                )
            )
        self._on_offered(Offered(at=now, plugin=self.name, offers=tuple(offers)))

    def _left(self, spec: WorkSpec) -> int:
        """Units of a spec that no order has."""
        return spec.units - sum(running.units for running in self._running.values() if running.spec is spec)

    def _real_s(self, median_s: float) -> float:
        spread = self._rng.uniform(-1.0, 1.0)
        return median_s * (1.0 + spread * max(spec.spread for spec in self._specs.values()))

    def _act(self, running: _Running, seconds: float, act: Callable[[], None]) -> None:
        running.ticket += 1
        ticket = running.ticket
        asyncio.get_running_loop().call_later(seconds, lambda: act() if running.ticket == ticket else None)

    def _become(self, running: _Running, state: ShiftState) -> None:
        running.state = state
        self._say_of(running.order, state, "")

    def _say_of(self, order: ShiftOrder, state: ShiftState, reason: str) -> None:
        self._on_shifted(
            Shifted(at=self._clock.utc(), order=order.id, plugin=self.name, state=state, reason=reason)
        )


def _import_w(spec: WorkSpec) -> float:
    """What the whole spec changes at its own site, W of import."""
    return spec.w if spec.kind == "absorb" else -spec.w


def _legs(spec: WorkSpec) -> list[tuple[SiteId, float, float]]:
    """(site, W of import at full size, median latency s)."""
    legs = [(spec.site, _import_w(spec), spec.latency_s)]
    if spec.to is not None:
        legs.append((spec.to, spec.w, spec.latency_s + spec.arrive_s))
    return legs
