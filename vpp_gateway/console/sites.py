"""Each site as the console shows it: its meters, its batteries, by which meter it is seen, and whether it carries on alone.

A check meter is a device of the site that it stands at, and its health comes in the readings of the agent that reads it.
"""

from __future__ import annotations

from vpp_gateway.catalogue import retell, text
from vpp_gateway.console.rollup import site_health
from vpp_gateway.console.status import BatteryView, MeterView, SiteView, counted
from vpp_gateway.dispatch.sites import SiteState
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, Health, MeterReading
from vpp_gateway.gateway import Gateway

_OF_THE_CHECK_METER = frozenset({"apart", "check_stuck", "check_reversed"})
"""Doubts for which the check meter is the one that is not used."""


class SiteViews:
    """Views of the sites at one moment (UTC, Unix s)."""

    def __init__(self, gateway: Gateway, now: float) -> None:
        self._gateway, self._now = gateway, now
        self._rows: dict[DeviceId, tuple[SiteState, DeviceHealth]] = {}
        self._checks: dict[DeviceId, MeterReading] = {}
        for state in gateway.sites:
            if state.reading is not None:
                self._rows.update({row.device: (state, row) for row in state.reading.health})
                self._checks.update({row.device: row for row in state.reading.checks})

    def of(self, state: SiteState) -> SiteView:
        """One site."""
        site, reading = state.site, state.reading
        meter, check = self._meter(state), self._check_meter(state)
        batteries = self._batteries(state)
        children, replaced = counted(state.sight, meter, check, batteries)
        roll, why = site_health(
            linked=state.linked, link_reason=state.lost_reason, children=children, replaced=replaced
        )
        alone = state.alone and state.credited(self._now, self._gateway.policy)
        why = _told(state, why, alone)
        base, target = self._base(state)
        imported = state.import_w
        regulation = None if imported is None or base is None else base - imported
        battery_w = state.held_w(self._now, self._gateway.policy)
        source = None if reading is None else reading.meter
        if state.sight == "check" and site.check_meter is not None:
            source = self._checks.get(site.check_meter)
        return SiteView(
            id=site.id,
            name=site.name,
            name_ja=site.name_ja,
            area=site.area,
            linked=state.linked,
            health=roll,
            reason=why,
            reason_ja=retell(why, "ja"),
            age_s=age_s(None if reading is None else reading.at, self._now),
            import_w=imported,
            sight=state.sight,
            alone=alone,
            meter_modelled=source is not None and source.modelled,
            baseline_import_w=base,
            regulation_w=regulation,
            target_regulation_w=target,
            import_max_w=site.import_max_w,
            export_max_w=site.export_max_w,
            by_tier_w={} if regulation is None else {BATTERY: battery_w, WORKLOAD: regulation - battery_w},
            meter=meter,
            check_meter=check,
            batteries=batteries,
            pv_w=state.pv_w,
            pv_meter=None if site.pv_meter is None else self._pv_meter(site.pv_meter, state),
        )

    def _pv_meter(self, id: DeviceId, state: SiteState) -> MeterView:
        """It moves no light of its site: dispatch does without it."""
        reading = None if state.reading is None else state.reading.pv
        row = self._row(id, state)
        doubted = state.pv_watch.reversed and row.health is Health.GOOD
        return _meter_view(
            id,
            row,
            reading,
            now=self._now,
            doubt="why.meter.pv_reversed" if doubted else "",
            at=state.site.id,
            read_by=state if state.linked else None,
        )

    def _meter(self, state: SiteState) -> MeterView:
        site, doubt = state.site, state.doubt
        row = self._row(site.meter, state)
        reading = None if state.reading is None else state.reading.meter
        doubted = bool(doubt) and doubt not in _OF_THE_CHECK_METER and row.health is Health.GOOD
        return _meter_view(
            site.meter,
            row,
            reading,
            now=self._now,
            doubt=f"why.meter.{doubt}" if doubted else "",
            at=site.id,
            read_by=state if state.linked else None,
        )

    def _check_meter(self, state: SiteState) -> MeterView | None:
        """The check meter, by the word of the agent that reads it."""
        id = state.site.check_meter
        if id is None:
            return None
        reader, row = self._rows.get(id, (None, None))
        if row is None or reader is None:
            row = DeviceHealth(device=id, health=Health.LOST, reason="not read yet")
        elif not reader.linked:
            why = f"read by {reader.site.id}, whose agent is not linked; {reader.lost_reason}"
            row = DeviceHealth(device=id, health=Health.LOST, reason=why, seen_at=row.seen_at)
        doubted = state.doubt in _OF_THE_CHECK_METER and row.health is Health.GOOD
        return _meter_view(
            id,
            row,
            self._checks.get(id),
            now=self._now,
            doubt=f"why.meter.{state.doubt}" if doubted else "",
            at=state.site.id,
            read_by=reader,
        )

    def _batteries(self, state: SiteState) -> tuple[BatteryView, ...]:
        seen: dict[DeviceId, BatteryReading] = {}
        if state.reading is not None and state.linked:
            seen = {b.device: b for b in state.reading.batteries}
        return tuple(
            self._battery(self._row(battery.id, state), seen.get(battery.id))
            for battery in state.site.batteries
        )

    def _battery(self, row: DeviceHealth, live: BatteryReading | None) -> BatteryView:
        return BatteryView(
            id=row.device,
            health=row.health,
            reason=row.reason,
            reason_ja=retell(row.reason, "ja"),
            age_s=age_s(row.seen_at if live is None else live.at, self._now),
            discharge_w=None if live is None else live.discharge_w,
            soc=None if live is None else live.soc,
            setpoint_w=None if live is None else live.setpoint_w,
            armed=live is not None and live.armed,
        )

    def _row(self, device: DeviceId, state: SiteState) -> DeviceHealth:
        """Health of a device that the site's own agent reads."""
        _, row = self._rows.get(device, (state, None))
        seen_at = None if row is None else row.seen_at
        if not state.linked or row is None:
            reason = state.lost_reason if not state.linked else "not read yet"
            return DeviceHealth(device=device, health=Health.LOST, reason=reason, seen_at=seen_at)
        probation = state.probation.get(device)
        if probation is None or row.health is not Health.GOOD:
            return row
        left_s = probation.until - (seen_at or probation.until)
        reason = f"{probation.reason}; looks well again, left out for another {left_s:.0f} s"
        return DeviceHealth(device=device, health=Health.REFUSING, reason=reason, seen_at=seen_at)

    def _base(self, state: SiteState) -> tuple[float | None, float | None]:
        """Baseline of a site, and the regulation allocated to it now."""
        gateway = self._gateway
        for row in gateway.timeline.at(self._now):
            if state.site.id in row.sites:
                baseline = gateway.baselines.of(row.instruction.id, state)
                if len(row.sites) == 1:
                    return baseline, gateway.battery.asked_w(row)
                return baseline, self._allocated(state, baseline)
        return state.window.mean_w(), None

    def _allocated(self, state: SiteState, baseline: float | None) -> float | None:
        """Share of a portfolio target: what the batteries are given plus what the load shows."""
        plan = self._gateway.battery.plan
        if plan is None or baseline is None or state.load_w is None:
            return None
        shares = sum(s.regulation_w for s in plan.shares if s.site == state.site.id)
        return shares + baseline - state.load_w


def _meter_view(
    id: DeviceId,
    row: DeviceHealth,
    reading: MeterReading | None,
    *,
    now: float,
    doubt: str,
    at: SiteId,
    read_by: SiteState | None,
) -> MeterView:
    """A meter by the word of the agent that reads it, and with our own doubt in it.

    Args:
        doubt: Key of the text that says why it is not used; "" = nothing speaks against it.
        at: The site that it stands at.
        read_by: The site whose agent reads it.
    """
    heard = read_by is not None and read_by.linked
    return MeterView(
        id=id,
        health=Health.IMPLAUSIBLE if doubt else row.health,
        reason=text(doubt, "en", site=at) if doubt else row.reason,
        reason_ja=text(doubt, "ja", site=at) if doubt else retell(row.reason, "ja"),
        age_s=age_s(row.seen_at if reading is None else reading.at, now),
        import_w=reading.import_w if heard and reading is not None else None,
        read_by="" if read_by is None else read_by.site.id,
    )


def _told(state: SiteState, why: str, alone: bool) -> str:
    """The reason of a site's health, with what is known of it nevertheless."""
    more = ["its agent is taken to carry on alone"] if alone else []
    if state.sight == "check":
        more.append(
            "its check meter is followed" if state.linked else "what flows is seen by its check meter"
        )
    return "; ".join((why, *more)) if why else ""


def age_s(at: float | None, now: float) -> float | None:
    """s since `at` (UTC, Unix s); None = never."""
    return None if at is None else max(0.0, round(now - at, 3))
