"""The gateway as it stands -> one `Look`. The shares of this second are worked out once more, now with their reasons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from vpp_gateway.chronicle.look import BatteryLook, Look, OrderLook, SiteLook
from vpp_gateway.chronicle.precedence import order_of
from vpp_gateway.dispatch.limits import kept_now
from vpp_gateway.dispatch.measured import delivered_w, given_alone_w
from vpp_gateway.dispatch.shift_levers import too_late
from vpp_gateway.dispatch.shift_record import ShiftRecord, lever_name
from vpp_gateway.dispatch.sites import SiteState
from vpp_gateway.domain.instruction import DeviceId, InstructionId, Limit, SiteId
from vpp_gateway.domain.order import Offer, OrderId
from vpp_gateway.domain.plan import Call, Plan, Problem, Reason, Resource, Share
from vpp_gateway.domain.quantity import regulation_of
from vpp_gateway.domain.reading import Health
from vpp_gateway.gateway import Gateway
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.rejected import STANDING, not_called
from vpp_gateway.portfolio.timeline import InForce, ends_of


def look(gateway: Gateway, id: InstructionId, now: float) -> Look:
    """What this second is to one instruction; call it when the second's facts are folded."""
    row = next((row for row in gateway.timeline.competing(now) if row.instruction.id == id), None)
    if row is None:
        return _not_ruling(gateway, id, now)
    states = [gateway.sites[site] for site in row.sites]
    idle = not row.sites and not row.devices
    lost = (*row.lost, *((SiteId(device), by) for device, by in row.lost_devices)) if idle else row.lost
    problem, plan = _batteries_alone(gateway.battery.problem, id)
    if problem is not None and not (problem.targets[0].sites or problem.targets[0].devices):
        plan = None  # limits hold all of it: what the meters show is theirs, nothing is looked for
    shares = {} if plan is None else {share.id: share for share in plan.shares}
    at_site = {
        s.site.id: delivered_w(id, s, gateway.baselines, now, gateway.policy, row.without) for s in states
    }
    alone = given_alone_w(row, gateway.sites, now, gateway.policy)
    called, rejected = _planned(gateway, id, row.sites)
    return Look(
        at=now,
        phase=row.phase,
        sites=tuple(_site(gateway, id, state, problem, at_site[state.site.id], now) for state in states),
        lost=lost,
        order_of=order_of(gateway.timeline, row.instruction, (by for _, by in lost)),
        idle=idle,
        asked_w=gateway.battery.asked_w(row),
        delivered_w=math.fsum((*at_site.values(), *alone.values())),
        battery_w=math.fsum((*(s.held_w(now, gateway.policy, row.without) for s in states), *alone.values())),
        short_w=0.0 if plan is None else math.fsum(w for _, w in plan.shortfall_w),
        binding=(*(() if plan is None else plan.binding), *_held(gateway, row)),
        batteries=tuple(_batteries((*states, *(gateway.sites[site] for site in alone)), problem, shares)),
        orders=(*_orders(gateway, id, row.sites), *_orders_of_others(gateway, id, row.sites)),
        called=called,
        rejected=(*rejected, *_no_levers(gateway, row, now)),
        plugins=tuple(_plugins(gateway, now)),
    )


def look_at_work(gateway: Gateway, id: InstructionId, now: float) -> Look:
    """As much of a second as a hand-over needs, at little cost: what is asked, what is given, and the orders."""
    row = next((row for row in gateway.timeline.at(now) if row.instruction.id == id), None)
    if row is None:
        instruction = gateway.timeline.get(id)
        scope = () if instruction is None else gateway.timeline.scope_of(instruction)
        return Look(at=now, phase=None, orders=tuple(_orders(gateway, id, scope or gateway.sites.ids)))
    states = [gateway.sites[site] for site in row.sites]
    policy, alone = gateway.policy, given_alone_w(row, gateway.sites, now, gateway.policy)
    given = (delivered_w(id, s, gateway.baselines, now, policy, row.without) for s in states)
    return Look(
        at=now,
        phase=row.phase,
        asked_w=gateway.battery.asked_w(row),
        delivered_w=math.fsum((*given, *alone.values())),
        battery_w=math.fsum((*(s.held_w(now, policy, row.without) for s in states), *alone.values())),
        orders=(*_orders(gateway, id, row.sites), *_orders_of_others(gateway, id, row.sites)),
    )


def _not_ruling(gateway: Gateway, id: InstructionId, now: float) -> Look:
    """Before it begins, after its end, or a limit."""
    instruction = gateway.timeline.get(id)
    phase = None if instruction is None else instruction.phase_at(now)
    scope = () if instruction is None else gateway.timeline.scope_of(instruction)
    orders = tuple(_orders(gateway, id, scope or gateway.sites.ids))
    if instruction is None or phase is None or not isinstance(phase.demand, Limit):
        called, rejected = _planned(gateway, id, scope)
        return Look(at=now, phase=None, orders=orders, called=called, rejected=rejected)
    states = [gateway.sites[site] for site in scope]
    kept = kept_now(gateway.sites, gateway.timeline.bounds_at(now)).get(id)
    shown = {state.site.id: _against_baseline_w(gateway, id, state) for state in states}
    problem, plan = _batteries_alone(gateway.battery.problem, id)
    shares = {} if plan is None else {share.id: share for share in plan.shares}
    return Look(
        at=now,
        phase=phase,
        sites=tuple(
            _site(gateway, id, state, gateway.battery.problem, shown[state.site.id], now) for state in states
        ),
        asked_w=0.0 if kept is None else kept.must_w,
        delivered_w=math.fsum(shown.values()),
        battery_w=math.fsum(state.held_w(now, gateway.policy) for state in states),
        batteries=tuple(_batteries(states, problem, shares)),
        orders=orders,
    )


def _against_baseline_w(gateway: Gateway, id: InstructionId, state: SiteState) -> float:
    """What the meter of a site shows against its baseline, W of regulation; 0 where one of them is not known."""
    baseline_w = gateway.baselines.of(id, state)
    return 0.0 if baseline_w is None or state.import_w is None else baseline_w - state.import_w


def _batteries_alone(problem: Problem | None, id: InstructionId) -> tuple[Problem | None, Plan | None]:
    """What was asked of the batteries for one instruction, and the same answer again with its reasons.

    More urgent instructions come first: what they use of a connection is not there for this one.
    """
    targets = () if problem is None else problem.targets
    place = next((n for n, target in enumerate(targets) if target.instruction == id), None)
    if problem is None or place is None:
        return None, None
    before = closed_form(replace(problem, targets=targets[:place]), explain=False)
    plan = closed_form(replace(problem, targets=targets[: place + 1]), explain=True)
    own = replace(
        plan,
        shares=plan.shares[len(before.shares) :],
        shortfall_w=plan.shortfall_w[place:],
        binding=plan.binding[len(before.binding) :],
    )
    return replace(problem, targets=(targets[place],)), own


def _held(gateway: Gateway, row: InForce) -> tuple[Reason, ...]:
    """Sites of an instruction that a limit holds where it is."""
    return tuple(
        Reason(code="held.limit", values=(("site", site), ("event", by)))
        for site, by in gateway.battery.held(row)
    )


def _site(
    gateway: Gateway,
    id: InstructionId,
    state: SiteState,
    problem: Problem | None,
    delivered: float,
    now: float,
) -> SiteLook:
    bounds = {} if problem is None else {bound.site: bound for bound in problem.bounds}
    bound = bounds.get(state.site.id)
    up = problem is not None and math.fsum(t.regulation_w for t in problem.targets) < 0.0
    return SiteLook(
        id=state.site.id,
        linked=state.linked,
        alone=not state.linked and state.alone,
        trouble="" if state.linked else state.lost_reason,
        meter=_meter(state),
        baseline_w=gateway.baselines.of(id, state),
        import_w=state.import_w,
        delivered_w=delivered,
        cap_w=0.0 if bound is None else bound.up_max_w if up else bound.down_max_w,
        battery_w=state.held_w(now, gateway.policy),
    )


def _meter(state: SiteState) -> str:
    """What is wrong with the meter of a site, and what counts instead."""
    if state.sight == "check":
        return "check"
    if state.linked and state.watch.doubt:
        return state.watch.doubt
    if state.linked and not state.fresh:
        return "lost"
    return "apart" if state.meters.parted == "apart" else ""


def _batteries(
    states: Sequence[SiteState], problem: Problem | None, shares: dict[DeviceId, Share]
) -> Iterator[BatteryLook]:
    resources: dict[DeviceId, Resource] = {} if problem is None else {r.id: r for r in problem.resources}
    for state in states:
        for battery in state.site.batteries:
            share, resource = shares.get(battery.id), resources.get(battery.id)
            if share is None or resource is None or share.reason is None or problem is None:
                continue
            up = math.fsum(t.regulation_w for t in problem.targets) < 0.0
            reading = state.usable.get(battery.id)
            yield BatteryLook(
                id=battery.id,
                site=state.site.id,
                regulation_w=share.regulation_w,
                room_w=resource.up_room_w if up else resource.down_room_w,
                energy_wh=resource.weight_up if up else resource.weight_down,
                soc=None if reading is None else reading.soc,
                trouble="" if reading is not None else _unusable(state, battery.id),
                reason=share.reason,
                given_w=None if reading is None else reading.discharge_w,
            )


def _unusable(state: SiteState, device: DeviceId) -> str:
    """Why a battery cannot be used now."""
    if not state.linked:
        return state.lost_reason
    if device in state.readable:
        return "blocked by the operator now"
    probation = state.probation.get(device)
    return _said_of(state, device) or ("" if probation is None else probation.reason) or "no reading"


def _said_of(state: SiteState, device: DeviceId) -> str:
    rows = () if state.reading is None else state.reading.health
    row = next((row for row in rows if row.device == device and row.health is not Health.GOOD), None)
    return "" if row is None else row.reason or str(row.health)


def _orders(gateway: Gateway, id: InstructionId, sites: Sequence[SiteId]) -> Iterator[OrderLook]:
    known: dict[OrderId, ShiftRecord] = {**gateway.shifts.failed, **gateway.shifts.orders}
    for record in known.values():
        if record.order.instruction == id:
            yield _order(record, sites)


def _orders_of_others(gateway: Gateway, id: InstructionId, sites: Sequence[SiteId]) -> Iterator[OrderLook]:
    """Orders that were made for another instruction and give something at the sites of this one: moved work."""
    for record in gateway.shifts.orders.values():
        mine = record.order.instruction == id
        if not mine and record.committed and any(record.regulation_w(site) for site in sites):
            yield replace(_order(record, sites), made_for=record.order.instruction)


def _order(record: ShiftRecord, sites: Sequence[SiteId]) -> OrderLook:
    return OrderLook(
        id=record.order.id,
        name=lever_name(record.offer),
        state="ordered" if record.state is None else str(record.state),
        share=record.share,
        cost=record.offer.cost,
        regulation_w=math.fsum(record.regulation_w(site) for site in sites),
        committed=record.committed,
        taken_back=record.taken_back,
        late_s=record.late_s,
        reason=record.reason,
    )


def _planned(
    gateway: Gateway, id: InstructionId, sites: Sequence[SiteId]
) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
    """What the last plan of the workload tier calls and leaves, when it was made for this instruction."""
    problem, plan = gateway.last_problem, gateway.last_plan
    if problem is None or plan is None or all(target.instruction != id for target in problem.targets):
        return (), ()
    return _called(problem, plan, sites), not_called(problem, plan, sites)


def _called(problem: Problem, plan: Plan, sites: Sequence[SiteId]) -> tuple[Reason, ...]:
    names = {v.offer: v.name for v in problem.levers if any(leg.site in sites for leg in v.legs)}
    return tuple(
        Reason(
            code="call.kept" if _stands(call) else call.reason.code,
            values=(("offer", names[call.offer]), *call.reason.values),
        )
        for call in plan.calls
        if call.offer in names and call.share > 0.0
    )


def _stands(call: Call) -> bool:
    """An order that could be taken back by now, and is not."""
    return call.offer.startswith(STANDING) and call.reason.code == "call.needed"


def _no_levers(gateway: Gateway, row: InForce, now: float) -> Iterator[Reason]:
    """Offers at the ruled sites that the plan in force could not call at all."""
    problem = gateway.last_problem
    weighed = set() if problem is None else {lever.name for lever in problem.levers}
    ends = ends_of(gateway.timeline.at(now))
    for offers in gateway.shifts.offers.values():
        for offer in offers:
            here = [leg for leg in offer.legs if leg.site in row.sites]
            if lever_name(offer) in weighed or not here:
                continue
            values = (
                ("offer", lever_name(offer)),
                ("cost", f"{offer.cost:g}"),
                ("w", f"{abs(math.fsum(regulation_of(leg.import_delta_w) for leg in here)):.0f}"),
            )
            doubt = gateway.shifts.doubts.against(offer, now)
            if doubt is not None:
                yield Reason(code="offer.doubted", values=(*values, ("seconds", f"{doubt.until - now:.0f}")))
            else:
                yield from _unfit(offer, ends, values, now)


def _unfit(
    offer: Offer, ends: Mapping[SiteId, float], values: tuple[tuple[str, str], ...], now: float
) -> Iterator[Reason]:
    """Why an offer that nobody doubts is no lever; nothing for one that is newer than the plan."""
    if offer.valid_until <= now:
        yield Reason(code="offer.expired", values=values)
    elif too_late(offer, now, ends):
        slowest_s = max(leg.latency_s for leg in offer.legs)
        yield Reason(code="offer.slow", values=(*values, ("seconds", f"{slowest_s:g}")))


def _plugins(gateway: Gateway, now: float) -> Iterator[tuple[str, str]]:
    yield from gateway.shifts.absent.items()
    for doubt in gateway.shifts.doubts.running(now):
        if not doubt.lever and doubt.plugin not in gateway.shifts.absent:
            yield doubt.plugin, doubt.said
