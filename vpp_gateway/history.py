"""The last quarter of an hour, second by second, in memory: for reports and the page; and what could be offered."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vpp_gateway import report_series
from vpp_gateway.dispatch.sites import SiteState
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD, TierName
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.reading import MeterReading, SiteReading, Snapshot
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.telemetry import TelemetryStore
from vpp_gateway.northbound.turn import Sample, SpareBlock, StatusSample, UsageSample
from vpp_gateway.portfolio.asset import Direction
from vpp_gateway.portfolio.availability import Block, SiteNow, blocks

KEEP_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """Sums of one second."""

    at: float
    import_w: float
    """Sum over the sites that are seen, by the meter that is followed."""
    baseline_import_w: float
    """What the same sites would take without any instruction."""
    target_regulation_w: float | None
    by_site_import_w: tuple[tuple[SiteId, float], ...]
    by_site_baseline_w: tuple[tuple[SiteId, float], ...]
    by_site_battery_w: tuple[tuple[SiteId, float], ...]
    complete: bool
    """Every site of the portfolio is in the sums."""
    modelled: bool
    """At least one meter is a model."""
    checked: frozenset[SiteId] = frozenset()
    """Sites whose meter failed and whose check meter is followed."""

    @property
    def regulation_w(self) -> float:
        """Baseline minus import, W."""
        return self.baseline_import_w - self.import_w

    @property
    def by_tier_w(self) -> dict[TierName, float]:
        """Regulation by tier: batteries by their own readings, workload = the rest at the meter."""
        battery = math.fsum(w for _, w in self.by_site_battery_w)
        return {BATTERY: battery, WORKLOAD: self.regulation_w - battery}

    @property
    def by_site_w(self) -> dict[SiteId, float]:
        """Regulation by site, W."""
        baseline = dict(self.by_site_baseline_w)
        return {site: baseline[site] - w for site, w in self.by_site_import_w}


class History:
    """A ring of seconds, with the telemetry store behind it; implements `northbound.turn.Telemetry`.

    Args:
        store: Answers for what is older than the ring; None = nothing older is known.
        gateway: Knows the sites and what is owed, for `spare`; None = nothing can be offered.
    """

    def __init__(self, store: TelemetryStore | None = None, gateway: Gateway | None = None) -> None:
        self._store = store
        self._gateway = gateway
        self._seconds: deque[Second] = deque(maxlen=KEEP_S)

    def __iter__(self) -> Iterator[Second]:
        return iter(self._seconds)

    @property
    def last(self) -> Second | None:
        return self._seconds[-1] if self._seconds else None

    def since(self, at: float) -> list[Second]:
        """Seconds later than `at`, in time order."""
        return [second for second in self._seconds if second.at > at]

    def add(self, gateway: Gateway, snapshot: Snapshot) -> None:
        """Keep one tick."""
        rows = gateway.timeline.at(snapshot.at)
        ruler = {site: row.instruction.id for row in rows for site in row.sites}
        heard = {reading.site: reading for reading in snapshot.sites}
        checks = {row.device: row for reading in snapshot.sites for row in reading.checks}
        seen = [
            (state, meter)
            for state in gateway.sites
            if (meter := _followed(state, heard.get(state.site.id), checks)) is not None
        ]
        imports, baselines, batteries = [], [], []
        for state, meter in seen:
            id = state.site.id
            rule = ruler.get(id)
            baseline = gateway.baselines.of(rule, state) if rule is not None else state.window.mean_w()
            imports.append((id, meter.import_w))
            baselines.append((id, meter.import_w if baseline is None else baseline))
            if (reading := heard.get(id)) is not None:
                battery_w = math.fsum(b.discharge_w for b in reading.batteries)
            else:
                battery_w = state.held_w(snapshot.at, gateway.policy)
            batteries.append((id, battery_w))
        self._seconds.append(
            Second(
                at=snapshot.at,
                import_w=math.fsum(w for _, w in imports),
                baseline_import_w=math.fsum(w for _, w in baselines),
                target_regulation_w=math.fsum(gateway.battery.asked_w(row) for row in rows) if rows else None,
                by_site_import_w=tuple(imports),
                by_site_baseline_w=tuple(baselines),
                by_site_battery_w=tuple(batteries),
                complete=len(imports) == len(gateway.fleet.sites),
                modelled=any(meter.modelled for _, meter in seen),
                checked=frozenset(state.site.id for state, _ in seen if state.sight == "check"),
            )
        )

    def usage(self, site: SiteId | None, since: float, until: float) -> Sequence[UsageSample]:
        """Import per second in [since, until); the portfolio's sum only where every site is in it."""
        result = self._older(site, since, until)
        for second in self._seconds:
            if not since <= second.at < until:
                continue
            if site is None:
                if second.complete:
                    result.append(_sample(second, second.import_w, checked=bool(second.checked)))
                continue
            w = dict(second.by_site_import_w).get(site)
            if w is not None:
                result.append(_sample(second, w, checked=site in second.checked))
        return result

    def extras(self, snapshot: Snapshot) -> dict[str, float]:
        """What the store keeps of the last second beside the readings, by name."""
        gateway, last = self._gateway, self.last
        if gateway is None or last is None:
            return {}
        found = report_series.extras(gateway.fleet, snapshot, dict(last.by_site_baseline_w), last.checked)
        found[report_series.ASKED] = last.target_regulation_w or 0.0
        found |= {f"{state.site.id}/pv_w": state.pv_w for state in gateway.sites if state.pv_w is not None}
        return found

    def series(self, quantity: str, site: SiteId | None, since: float, until: float) -> Sequence[Sample]:
        """Samples of another quantity in [since, until), from the store; empty without one."""
        if self._store is None or self._gateway is None:
            return []
        return report_series.series(self._store.seconds(since, until), self._gateway.fleet, quantity, site)

    def status(self, site: SiteId, since: float, until: float) -> Sequence[StatusSample]:
        """How the site stood in [since, until), from the store; empty without one."""
        if self._store is None:
            return []
        return report_series.statuses(self._store.seconds(since, until), site)

    def spare(
        self, direction: Direction, now: float, block_s: float, horizon_s: float
    ) -> Sequence[SpareBlock]:
        """Spare regulation per block; empty while no site can be read."""
        return [
            SpareBlock(start_at=block.start_at, end_at=block.end_at, regulation_w=block.room_w(direction))
            for block in self.available(now, block_s, horizon_s)
        ]

    def available(self, now: float, block_s: float, horizon_s: float) -> Sequence[Block]:
        """Spare regulation per block and site, in both directions; empty while no site can be read."""
        gateway = self._gateway
        if gateway is None or not any(state.fresh for state in gateway.sites):
            return []
        sites = [
            SiteNow(
                site=state.site,
                load_w=state.load_w if state.fresh else None,
                usable=state.readable,
            )
            for state in gateway.sites
        ]
        return blocks(sites, gateway.timeline, now, block_s=block_s, horizon_s=horizon_s)

    def _older(self, site: SiteId | None, since: float, until: float) -> list[UsageSample]:
        """What the ring has forgotten, or what an earlier life of this process has measured."""
        oldest = self._seconds[0].at if self._seconds else until
        if self._store is None or since >= oldest:
            return []
        rows = self._store.usage(site, since, min(until, oldest))
        return [
            UsageSample(at=row.at, import_w=row.import_w, modelled=row.modelled, checked=row.checked)
            for row in rows
        ]


def _followed(
    state: SiteState, reading: SiteReading | None, checks: Mapping[DeviceId, MeterReading]
) -> MeterReading | None:
    """The reading of the meter that is followed, of this second; the meter's own while none is.

    A meter that is only doubted is still what there is to show.
    """
    if state.sight == "check" and state.site.check_meter is not None:
        return checks.get(state.site.check_meter)
    return None if reading is None else reading.meter


def _sample(second: Second, import_w: float, *, checked: bool) -> UsageSample:
    return UsageSample(at=second.at, import_w=import_w, modelled=second.modelled, checked=checked)
