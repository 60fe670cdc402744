"""Two meters at one connection: in the first second of a fault the right one is believed, and the fault has its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from vpp_gateway.clock import SeededRng
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Arrange
from vpp_gateway.domain.fact import Instructed, Linked, Started, Tick
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Delta, DeviceId
from vpp_gateway.domain.reading import MeterReading, SiteReading, Snapshot
from vpp_gateway.gateway import Gateway
from vpp_gateway.metering.sight import Lasting, SightDoubt, doubt_of
from vpp_gateway.metering.two_meters import Parted, Sight, TwoMeters
from vpp_gateway.metering.watch import MeterDoubt
from vpp_gateway.sim.link_plant import LinkPlant

POWER_W = 100_000.0
LOAD_W = 400_000.0


def seen(rows: Sequence[tuple[float | None, float | None]]) -> tuple[str, str]:
    """What is believed, a letter a second, and the name of the fault at the end."""
    meters = TwoMeters(power_w=POWER_W)
    letters = [meters.sight(meter, check)[:1] or "-" for meter, check in rows]
    return "".join(letters), meters.parted


def test_while_they_agree_the_meter_of_the_accounts_is_believed() -> None:
    assert seen([(400e3, 400.4e3), (390e3, 390.2e3), (391e3, 391.1e3)]) == ("mmm", "")


def test_one_that_is_silent_is_replaced_by_the_other() -> None:
    assert seen([(4e5, 4e5), (None, 4.1e5), (4.1e5, None), (None, None)]) == ("mcm-", "")


def test_a_meter_that_stands_still_is_not_believed_from_the_first_second_on() -> None:
    assert seen([(4e5, 4e5), (4e5, 3.99e5), (4e5, 3.9e5)]) == ("mcc", "stuck")
    assert seen([(4e5, 4e5), (3.99e5, 4e5), (3.9e5, 4e5)]) == ("mmm", "")


def test_both_may_stand_still() -> None:
    assert seen([(0.0, 0.0), (0.0, 0.0), (0.0, 0.0)]) == ("mmm", "")


def test_the_other_sign_is_seen_at_once_at_either_of_them() -> None:
    assert seen([(4e5, 4e5), (-4e5, 4e5), (-3.9e5, 3.9e5)]) == ("mcc", "reversed")
    assert seen([(4e5, 4e5), (4e5, -4e5), (3.9e5, -3.9e5)]) == ("mmm", "")


def test_opposite_signs_from_the_start_are_followed_by_nobody_until_the_batteries_tell() -> None:
    assert seen([(-4e5, 4e5), (-3.9e5, 3.9e5)]) == ("--", "apart")
    meters = TwoMeters(power_w=POWER_W)
    rows = [
        (-4e5, 4e5, ""),
        (-3.9e5, 3.9e5, "reversed"),
        (-3.8e5, 3.8e5, ""),
        (3e2, -3e2, ""),
        (2e5, -2e5, ""),
    ]
    assert [meters.sight(m, c, p) for m, c, p in rows] == ["", "check", "check", "meter", "check"], (
        "what is known stays known through zero"
    )
    assert meters.sight(2.1e5, None) == "" and meters.sight(None, -2.1e5) == "check"
    meters = TwoMeters(power_w=POWER_W)
    assert [meters.sight(m, -m, "right") for m in (4e5, 3e5)] == [
        "meter",
        "meter",
    ] and meters.astray == "reversed"


def test_an_import_that_falls_through_zero_does_not_make_a_wrong_sign_right() -> None:
    """A meter that was found reversed, at a site that begins to export."""
    meters = TwoMeters(power_w=POWER_W)
    true = [60e3, 59e3, 30e3, 10e3, 2e3, 0.0, -2e3, -10e3, -30e3, -60e3]
    rows = [(w if n == 0 else -w, w) for n, w in enumerate(true)]
    said = [meters.sight(m, c) for m, c in rows]
    assert said[1] == "check" and said[-3:] == ["check"] * 3
    assert meters.parted == "reversed" and meters.astray == ""


def test_where_nothing_tells_which_is_wrong_the_meter_holds_and_it_is_said() -> None:
    assert seen([(4e5, 4e5), (3.9e5, 3.5e5), (3.91e5, 3.51e5)]) == ("mmm", "apart")


def test_what_is_wrong_with_the_check_meter_is_known_too() -> None:
    meters = TwoMeters(power_w=POWER_W)
    for meter, check in ((4e5, 4e5), (3.99e5, 4e5), (3.98e5, 4e5)):
        assert meters.sight(meter, check) == "meter"
    assert (meters.astray, meters.parted) == ("stuck", "")
    meters = TwoMeters(power_w=POWER_W)
    for meter, check in ((4e5, 4e5), (3.9e5, -3.9e5)):
        assert meters.sight(meter, check) == "meter"
    assert (meters.astray, meters.parted) == ("reversed", "")
    assert meters.sight(4e5, 4e5) == "meter" and meters.astray == ""


@pytest.mark.parametrize(
    ("sight", "linked", "speaks", "parted", "alone", "said"),
    [
        ("meter", True, True, "", "", ""),
        ("meter", True, True, "apart", "", "apart"),
        ("check", True, True, "stuck", "", "stuck_checked"),
        ("check", True, True, "reversed", "reversed", "reversed_checked"),
        ("check", True, True, "apart", "stuck", "apart_checked"),
        ("check", True, False, "", "", "silent_checked"),
        ("check", False, False, "", "stuck", "away_checked"),
        ("", True, True, "", "stuck", "stuck"),
        ("", False, False, "", "", ""),
    ],
)
def test_what_is_said_of_two_meters(
    sight: Sight, linked: bool, speaks: bool, parted: Parted, alone: MeterDoubt, said: str
) -> None:
    meters = TwoMeters(power_w=POWER_W, parted=parted)
    doubt = doubt_of(sight=sight, linked=linked, speaks=speaks, meters=meters, alone=alone)
    assert doubt == said


def test_a_doubt_is_said_when_it_lasts_and_at_once_where_the_batteries_proved_it() -> None:
    lasting = Lasting()
    heard = []
    seconds: tuple[SightDoubt, ...] = ("silent_checked",) * 3
    seconds += ("", "apart", "apart", "apart", "apart", "stuck", "", "apart")
    for at, doubt in enumerate(seconds):
        lasting.hear(1000.0 + at, doubt)
        heard.append(lasting.doubt)
    assert heard == [""] * 7 + ["apart", "stuck", "", ""]


def test_a_meter_that_is_well_again_is_believed_again() -> None:
    assert seen([(4e5, 4e5), (4e5, 3.8e5), (3.7e5, 3.7e5)]) == ("mcm", "")


def test_small_ripple_is_no_proof() -> None:
    rng = SeededRng("ripple")
    rows = [(4e5, 4e5 + rng.uniform(-90.0, 90.0)) for _ in range(100)]
    assert set(seen(rows)[0]) == {"m"}


# -- the gateway with two meters -------------------------------------------------------------------------------

AWARD_W = 120_000.0
BEGIN, EVENT_S = 61, 60
Bend = Callable[[float, SiteReading], SiteReading | None]


def checked() -> Fleet:
    return Fleet(sites=tuple(replace(s, check_meter=DeviceId(f"{s.id}-check")) for s in fleet().sites))


def play(bend: Bend) -> tuple[Gateway, list[float]]:
    """An event of a minute; the first site is bent from its 20th second on. What the true meters show, by second."""
    gateway = Gateway(checked(), Policy(), {})
    plant = LinkPlant(checked(), seed=3, load_w=LOAD_W, noise_w=3000.0)
    gateway.step(Started(at=1000.0, epoch=1, version="t"), 1000.0)
    for site in SITES:
        gateway.step(Linked(at=1000.0, site=site, up=True, reason=""), 1000.0)
    delivered = []
    for second in range(BEGIN + EVENT_S):
        at = 1001.0 + second
        true = plant.second(at)
        told = [_check(reading, true.sites) for reading in true.sites]
        if second >= BEGIN + 20:
            bent = bend(at, told[0])
            told = [*([] if bent is None else [bent]), *told[1:]]
        commands = gateway.step(Tick(at=at, snapshot=Snapshot(at=at, sites=tuple(told))), at)
        if second == 20:
            event = instruction(
                "e", demand=Delta(regulation_w=AWARD_W), start_at=1000.0 + BEGIN, duration_s=EVENT_S
            )
            commands += gateway.step(Instructed(at=at, instruction=event), at)
        for command in commands:
            if isinstance(command, Arrange):
                plant.arrange(command.schedule)
        if BEGIN + 2 < second < BEGIN + EVENT_S - 1:
            total = math.fsum(site.meter.import_w for site in true.sites if site.meter is not None)
            delivered.append(3 * LOAD_W - total)
    return gateway, delivered


def _check(reading: SiteReading, sites: Sequence[SiteReading]) -> SiteReading:
    """Each agent reads the check meter of the next site as well."""
    other = sites[([s.site for s in sites].index(reading.site) + 1) % len(sites)]
    assert other.meter is not None
    row = MeterReading(
        device=DeviceId(f"{other.site}-check"), at=reading.at, import_w=other.meter.import_w * 1.0005
    )
    return replace(reading, checks=(row,))


def stuck() -> Bend:
    held: list[MeterReading] = []

    def bend(at: float, reading: SiteReading) -> SiteReading:
        held[:] = held or ([] if reading.meter is None else [reading.meter])
        return replace(reading, meter=replace(held[0], at=at))

    return bend


def reversed_(at: float, reading: SiteReading) -> SiteReading:
    assert reading.meter is not None
    return replace(reading, meter=replace(reading.meter, import_w=-reading.meter.import_w))


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        (stuck(), "meter.stuck_checked"),
        (reversed_, "meter.reversed_checked"),
        (lambda at, reading: replace(reading, meter=None), "meter.silent_checked"),
        (lambda at, reading: None, "meter.away_checked"),
    ],
    ids=["stuck", "reversed", "silent", "site"],
)
def test_the_award_is_kept_when_the_meter_or_the_agent_of_a_site_fails(bend: Bend, said: str) -> None:
    gateway, delivered = play(bend)
    assert gateway.sites[SITES[0]].sight == "check"
    outside = [w for w in delivered if abs(w - AWARD_W) > 0.12 * AWARD_W]
    assert not outside, outside
    (record,) = gateway.account.records()
    of_meters = [reason.code for reason in record.why if reason.code.startswith("meter.")]
    assert of_meters == [said], "told with the event, once"


def test_a_check_meter_that_fell_behind_counts_for_nothing() -> None:
    gateway, _ = play(lambda at, reading: None)
    state = gateway.sites[SITES[0]]
    assert state.sight == "check" and state.import_w is not None
    late = Snapshot(at=3000.0, sites=())
    gateway.step(Tick(at=3000.0, snapshot=late), 3000.0)
    assert state.sight == "" and state.import_w is None and not state.fresh
