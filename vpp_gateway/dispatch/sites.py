"""What is known of each site now: the last reading, the load without our batteries, the baseline window.

    load = import at the PCC + what our usable batteries discharge

The load is what we would see had we commanded no battery; workload shifts are inside it. A battery that cannot be
read, does not obey, or is blocked by the operator, stays inside it too, as if it were load: so its loss is corrected
without guessing. While a whole site is lost, its batteries are credited: until their reversion timers have run out
where the agent is gone, as long as an agent alone carries on where its link fell silent. Alone it keeps its import at
the PCC (`SiteSchedule.alone_import_w`), so what was seen last still holds. With a check meter that another agent
reads nothing of this is assumed: its import is what counts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass, field

from vpp_gateway.dispatch.plausible import plausible
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fleet import Battery, Fleet, Site
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import SiteSchedule, Step
from vpp_gateway.domain.reading import BatteryReading, Health, SiteReading, Snapshot
from vpp_gateway.metering.baseline import LoadWindow
from vpp_gateway.metering.pv_watch import PvWatch
from vpp_gateway.metering.sight import Lasting, SightDoubt, doubt_of
from vpp_gateway.metering.two_meters import Proof, Sight, TwoMeters
from vpp_gateway.metering.unseen import Unseen
from vpp_gateway.metering.watch import MeterWatch

CHECK_OLD_S = 2.5
"""A reading of a check meter that is older says nothing of now."""
PROBATION_S = 60.0
"""A battery that did not obey is left out so long after it looks well again: released, every battery looks well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probation:
    """Why a battery that looks well is not used, and until when (UTC, Unix s)."""

    until: float
    reason: str


@dataclass(slots=True)
class SiteState:
    """One site as the centre knows it."""

    site: Site
    window: LoadWindow
    watch: MeterWatch
    meters: TwoMeters
    pv_watch: PvWatch
    sight: Sight = ""
    """By which meter the load is seen now; "" = it is not."""
    seen_w: float | None = None
    """Import at the PCC by that meter, W."""
    lasting: Lasting = field(default_factory=Lasting)
    """What is to be said of its meters."""
    unseen: Unseen = field(default_factory=Unseen)
    pv_w: float | None = None
    """What its PV gives by the PV meter, W; None = it has none, or its meter is not to be trusted now."""
    shifted_w: float = 0.0
    """Regulation that workload shifts of ours give here by their own word, W."""
    reading: SiteReading | None = None
    linked: bool = False
    lost_at: float | None = None
    lost_reason: str = ""
    told: SiteSchedule | None = None
    """The schedule that its agent was sent last."""
    alone: bool = False
    """Its link fell silent: the agent is taken to live and to carry on by itself."""
    load_w: float | None = None
    """Load without our batteries, W: as seen last, or what it probably is since then."""
    coming_w: float = 0.0
    """Regulation of fast workload shifts that the meter does not show yet, W."""
    _before: tuple[float, float] | None = None
    """(moment, load) from which the coming shifts are counted."""
    disturbed: bool = False
    """A workload shift of ours is open at this site."""
    usable: dict[DeviceId, BatteryReading] = field(default_factory=dict)
    """Batteries that can be read and take orders, and are not blocked now."""
    readable: dict[DeviceId, BatteryReading] = field(default_factory=dict)
    """The same with those that are blocked now: they can be promised for later."""
    probation: dict[DeviceId, Probation] = field(default_factory=dict)
    battery_w: float = 0.0
    """discharge_w of all usable batteries together, at the last reading."""
    each_w: dict[DeviceId, float] = field(default_factory=dict)
    """The same for each of them."""
    lent_w: Mapping[DeviceId, float] = field(default_factory=dict)
    """What of it batteries that are ruled alone were ordered to give for a limit of the site, W."""

    @property
    def fresh(self) -> bool:
        """What flows at the PCC is known now, by its meter or by its check meter."""
        return self.import_w is not None

    @property
    def import_w(self) -> float | None:
        """Import at the PCC, or None while no meter is to be trusted.

        A meter that is only behind for a moment is shown, though not followed.
        """
        if self.seen_w is not None or not self.linked or self.watch.doubt:
            return self.seen_w
        return None if self.reading is None else _metered_w(self.reading)

    @property
    def doubt(self) -> SightDoubt:
        """What is to be said of its meters; "" = nothing."""
        return self.lasting.doubt

    def expect(self, expected: tuple[float, float] | None) -> None:
        """Fast shifts were ordered here: (regulation together, W; when). What the load has already done counts off."""
        if expected is None or self.load_w is None:
            self.coming_w, self._before = 0.0, None
            return
        total, since = expected
        if self._before is None or self._before[0] != since:
            self._before = (since, self.load_w)
        seen = self._before[1] - self.load_w
        left = total - seen
        self.coming_w = max(0.0, min(total, left)) if total >= 0 else min(0.0, max(total, left))

    def credited(self, now: float, policy: Policy) -> bool:
        """The site is lost, but its batteries are taken to hold what they held."""
        lasting_s = policy.hold_s if self.alone else policy.reversion_s
        return not self.linked and self.lost_at is not None and now < self.lost_at + lasting_s

    def held_w(self, now: float, policy: Policy, without: Collection[DeviceId] = ()) -> float:
        """discharge_w of its batteries but these, read or credited."""
        return self._of_w(without) if self.linked else self.credit_w(now, policy, without)

    def credit_w(self, now: float, policy: Policy, without: Collection[DeviceId] = ()) -> float:
        """discharge_w that the batteries of a lost site (but these) are taken to give still.

        An agent alone goes through its schedule: in the step in which it was lost it gives what it gave, and keeps its
        import with it; in a later one what that step says; after the last nothing.
        """
        if not self.credited(now, policy):
            return 0.0
        if not self.alone or self.told is None:
            return self._of_w(without)
        if self.keeps_import(now):
            return self._of_w(without)
        return math.fsum(step.discharge_w for step in self._steps(now) if step.device not in without)

    def keeps_import(self, now: float) -> bool:
        """It is alone, in the step in which it was lost."""
        if not self.alone or self.told is None:
            return False
        return any(step.start_at <= self.told.issued_at for step in self._steps(now))

    def holds_leases(self, now: float, by: Set[InstructionId]) -> bool:
        """A step in force of what its agent was told last is of one of these."""
        return any(step.instruction in by for step in self._steps(now))

    def _steps(self, now: float) -> list[Step]:
        rows = () if self.told is None else self.told.steps
        return [step for step in rows if step.start_at <= now and (step.end_at is None or now < step.end_at)]

    def alone_w(self, device: DeviceId, now: float, policy: Policy) -> float:
        """discharge_w of one battery for him who rules it alone, read or credited; 0 for one that is not usable."""
        lent_w = self.lent_w.get(device, 0.0)
        if not self.linked and not self.credited(now, policy):
            return 0.0
        if self.linked or not self.alone or self.told is None or self.keeps_import(now):
            return self.each_w[device] - lent_w if device in self.each_w else 0.0
        return math.fsum(step.discharge_w for step in self._steps(now) if step.device == device) - lent_w

    def _of_w(self, without: Collection[DeviceId]) -> float:
        return self.battery_w - math.fsum(self.each_w.get(device, 0.0) for device in without)


class Sites:
    """All sites of the fleet, folded from snapshots and link facts."""

    def __init__(self, fleet: Fleet, policy: Policy) -> None:
        self.fleet, self._policy = fleet, policy
        self._states = {
            site.id: SiteState(
                site=site,
                window=LoadWindow(policy.baseline_window_s),
                watch=MeterWatch(power_w=_power_w(site)),
                meters=TwoMeters(power_w=_power_w(site)),
                pv_watch=_pv_watch(site),
            )
            for site in fleet.sites
        }
        self.batteries: dict[DeviceId, Battery] = {battery.id: battery for battery in fleet.batteries}
        self.worn = len({battery.wear_cost for battery in fleet.batteries}) > 1
        """Some batteries wear more than others."""

    def __getitem__(self, id: SiteId) -> SiteState:
        return self._states[id]

    def __iter__(self) -> Iterator[SiteState]:
        return iter(self._states.values())

    @property
    def ids(self) -> tuple[SiteId, ...]:
        return tuple(self._states)

    def fold(self, snapshot: Snapshot) -> None:
        """Take one second of readings in."""
        seen = {reading.site: reading for reading in snapshot.sites}
        checks = {
            row.device: row.import_w
            for reading in snapshot.sites
            for row in reading.checks
            if row.at > snapshot.at - CHECK_OLD_S and math.isfinite(row.import_w)
        }
        for state in self._states.values():
            reading = seen.get(state.site.id)
            check_w = None if state.site.check_meter is None else checks.get(state.site.check_meter)
            if reading is None:
                self._lose(state, snapshot.at, "no readings from the site", silent=True)
            else:
                self._take(state, reading)
            self._see(state, snapshot.at, None if reading is None else _metered_w(reading), check_w)

    def link(self, site: SiteId, up: bool, at: float, reason: str, silent: bool) -> None:
        """A site agent came (its readings follow) or went."""
        state = self._states.get(site)
        if state is None or up:
            return
        if (
            state.alone and not silent
        ):  # it fell silent first, and is gone now: its timers run out from now on
            state.lost_at = None
        self._lose(state, at, reason, silent=silent)

    def begin(self, at: float) -> None:
        """A new centre took over: nothing is heard yet, and each meter is watched anew, live and on replay alike.

        It was the centre that fell: the agents that it heard are taken to carry on alone since then.
        """
        for state in self._states.values():
            lives, heard_at = state.linked or state.alone, at if state.reading is None else state.reading.at
            state.lost_at = None
            self._lose(state, min(at, heard_at), "waiting for the site agent", silent=lives)
            power_w = state.watch.power_w
            state.watch, state.meters = MeterWatch(power_w=power_w), TwoMeters(power_w)
            state.lasting, state.unseen, state.pv_watch = Lasting(), Unseen(), _pv_watch(state.site)

    def disturb(self, sites: Set[SiteId], shifted_w: Mapping[SiteId, float]) -> None:
        """Where workload shifts of ours change the load now, and by how much by their own word (regulation, W)."""
        for id, state in self._states.items():
            state.disturbed, state.shifted_w = id in sites, shifted_w.get(id, 0.0)

    def _lose(self, state: SiteState, at: float, reason: str, *, silent: bool) -> None:
        if state.linked or state.lost_at is None:
            state.lost_at, state.lost_reason, state.alone = at, reason, silent
        state.linked, state.sight, state.seen_w, state.pv_w = False, "", None, None
        state.usable, state.readable = {}, {}

    def _take(self, state: SiteState, reading: SiteReading) -> None:
        """Take the batteries of one reading in."""
        reading = plausible(reading)
        state.reading, state.linked, state.lost_at, state.lost_reason = reading, True, None, ""
        pv = reading.pv
        counts = pv is not None and state.pv_watch.believes(pv.at, pv.import_w)
        state.pv_w = reading.pv_w if counts else None
        doubtful = {row.device for row in reading.health if row.health is not Health.GOOD}
        doubtful |= _on_probation(state, reading)
        state.readable = {b.device: b for b in reading.batteries if b.device not in doubtful}
        state.usable = {
            id: b for id, b in state.readable.items() if not state.site.is_blocked(id, reading.at, reading.at)
        }
        before, state.each_w = state.each_w, {id: b.discharge_w for id, b in state.usable.items()}
        came = math.fsum(w for id, w in state.each_w.items() if id not in before)
        state.watch.recount(came - math.fsum(w for id, w in before.items() if id not in state.each_w))
        state.battery_w = math.fsum(state.each_w.values())

    def _see(self, state: SiteState, at: float, meter_w: float | None, check_w: float | None) -> None:
        """The load by the meter that is to be believed; else what it probably is."""
        believed = meter_w is None or self._believes(state, at, meter_w, alone=check_w is None)
        watch = state.watch
        proof: Proof = "reversed" if watch.doubt == "reversed" else "right" if watch.right else ""
        state.sight = state.meters.sight(meter_w, check_w, proof)
        if state.sight == "meter" and not believed:
            state.sight = self._instead(state, check_w)
        state.seen_w = meter_w if state.sight == "meter" else check_w if state.sight == "check" else None
        doubt = doubt_of(
            sight=state.sight,
            linked=state.linked,
            speaks=meter_w is not None,
            meters=state.meters,
            alone=state.watch.doubt,
        )
        state.lasting.hear(at, doubt)
        if state.seen_w is None:
            probable_w = state.unseen.load_w(at, state.shifted_w)
            held = state.keeps_import(at) and state.credited(at, self._policy)
            state.load_w = state.load_w if probable_w is None or held else probable_w
            return
        state.load_w = state.seen_w + state.held_w(at, self._policy)
        state.unseen.saw(at, state.load_w, state.shifted_w)
        if not state.disturbed:
            state.window.add(at, state.load_w)

    def _believes(self, state: SiteState, at: float, meter_w: float, *, alone: bool) -> bool:
        """What the batteries say of the meter."""
        doubted = state.watch.doubt
        if state.watch.believes(at, meter_w, state.battery_w):
            return True
        if alone and state.watch.doubt == "reversed" != doubted:
            state.unseen.distrust()
        return False

    @staticmethod
    def _instead(state: SiteState, check_w: float | None) -> Sight:
        """What to follow when the batteries speak against the meter; one that agrees with it is as wrong as it is."""
        if check_w is None:
            return ""
        agree = state.meters.parted == ""
        if state.watch.doubt:
            return "" if agree else "check"
        return "meter" if agree else "check"


def _metered_w(reading: SiteReading) -> float | None:
    meter = reading.meter
    return meter.import_w if meter is not None and math.isfinite(meter.import_w) else None


def _pv_watch(site: Site) -> PvWatch:
    return PvWatch(limit_w=max(site.import_max_w, site.export_max_w))


def _power_w(site: Site) -> float:
    powers = (max(battery.charge_max_w, battery.discharge_max_w) for battery in site.batteries)
    return math.fsum(w for w in powers if math.isfinite(w))


def _on_probation(state: SiteState, reading: SiteReading) -> set[DeviceId]:
    """Batteries that look well now but did not obey a short time ago."""
    batteries = {battery.id for battery in state.site.batteries}
    for row in reading.health:
        if row.health is Health.REFUSING and row.device in batteries:
            state.probation[row.device] = Probation(until=reading.at + PROBATION_S, reason=row.reason)
    state.probation = {id: p for id, p in state.probation.items() if reading.at < p.until}
    return set(state.probation)
