"""The engine as the console sees it: builds the published Status and one Beat a second. Reads only."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from vpp_gateway.catalogue import retell, text
from vpp_gateway.console.events import event_views
from vpp_gateway.console.history import HistoryPoint
from vpp_gateway.console.rollup import site_health
from vpp_gateway.console.source import Beat, Feed, Subscription
from vpp_gateway.console.status import (
    AlarmView,
    BatteryView,
    GatewayView,
    LegView,
    LinkHealth,
    LinkView,
    MeterView,
    OfferView,
    PluginView,
    PortfolioView,
    Severity,
    SiteView,
    Status,
)
from vpp_gateway.dispatch.sites import SiteState
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import DeviceHealth, Health
from vpp_gateway.engine import CLOCK_STEP_S, Engine
from vpp_gateway.history import Second
from vpp_gateway.identity import expiry_step

_EXPIRY: dict[int, Severity] = {60: "warning", 30: "warning", 14: "alarm", 7: "alarm", 1: "trip"}
"""`identity.EXPIRY_DAYS` -> how urgent; each step is an alarm of its own, so that it is heard again."""
_Row = tuple[str, Severity, str, dict[str, str]]
"""Code, severity, whose it is, words for the text."""


class SolverState(Protocol):
    """What the console shows of the solver worker."""

    @property
    def state(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def restarts(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who speaks."""

    name: str
    version: str
    simulated: bool


class LiveSource:
    """Implements `console.source.StatusSource` over a running engine."""

    def __init__(
        self,
        engine: Engine,
        identity: Identity,
        solver: SolverState,
        days_left: Mapping[str, float] | None = None,
        credentials: Callable[[], Mapping[str, Sequence[str]]] = dict,
    ) -> None:
        self._engine, self._identity, self._solver = engine, identity, solver
        self._days_left = {} if days_left is None else days_left
        self._credentials = credentials
        self._feed = Feed()
        self._since: dict[str, float] = {}

    def beat(self) -> None:
        """After each tick: hand the new second to every page that listens."""
        last = self._engine.history.last
        if self._feed.listeners and last is not None:
            self._feed.publish(Beat(status=self.status(), point=_point(last)))

    def subscribe(self) -> AbstractContextManager[Subscription]:
        return self._feed.subscribe()

    def history(self, since: float) -> Sequence[HistoryPoint]:
        seconds = self._engine.history.since(since)
        # Until every site has been heard once after a start, a sum over some of them would look like a plunge.
        whole = itertools.dropwhile(lambda second: not second.complete, seconds)
        return [_point(second) for second in whole]

    def status(self) -> Status:
        engine = self._engine
        now = engine.clock.utc()
        links = tuple(self._links(now))
        sites = tuple(self._site(state, now) for state in engine.gateway.sites)
        events = event_views(engine.gateway)
        return Status(
            at=now,
            gateway=GatewayView(
                name=self._identity.name,
                version=self._identity.version,
                epoch=engine.gateway.epoch,
                started_at=engine.started_at,
                simulated=self._identity.simulated,
            ),
            portfolio=self._portfolio(),
            sites=sites,
            links=links,
            events=events,
            plugins=tuple(self._plugins()),
            alarms=tuple(self._alarms(now, sites, links)),
        )

    def _portfolio(self) -> PortfolioView:
        last, plan = self._engine.history.last, self._engine.gateway.battery.plan
        shortfall = 0.0 if plan is None else sum(abs(w) for _, w in plan.shortfall_w)
        if last is None:
            return PortfolioView(
                import_w=0.0,
                baseline_import_w=0.0,
                regulation_w=0.0,
                target_regulation_w=None,
                shortfall_w=shortfall,
                by_tier_w={},
            )
        return PortfolioView(
            import_w=last.import_w,
            baseline_import_w=last.baseline_import_w,
            regulation_w=last.regulation_w,
            target_regulation_w=last.target_regulation_w,
            shortfall_w=shortfall,
            by_tier_w=dict(last.by_tier_w),
        )

    def _site(self, state: SiteState, now: float) -> SiteView:
        site, reading = state.site, state.reading
        health = {row.device: row for row in reading.health} if reading is not None else {}
        seen = {b.device: b for b in reading.batteries} if reading is not None else {}
        batteries = []
        for battery in site.batteries:
            row = _row(health.get(battery.id), battery.id, state)
            live = seen.get(battery.id) if state.linked else None
            batteries.append(
                BatteryView(
                    id=battery.id,
                    health=row.health,
                    reason=row.reason,
                    reason_ja=retell(row.reason, "ja"),
                    age_s=_age(row.seen_at if live is None else live.at, now),
                    discharge_w=None if live is None else live.discharge_w,
                    soc=None if live is None else live.soc,
                    setpoint_w=None if live is None else live.setpoint_w,
                    armed=live is not None and live.armed,
                )
            )
        meter_row = _row(health.get(site.meter), site.meter, state)
        meter = reading.meter if reading is not None else None
        doubt, good = state.watch.doubt, meter_row.health is Health.GOOD
        meter_view = MeterView(
            id=site.meter,
            health=Health.IMPLAUSIBLE if doubt and good else meter_row.health,
            reason=text(f"why.meter.{doubt}", "en", site=site.id) if doubt and good else meter_row.reason,
            reason_ja=text(f"why.meter.{doubt}", "ja", site=site.id)
            if doubt and good
            else retell(meter_row.reason, "ja"),
            age_s=_age(meter_row.seen_at if meter is None else meter.at, now),
        )
        roll, why = site_health(
            linked=state.linked, link_reason=state.lost_reason, children=(meter_view, *batteries)
        )
        base, target = self._base(state)
        imported = state.import_w
        regulation = None if imported is None or base is None else base - imported
        battery_w = state.battery_w if state.linked else 0.0
        return SiteView(
            id=site.id,
            name=site.name,
            name_ja=site.name_ja,
            area=site.area,
            linked=state.linked,
            health=roll,
            reason=why,
            reason_ja=retell(why, "ja"),
            age_s=_age(None if reading is None else reading.at, now),
            import_w=imported,
            meter_modelled=meter is not None and meter.modelled,
            baseline_import_w=base,
            regulation_w=regulation,
            target_regulation_w=target,
            import_max_w=site.import_max_w,
            export_max_w=site.export_max_w,
            by_tier_w={} if regulation is None else {BATTERY: battery_w, WORKLOAD: regulation - battery_w},
            meter=meter_view,
            batteries=tuple(batteries),
        )

    def _base(self, state: SiteState) -> tuple[float | None, float | None]:
        """Baseline of a site, and the regulation allocated to it now."""
        gateway = self._engine.gateway
        for row in gateway.timeline.at(self._engine.clock.utc()):
            if state.site.id in row.sites:
                baseline = gateway.baselines.of(row.instruction.id, state)
                if len(row.sites) == 1:
                    return baseline, gateway.battery.asked_w(row)
                return baseline, self._allocated(state, baseline)
        return state.window.mean_w(), None

    def _allocated(self, state: SiteState, baseline: float | None) -> float | None:
        """Share of a portfolio target: what the batteries are given plus what the load shows."""
        plan = self._engine.gateway.battery.plan
        if plan is None or baseline is None or state.load_w is None:
            return None
        shares = sum(s.regulation_w for s in plan.shares if s.site == state.site.id)
        return shares + baseline - state.load_w

    def _links(self, now: float) -> Iterator[LinkView]:
        engine = self._engine
        for room in engine.rooms.values():
            status = room.session.status()
            good = status.state == "registered"
            yield LinkView(
                name=status.room,
                kind="openadr2",
                state=status.state,
                health="good" if good and not status.detail else "warning" if good else "bad",
                detail=status.detail,
                detail_ja=retell(status.detail, "ja"),
                age_s=_age(status.last_contact_at, now),
                refused_messages=status.refused_messages,
            )
        for state in engine.gateway.sites:
            yield _link(
                state.site.id,
                "site",
                "linked" if state.linked else "lost",
                "good" if state.linked else "bad",
                state.lost_reason,
                _age(None if state.reading is None else state.reading.at, now),
            )
        shifts = engine.gateway.shifts
        for name in shifts.host_of:
            health, why = shifts.health(name)
            yield _link(name, "plugin", "gone" if health == "bad" else "ready", health, why)
        ready = self._solver.state == "ready"
        detail = self._solver.reason or engine.gateway.solver_trouble
        yield _link("solver", "solver", self._solver.state, "good" if ready else "warning", detail)
        trouble = engine.journal.problem or engine.trouble.get("journal", "")
        health = "bad" if engine.journal.degraded else "warning" if trouble else "good"
        yield _link("journal", "journal", "degraded" if engine.journal.degraded else "ok", health, trouble)

    def _plugins(self) -> Iterator[PluginView]:
        shifts = self._engine.gateway.shifts
        for name, host in shifts.host_of.items():
            health, why = shifts.health(name)
            standing = [r for r in shifts.orders.values() if r.order.plugin == name]
            state = "gone" if health == "bad" else (standing[-1].state or "ordered") if standing else "ready"
            yield PluginView(
                name=name,
                site=host,
                state=state,
                reason=why,
                reason_ja=retell(why, "ja"),
                offers=tuple(
                    OfferView(
                        id=offer.id,
                        kind=offer.kind,
                        legs=tuple(
                            LegView(site=leg.site, import_delta_w=leg.import_delta_w) for leg in offer.legs
                        ),
                        steps=offer.steps,
                    )
                    for offer in shifts.offers.get(name, ())
                ),
            )

    def _alarms(self, now: float, sites: Sequence[SiteView], links: Sequence[LinkView]) -> list[AlarmView]:
        rows: list[_Row] = []
        for site in sites:
            if not site.linked:
                rows.append(("site_lost", "alarm", site.id, {"site": site.id, "why": site.reason}))
                continue
            devices: tuple[MeterView | BatteryView, ...] = (site.meter, *site.batteries)
            for device in devices:
                if device.health is not Health.GOOD:
                    values = {
                        "device": device.id,
                        "site": site.id,
                        "health": f"word.health.{device.health}",
                        "why": device.reason,
                    }
                    rows.append(("device", "alarm", device.id, values))
        for link in links:
            state = f"word.link.{link.state}"
            values = {"room": link.name, "plugin": link.name, "state": state, "why": link.detail or "-"}
            if link.kind in ("openadr2", "plugin", "solver") and link.health != "good":
                plugin = "plugin" if link.health == "bad" else "plugin_offers"
                code = {"openadr2": "room", "plugin": plugin, "solver": "solver"}[link.kind]
                rows.append((code, "alarm" if link.health == "bad" else "warning", link.name, values))
        plan = self._engine.gateway.battery.plan
        for id, w in () if plan is None else plan.shortfall_w:
            if abs(w) > 1.0:
                rows.append(("shortfall", "trip", id, {"event": id, "kw": f"{abs(w) / 1000:.1f}"}))
        rows += expiring(self._days_left)
        for name, notes in self._credentials().items():
            rows.append(("credentials", "warning", name, {"room": name, "why": "; ".join(notes)}))
        step_s = self._engine.clock.step_s()
        if abs(step_s) > CLOCK_STEP_S:
            rows.append(("clock", "warning", "clock", {"by_s": f"{step_s:+.1f}"}))
        for source, why in self._engine.trouble.items():
            rows.append(("engine", "alarm", source, {"source": source, "why": why}))
        return self._dated(now, rows)

    def _dated(self, now: float, rows: Sequence[_Row]) -> list[AlarmView]:
        keys = [f"{code}/{name}" for code, _, name, _ in rows]
        self._since = {key: self._since.get(key, now) for key in keys}
        alarms = [
            AlarmView(
                code=code,
                severity=severity,
                text=text(f"alarm.{code}", "en", **values),
                text_ja=text(f"alarm.{code}", "ja", **values),
                since=self._since[key],
            )
            for key, (code, severity, _, values) in zip(keys, rows, strict=True)
        ]
        order = {"trip": 0, "alarm": 1, "warning": 2, "info": 3}
        return sorted(alarms, key=lambda alarm: (order[alarm.severity], alarm.since))


def expiring(days_left: Mapping[str, float]) -> list[_Row]:
    """Alarms on certificates, CAs and CRLs that end, by name."""
    steps = {name: expiry_step(days) for name, days in days_left.items()}
    return [
        (
            "certificate",
            _EXPIRY[step],
            f"{name} {step}",
            {"room": name, "days": f"{max(days_left[name], 0.0):.0f}"},
        )
        for name, step in steps.items()
        if step is not None
    ]


def _link(
    name: str,
    kind: Literal["site", "plugin", "solver", "journal"],
    state: str,
    health: LinkHealth,
    detail: str,
    age_s: float | None = None,
) -> LinkView:
    return LinkView(
        name=name,
        kind=kind,
        state=state,
        health=health,
        detail=detail,
        detail_ja=retell(detail, "ja"),
        age_s=age_s,
        refused_messages=0,
    )


def _row(row: DeviceHealth | None, device: DeviceId, state: SiteState) -> DeviceHealth:
    if state.linked and row is not None:
        probation = state.probation.get(device)
        if probation is None or row.health is not Health.GOOD:
            return row
        left_s = probation.until - (row.seen_at or probation.until)
        reason = f"{probation.reason}; looks well again, left out for another {left_s:.0f} s"
        return DeviceHealth(device=device, health=Health.REFUSING, reason=reason, seen_at=row.seen_at)
    reason = state.lost_reason if not state.linked else "not read yet"
    seen_at = None if row is None else row.seen_at
    return DeviceHealth(device=device, health=Health.LOST, reason=reason, seen_at=seen_at)


def _age(at: float | None, now: float) -> float | None:
    return None if at is None else max(0.0, round(now - at, 3))


def _point(second: Second) -> HistoryPoint:
    return HistoryPoint(
        at=second.at,
        import_w=second.import_w,
        baseline_import_w=second.baseline_import_w,
        target_regulation_w=second.target_regulation_w,
        regulation_w=second.regulation_w,
        by_tier_w=dict(second.by_tier_w),
        by_site_w=dict(second.by_site_w),
    )
