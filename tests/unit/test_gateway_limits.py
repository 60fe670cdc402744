"""The gateway within its limits: feeders, links, room at a destination, offers that would not last; and numbers that
cannot be true, which are named and cost nothing but themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import LEVER, House, offer
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fact import Instructed, Offered, Started, Tick
from vpp_gateway.domain.fleet import Battery, Feeder, FeederId, Fleet, Site, SiteLink
from vpp_gateway.domain.instruction import Delta, DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import Offer, OfferId, ShiftVerb
from vpp_gateway.domain.plan import Reason
from vpp_gateway.domain.reading import DeviceHealth, Health, SiteReading
from vpp_gateway.gateway import Gateway
from vpp_gateway.optimise.explain import sentence
from vpp_gateway.sim.link_plant import LinkPlant

TOKYO, TOKYO_2, KANAGAWA = SITES
LINE_W = 15_000.0


def house_of(of: Fleet, load_w: float = 400_000.0) -> House:
    """A house on this fleet, its baseline settled."""
    house = House(gateway=Gateway(of, Policy(), {LEVER: TOKYO}), plant=LinkPlant(of, seed=1, load_w=load_w))
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    return house


def with_site(of: Fleet, id: SiteId, **changes: object) -> Fleet:
    return replace(of, sites=tuple(replace(s, **changes) if s.id == id else s for s in of.sites))  # type: ignore[arg-type]  # fields by name


def narrow(**limits: float) -> Fleet:
    """Both batteries of tokyo-1 stand behind one line."""
    line = Feeder(
        id=FeederId("east"),
        devices=(DeviceId(f"{TOKYO}/b1"), DeviceId(f"{TOKYO}/b2")),
        **{"import_max_w": LINE_W, "export_max_w": LINE_W, **limits},
    )
    return with_site(fleet(), TOKYO, feeders=(line,))


def discharges_w(house: House, site: SiteId) -> dict[DeviceId, float]:
    return {id: battery.discharge_w for id, battery in house.plant.sites[site].batteries.items()}


def why(house: House, name: str = "EV-1") -> tuple[Reason, ...]:
    (record,) = (r for r in house.gateway.account.records() if r.instruction == InstructionId(f"tso/{name}"))
    return record.why


def asked(house: House, w: float, name: str = "EV-1", **more: object) -> None:
    wanted = instruction(name, demand=Delta(regulation_w=w), **more)  # type: ignore[arg-type]  # fields by name
    house.feed(Instructed(at=house.now, instruction=wanted))


# --- feeders ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", [150_000.0, -150_000.0])
def test_batteries_behind_a_narrow_feeder_leave_the_rest_to_the_others_and_the_feeder_is_named(
    w: float,
) -> None:
    house = house_of(narrow())
    asked(house, w)
    assert house.answers[-1].opt == "in"
    most = 0.0
    while house.now < 1590.0:
        house.run_until(house.now + 1.0)
        behind = abs(sum(discharges_w(house, TOKYO).values()))
        most = max(most, behind)
        assert behind <= LINE_W + 1e-6
    assert most == pytest.approx(LINE_W)
    record = next(iter(house.gateway.account.records()))
    assert record.samples_within == record.samples > 500
    others = [abs(sum(discharges_w(house, site).values())) for site in (TOKYO_2, KANAGAWA)]
    assert sum(others) == pytest.approx(150_000.0 - LINE_W, rel=0.02)
    said = [sentence(reason, "en") for reason in why(house)]
    assert any("tokyo-1/b1 at tokyo-1" in text and "feeder east binds" in text for text in said), said
    assert any("フィーダー east" in sentence(reason, "ja") for reason in why(house))


def test_what_others_behind_the_feeder_take_or_give_counts() -> None:
    """10 kW of load at least behind it let 25 kW leave the batteries; 6 kW at most leave 9 kW to charge with."""
    limits = {"load_min_w": 10_000.0, "load_max_w": 6_000.0}
    for w, behind in ((150_000.0, 25_000.0), (-150_000.0, -9_000.0)):
        house = house_of(narrow(**limits))
        asked(house, w)
        house.run_until(1100.0)
        assert sum(discharges_w(house, TOKYO).values()) == pytest.approx(behind)


def test_a_battery_behind_the_feeder_that_does_not_obey_takes_its_room() -> None:
    """It goes on discharging 10 of the 15 kW by itself: the other one gets 5."""

    def refusing(reading: SiteReading) -> SiteReading:
        if reading.site != TOKYO:
            return reading
        first = reading.batteries[0]
        row = DeviceHealth(device=first.device, health=Health.REFUSING, reason="local control")
        batteries = (replace(first, discharge_w=10_000.0), *reading.batteries[1:])
        return replace(reading, health=(row,), batteries=batteries)

    house = house_of(narrow())
    asked(house, 150_000.0)
    ticks(house, 1100.0, refusing)
    shares = {share.id: share.regulation_w for share in house.gateway.battery.plan.shares}  # type: ignore[union-attr]
    assert shares[DeviceId(f"{TOKYO}/b1")] == 0.0
    assert shares[DeviceId(f"{TOKYO}/b2")] == pytest.approx(5_000.0)


def test_more_than_the_feeder_carries_is_refused_and_a_loss_afterwards_names_it() -> None:
    house = house_of(narrow())
    asked(house, 80_000.0, scope=(TOKYO, TOKYO_2))
    assert house.answers[-1].opt == "in"
    house.run_until(1010.0)
    for battery in house.plant.sites[TOKYO_2].batteries.values():
        battery.dead = True
    house.run_until(1050.0)
    assert Reason(code="bind.feeder", values=(("feeder", "east"), ("site", TOKYO))) in why(house)
    asked(house, 30_000.0, name="EV-2", scope=(TOKYO,))
    assert house.answers[-1].opt == "out"


# --- links and destinations ---------------------------------------------------------------------------------


def moved_w(house: House) -> float:
    """Work that stands ordered over tokyo-1 > kanagawa-1, W."""
    return sum(
        -leg.import_delta_w * record.share
        for record in house.gateway.shifts.standing()
        for leg in record.offer.legs
        if leg.site == TOKYO and record.offer.kind == "move"
    )


def by_moving(of: Fleet, load_w: float = 400_000.0) -> tuple[House, float]:
    """Down in tokyo-1, up in kanagawa-1, 90 kW each, and a move of 160 kW in quarters on offer; most that was moved."""
    house = house_of(of, load_w)
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(offer("move", (0, -160_000.0), (2, 160_000.0)),)))
    asked(house, 90_000.0, name="down", scope=(TOKYO,))
    asked(house, -90_000.0, name="up", scope=(KANAGAWA,))
    most = 0.0
    while house.now < 1300.0:
        house.run_until(house.now + 1.0)
        most = max(most, moved_w(house))
    return house, most


def test_a_link_bounds_what_is_moved_and_is_named_when_it_costs_something() -> None:
    assert by_moving(fleet(power_w=25_000.0))[1] == 80_000.0
    link = SiteLink(source=TOKYO, destination=KANAGAWA, max_w=50_000.0)
    house, moved = by_moving(replace(fleet(batteries=1, power_w=42_000.0), links=(link,)))
    assert moved == 40_000.0
    rest = replace(offer("move", (0, -120_000.0), (2, 120_000.0)), id=OfferId("rest"))
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(rest,)))
    house.run_until(1330.0)
    assert moved_w(house) == 40_000.0, "what is moved already counts"
    named = Reason(code="bind.link", values=(("source", TOKYO), ("destination", KANAGAWA)))
    assert named in why(house, "down")
    assert "kanagawa-1 への拠点間回線の上限" in sentence(named, "ja")


def test_a_link_of_nothing_moves_nothing_and_the_other_direction_is_free() -> None:
    back = SiteLink(source=KANAGAWA, destination=TOKYO, max_w=0.0)
    assert by_moving(replace(fleet(), links=(back,)))[1] == 40_000.0
    there = replace(back, source=TOKYO, destination=KANAGAWA)
    house, moved = by_moving(replace(fleet(), links=(there,)))
    assert moved == 0.0 and not house.shifts


@pytest.mark.parametrize(("max_w", "opt"), [(160_000.0, "in"), (150_000.0, "in"), (100_000.0, "out")])
def test_no_more_is_promised_than_a_link_carries(max_w: float, opt: str) -> None:
    """100 kW of batteries and a move of 160 kW in quarters: nine tenths of 210 kW need 89 kW of link, in whole steps 120."""
    link = SiteLink(source=TOKYO, destination=KANAGAWA, max_w=max_w)
    house = house_of(replace(fleet(), links=(link,)))
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(offer("move", (0, -160_000.0), (2, 160_000.0)),)))
    asked(house, 210_000.0, scope=(TOKYO,))
    assert house.answers[-1].opt == opt


@pytest.mark.parametrize(("room_w", "moved"), [(100_000.0, 80_000.0), (50_000.0, 40_000.0), (30_000.0, 0.0)])
def test_the_destination_takes_what_its_contract_leaves(room_w: float, moved: float) -> None:
    """Its import limit less its load, without its batteries' help."""
    of = with_site(fleet(power_w=25_000.0), KANAGAWA, import_max_w=400_000.0 + room_w)
    assert by_moving(of)[1] == pytest.approx(moved)


# --- offers that would not last -----------------------------------------------------------------------------


def lasting(name: str, site: int, seconds: float, cost: float) -> Offer:
    one = offer("pause", (site, -60_000.0), steps=(1.0,))
    return replace(one, id=OfferId(name), sustain_s=seconds, cost=cost)


def test_an_offer_that_ends_before_the_event_waits_for_those_that_last() -> None:
    house = house_of(fleet())
    offers = (lasting("short", 0, 120.0, 0.1), lasting("long", 1, 7200.0, 9.0))
    house.feed(Offered(at=house.now, plugin=LEVER, offers=offers))
    asked(house, 200_000.0)
    house.run_until(1450.0)
    assert {shift.order.offer for shift in house.shifts if shift.order.verb is ShiftVerb.COMMIT} == {"long"}


def test_one_that_is_needed_all_the_same_is_said_given_back_in_time_and_the_batteries_fill_in() -> None:
    house = house_of(fleet())
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(lasting("short", 0, 120.0, 1.0),)))
    asked(house, 200_000.0)
    house.run_until(1060.0)
    (called,) = (reason for reason in why(house) if reason.code == "call.short_lived")
    assert "given back 8 min before the end" in sentence(called, "en")
    house.run_until(1132.0)
    verbs = [(shift.order.offer, shift.order.verb) for shift in house.shifts]
    assert ("short", ShiftVerb.ROLLBACK) in verbs, verbs
    assert house.now <= 1002.0 + 120.0 + 10.0, "its longest hold, and at most two plans"
    house.run_until(1150.0)
    total = sum(sum(discharges_w(house, site).values()) for site in SITES)
    record = next(iter(house.gateway.account.records()))
    assert record.samples - record.samples_within <= 2
    assert total == pytest.approx(200_000.0, rel=0.02) or any(
        shift.order.offer == "short+" for shift in house.shifts
    )


def test_the_least_promised_offer_is_called_first_whatever_it_costs() -> None:
    house = house_of(fleet())
    promised = replace(lasting("promised", 0, 7200.0, 0.1), sla_tier=2)
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(promised, lasting("nobody's", 1, 7200.0, 50.0))))
    asked(house, 200_000.0)
    house.run_until(1100.0)
    assert {shift.order.offer for shift in house.shifts} == {"nobody's"}


# --- what cannot be true ------------------------------------------------------------------------------------

Spoil = Callable[[SiteReading], SiteReading]


def ticks(house: House, until: float, spoil: Spoil) -> None:
    """Seconds in which the readings of the sites come spoilt."""
    while house.now < until:
        house.now += 1.0
        snapshot = house.plant.second(house.now)
        house.feed(Tick(at=house.now, snapshot=replace(snapshot, sites=tuple(map(spoil, snapshot.sites)))))


def first_battery(**changes: float) -> Spoil:
    """The first battery of tokyo-1 says this of itself."""

    def spoil(reading: SiteReading) -> SiteReading:
        if reading.site != TOKYO:
            return reading
        return replace(reading, batteries=(replace(reading.batteries[0], **changes), *reading.batteries[1:]))

    return spoil


def no_meter(reading: SiteReading) -> SiteReading:
    if reading.site != TOKYO or reading.meter is None:
        return reading
    return replace(reading, meter=replace(reading.meter, import_w=math.nan))


SPOILT = {
    "SoC above 1": (first_battery(soc=1.7), "soc is 1.7, which cannot be true"),
    "SoC below 0": (first_battery(soc=-0.1), "soc is -0.1, which cannot be true"),
    "SoC no number": (first_battery(soc=math.nan), "soc is nan, which cannot be true"),
    "power no number": (first_battery(discharge_w=math.nan), "discharge_w is nan, which cannot be true"),
    "room endless": (
        first_battery(discharge_room_w=math.inf),
        "discharge_room_w is inf, which cannot be true",
    ),
    "charge no number": (first_battery(charge_room_w=math.nan), "charge_room_w is nan, which cannot be true"),
    "window no number": (first_battery(soc_min=math.nan), "soc_min is nan, which cannot be true"),
    "meter no number": (no_meter, "import_w is nan, which cannot be true"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_reading_that_cannot_be_true_is_named_and_costs_its_device_alone(name: str) -> None:
    spoil, words = SPOILT[name]
    house = house_of(fleet())
    asked(house, 120_000.0)
    house.run_until(1020.0)
    ticks(house, 1060.0, spoil)
    state = house.gateway.sites[TOKYO]
    assert state.reading is not None
    rows = [row for row in state.reading.health if row.health is Health.IMPLAUSIBLE]
    assert [row.reason for row in rows] == [words]
    plan = house.gateway.battery.plan
    assert plan is not None and plan.binding == () and plan.shortfall_w[0][1] == 0.0
    assert all(math.isfinite(share.regulation_w) for share in plan.shares)
    spoilt = [share for share in plan.shares if share.id == rows[0].device]
    assert all(share.regulation_w == 0.0 for share in spoilt)
    house.run_until(1120.0)
    record = next(iter(house.gateway.account.records()))
    assert record.samples - record.samples_within - record.samples_assumed <= 3
    assert record.samples_assumed == (0 if spoilt else pytest.approx(40, abs=1)), (
        "no other meter shows the site"
    )
    if spoilt:
        assert discharges_w(house, TOKYO)[rows[0].device] > 0.0, "back as soon as it is true again"


NAMEPLATES: dict[str, dict[str, float]] = {
    "power": {"discharge_max_w": math.nan},
    "charge": {"charge_max_w": math.nan},
    "energy": {"energy_wh": math.nan},
    "window": {"soc_min": math.nan},
    "efficiency": {"efficiency": math.nan},
    "no efficiency": {"efficiency": 0.0},
    "endless": {"energy_wh": math.inf},
}


@pytest.mark.parametrize("name", NAMEPLATES)
def test_a_nameplate_that_is_no_number_is_no_room_and_the_battery_is_named(name: str) -> None:
    """The field is what it is; only what the operator wrote of it is spoilt."""
    right = fleet()
    spoilt: tuple[Battery, ...] = tuple(
        replace(b, **NAMEPLATES[name]) if n == 0 else b for n, b in enumerate(right.sites[0].batteries)
    )
    house = House(
        gateway=Gateway(with_site(right, TOKYO, batteries=spoilt), Policy(), {LEVER: TOKYO}),
        plant=LinkPlant(right, seed=1, load_w=400_000.0),
    )
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    asked(house, 120_000.0)
    assert house.answers[-1].opt == "in"
    house.run_until(1100.0)
    assert discharges_w(house, TOKYO)[spoilt[0].id] == 0.0
    record = next(iter(house.gateway.account.records()))
    assert record.samples - record.samples_within <= 2
    assert ("share.no_room", spoilt[0].id) in [
        (reason.code, dict(reason.values).get("device")) for reason in why(house)
    ]


BARE: dict[str, Callable[[Site], dict[str, object]]] = {
    "no battery": lambda site: {"batteries": ()},
    "batteries of nothing": lambda site: {
        "batteries": tuple(
            replace(b, discharge_max_w=0.0, charge_max_w=0.0, energy_wh=0.0) for b in site.batteries
        )
    },
    "a connection of nothing": lambda site: {"import_max_w": 0.0, "export_max_w": 0.0},
    "a connection that is no number": lambda site: {"import_max_w": math.nan, "export_max_w": math.nan},
}


@pytest.mark.parametrize("name", BARE)
@pytest.mark.parametrize("w", [120_000.0, -120_000.0])
def test_a_site_of_no_capacity_leaves_the_event_to_the_others(name: str, w: float) -> None:
    right = fleet()
    house = House(
        gateway=Gateway(with_site(right, TOKYO, **BARE[name](right.sites[0])), Policy(), {LEVER: TOKYO}),
        plant=LinkPlant(right, seed=1, load_w=400_000.0),
    )
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    asked(house, w)
    assert house.answers[-1].opt == "in", house.answers[-1].reason
    house.run_until(1100.0)
    record = next(iter(house.gateway.account.records()))
    assert record.samples - record.samples_within <= 2
    asked(house, w, name="EV-2", scope=(TOKYO,), start_at=1700.0)
    alone = house.answers[-1]
    assert alone.opt == "out"
    relieves = name == "a connection of nothing" and w > 0.0
    assert f"only {100.0 if relieves else 0.0} kW" in alone.reason, "its batteries may relieve what it takes"
