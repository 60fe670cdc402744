"""The engine as the console sees it: builds the published Status and one Beat a second. Reads only."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from vpp_gateway.catalogue import retell
from vpp_gateway.console import alarms
from vpp_gateway.console.events import event_views
from vpp_gateway.console.history import HistoryPoint
from vpp_gateway.console.organs import WorkerState, journal_link, link_view, planner_link, solver_link
from vpp_gateway.console.sites import SiteViews, age_s
from vpp_gateway.console.source import Beat, Feed, Subscription
from vpp_gateway.console.status import (
    GatewayView,
    LegView,
    LinkView,
    OfferView,
    PluginView,
    PortfolioView,
    SiteView,
    Status,
)
from vpp_gateway.engine import CLOCK_STEP_S, Engine
from vpp_gateway.history import Second


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
        solver: WorkerState,
        days_left: Mapping[str, float] | None = None,
        credentials: Callable[[], Mapping[str, Sequence[str]]] = dict,
        planner: WorkerState | None = None,
    ) -> None:
        self._engine, self._identity, self._solver, self._planner = engine, identity, solver, planner
        self._days_left = {} if days_left is None else days_left
        self._credentials = credentials
        self._feed = Feed()
        self._alarms = alarms.Alarms()

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
        views = SiteViews(engine.gateway, now)
        sites = tuple(views.of(state) for state in engine.gateway.sites)
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
            alarms=tuple(self._alarms.dated(now, self._rows(sites, links))),
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
                age_s=age_s(status.last_contact_at, now),
                refused_messages=status.refused_messages,
            )
        for state in engine.gateway.sites:
            alone = state.alone and state.credited(now, engine.gateway.policy)
            yield link_view(
                state.site.id,
                "site",
                "linked" if state.linked else "alone" if alone else "lost",
                "good" if state.linked else "bad",
                state.lost_reason,
                age_s(None if state.reading is None else state.reading.at, now),
            )
        shifts = engine.gateway.shifts
        for name in shifts.host_of:
            health, why = shifts.health(name)
            yield link_view(name, "plugin", "gone" if health == "bad" else "ready", health, why)
        yield solver_link(self._solver, engine.gateway.solver_trouble)
        if self._planner is not None:
            yield planner_link(self._planner, engine.gateway.rolling, now)
        trouble = engine.trouble.get("journal", "")
        yield journal_link(engine.journal.problem or trouble, degraded=engine.journal.degraded)

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

    def _rows(self, sites: Sequence[SiteView], links: Sequence[LinkView]) -> list[alarms.Row]:
        """What somebody should look at now."""
        engine = self._engine
        rows = [row for site in sites for row in alarms.of_site(site, engine.gateway.policy.hold_s)]
        rows += [row for link in links for row in alarms.of_link(link)]
        plan = engine.gateway.battery.plan
        for id, w in () if plan is None else plan.shortfall_w:
            if abs(w) > 1.0:
                rows.append(("shortfall", "trip", id, {"event": id, "kw": f"{abs(w) / 1000:.1f}"}))
        rows += alarms.of_doubts(engine.gateway.shifts.doubts.running(engine.clock.utc()))
        rows += alarms.of_rebounds(engine.gateway.rebounds.holding)
        rows += alarms.expiring(self._days_left)
        for name, notes in self._credentials().items():
            rows.append(("credentials", "warning", name, {"room": name, "why": "; ".join(notes)}))
        step_s = engine.clock.step_s()
        if abs(step_s) > CLOCK_STEP_S:
            rows.append(("clock", "warning", "clock", {"by_s": f"{step_s:+.1f}"}))
        for source, why in engine.trouble.items():
            rows.append(("engine", "alarm", source, {"source": source, "why": why}))
        return rows


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
