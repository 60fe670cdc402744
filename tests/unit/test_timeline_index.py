"""The index of the timeline against a plain reading of the rule: whatever overlaps, the same answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fleets import SITES, fleet, instruction
from vpp_gateway.domain.instruction import (
    Delta,
    Demand,
    DeviceId,
    Instruction,
    InstructionId,
    Limit,
    Phase,
    SiteId,
)
from vpp_gateway.northbound.openadr2.ramps import with_ramps
from vpp_gateway.portfolio.look import LOOK_EDGES_MAX, LOOK_TURNS_MAX
from vpp_gateway.portfolio.timeline import InForce, Timeline

HOME = {battery.id: battery.site for battery in fleet().batteries}
DEVICES = tuple(HOME)


@dataclass
class Plain:
    """The rule, read at every question from the list of all instructions."""

    accepted: dict[InstructionId, Instruction] = field(default_factory=dict)

    def in_force(self, now: float) -> list[tuple[Instruction, Phase]]:
        found = [(i, phase) for i in self.accepted.values() if (phase := i.phase_at(now)) is not None]
        return sorted(found, key=lambda r: (r[0].priority.rank, r[0].active_from, r[0].received_at, r[0].id))

    def narrow(self, one: Instruction) -> set[SiteId]:
        return {HOME[device] for device in one.devices}

    def whole(self, one: Instruction) -> list[SiteId]:
        everywhere = not one.scope and not one.devices
        return [s for s in SITES if (everywhere or s in one.scope) and s not in self.narrow(one)]

    def at(self, now: float) -> list[InForce]:
        site_of: dict[SiteId, InstructionId] = {}
        device_of: dict[DeviceId, InstructionId] = {}
        rows = []
        for one, phase in self.in_force(now):
            if isinstance(phase.demand, Limit):
                continue
            whole = self.whole(one)
            sites = [s for s in whole if s not in site_of]
            lost = [(s, site_of[s]) for s in whole if s in site_of]
            devices, lost_devices = [], []
            for device in (d for d in DEVICES if d in one.devices):
                by = device_of.get(device) or site_of.get(HOME[device])
                if by is None:
                    devices.append(device)
                else:
                    lost_devices.append((device, by))
            lost_devices += [(d, by) for d, by in device_of.items() if HOME[d] in sites]
            site_of.update(dict.fromkeys(sites, one.id))
            device_of.update(dict.fromkeys(devices, one.id))
            rows.append(
                InForce(
                    instruction=one,
                    phase=phase,
                    sites=tuple(sites),
                    lost=tuple(lost),
                    devices=tuple(devices),
                    lost_devices=tuple(lost_devices),
                )
            )
        return rows

    def limits(self, now: float) -> dict[tuple[SiteId, DeviceId | None], tuple[float, float]]:
        found: dict[tuple[SiteId, DeviceId | None], tuple[float, float]] = {}
        for one, phase in self.in_force(now):
            if isinstance(phase.demand, Limit):
                places = [(s, None) for s in self.whole(one)] + [(HOME[d], d) for d in one.devices]
                for place in places:
                    most = found.get(place, (math.inf, math.inf))
                    new = (phase.demand.import_max_w, phase.demand.export_max_w)
                    found[place] = tuple(
                        a if b is None else min(a, b) for a, b in zip(most, new, strict=True)
                    )  # type: ignore[assignment]
        return found

    def moments(self) -> list[float]:
        phases = [phase for one in self.accepted.values() for phase in one.phases]
        return sorted({at for p in phases for at in (p.start_at, p.end_at) if at is not None})


def comparable(rows: tuple[InForce, ...] | list[InForce]) -> list[object]:
    """Rows, with what was lost in no order."""
    return [
        replace(row, lost=tuple(sorted(row.lost)), lost_devices=tuple(sorted(row.lost_devices)))
        for row in rows
    ]


watts = st.sampled_from([-30_000.0, 10_000.0, 20_000.0])
limits = st.builds(
    Limit,
    import_max_w=st.none() | st.sampled_from([1e5, 2e5]),
    export_max_w=st.none() | st.sampled_from([0.0, 1e4]),
)
demands: st.SearchStrategy[Demand] = st.builds(Delta, regulation_w=watts) | limits


@st.composite
def instructions(draw: st.DrawFn) -> Instruction:
    one = instruction(
        f"E{draw(st.integers(0, 11))}",
        demand=draw(demands),
        start_at=1000.0 + draw(st.integers(0, 20)),
        duration_s=draw(st.none() | st.integers(0, 15).map(float)),
        scope=tuple(draw(st.sets(st.sampled_from(SITES)))),
        rank=draw(st.integers(0, 2)),
        received_at=900.0 + draw(st.integers(0, 2)),
        modification=draw(st.integers(0, 1)),
    )
    one = replace(one, devices=tuple(draw(st.just(set()) | st.sets(st.sampled_from(DEVICES), max_size=3))))
    if draw(st.booleans()) and isinstance(one.phases[0].demand, Delta) and one.end_at != one.start_at:
        ramped = with_ramps(one.phases, 3.0, 2.0 if one.end_at is not None else 0.0, 3)
        return replace(one, phases=ramped, activated_at=one.start_at)
    return one


steps = st.lists(
    st.tuples(st.just("admit"), instructions())
    | st.tuples(st.just("withdraw"), st.integers(0, 11))
    | st.tuples(st.just("reach"), st.integers(-2, 40))
    | st.tuples(st.just("ask"), st.integers(-2, 40)),
    min_size=1,
    max_size=30,
)


def same(made: Timeline, plain: Plain, now: float) -> None:
    rows = plain.at(now)
    assert comparable(made.competing(now)) == comparable(rows)
    ruling = [row for row in rows if row.sites or row.devices]
    assert comparable(made.at(now)) == comparable(ruling)
    found = {
        (b.site, b.device): tuple(math.inf if w is None else w for w in (b.import_max_w, b.export_max_w))
        for b in made.bounds_at(now)
    }
    expected = {place: most for place, most in plain.limits(now).items() if most != (math.inf, math.inf)}
    assert found == expected
    moments = plain.moments()
    assert made.next_change(now) == next((at for at in moments if at > now), None)
    change = made.next_change(now)
    assert made.idle(now, 4.0) == (not plain.in_force(now) and (change is None or change > now + 4.0))
    over = {one.id for one in plain.accepted.values() if one.end_at is not None and one.end_at <= now}
    assert {one.id for one in made.over(now)} == over
    for one in plain.accepted.values():
        row = next((row for row in rows if row.instruction.id == one.id), None)
        if row is not None:
            lost = {place: by for _, place, by in made.lost_to_others([one.id], now)}
            of_scope = (entry for entry in row.lost_devices if entry[0] in one.devices)
            assert lost == {**dict(row.lost), **dict(of_scope)}


@given(steps)
@settings(max_examples=150, deadline=None)
def test_the_index_answers_as_a_plain_reading_of_all_instructions(todo: list[tuple[str, object]]) -> None:
    made, plain = Timeline(sites=SITES, home=HOME), Plain()
    for verb, what in todo:
        match verb, what:
            case "admit", Instruction():
                made.admit(what)
                plain.accepted.pop(what.id, None)
                plain.accepted[what.id] = what
            case "withdraw", int():
                id = InstructionId(f"tso/E{what}")
                assert made.withdraw(id) == plain.accepted.pop(id, None)
            case "reach", int():
                made.reach(1000.0 + what)
            case _:
                assert isinstance(what, int)
                same(made, plain, 1000.0 + what)
                held(made, plain, 1000.0 + what)
    for moment in (999.0, *plain.moments(), 1010.5, 2000.0):
        same(made, plain, moment)
        same(made.copy(), plain, moment)


def held(made: Timeline, plain: Plain, now: float) -> None:
    """From turn to turn nothing that rules or binds changes, and no moment is left out as far as is known."""
    segments = made.coming(now)
    assert made.next_turn(now) == (segments[0].start_at if segments else None)
    assert all(a.end_at == b.start_at for a, b in pairwise(segments))
    assert all(s.start_at > now for s in segments)
    until = math.inf if not segments or segments[-1].end_at is None else segments[-1].end_at
    for at in [now, *(at for at in plain.moments() if now < at < until)]:
        segment = next((s for s in reversed(segments) if s.start_at <= at), None)
        rows = comparable([row for row in plain.at(at) if row.sites or row.devices])
        if segment is None:
            assert rows == comparable(made.at(now)) and made.bounds_at(at) == made.bounds_at(now)
        else:
            assert rows == comparable(segment.rows) and made.bounds_at(at) == segment.bounds


@given(st.lists(instructions(), max_size=15), st.integers(0, 20))
@settings(max_examples=100, deadline=None)
def test_all_is_known_of_a_few(accepted: list[Instruction], since: int) -> None:
    made, plain = Timeline(sites=SITES, home=HOME), Plain()
    for one in accepted:
        made.admit(one)
        plain.accepted[one.id] = one
    held(made, plain, 1000.0 + since)
    segments = made.coming(1000.0 + since)
    assert not segments or segments[-1].end_at is None or len(segments) == LOOK_TURNS_MAX


def test_thousands_that_rule_nothing_hide_no_turn() -> None:
    """Beyond so many edges nothing is known yet; what is known is right, and its end does not move with each edge."""
    made, plain = Timeline(sites=SITES, home=HOME), Plain()
    accepted = [
        instruction("urgent", rank=1, start_at=1000.0, duration_s=None),
        instruction("most urgent", rank=0, start_at=1301.5, duration_s=9.0),
        *(
            instruction(f"E{n}", rank=9, start_at=1000.0 + n, duration_s=500.0)
            for n in range(LOOK_EDGES_MAX + 100)
        ),
    ]
    for one in accepted:
        made.admit(one)
        plain.accepted[one.id] = one
    turns = []
    for now in range(1001, 1321, 20):
        made.reach(float(now))
        turns.append(made.next_turn(float(now)))
    assert turns[:3] == [1200.0, 1200.0, 1200.0]
    assert turns[-1] == 1301.5 and made.next_turn(1305.0) == 1310.5
    for now in (1001.0, 1195.0, 1305.0):
        held(made, plain, now)


@given(st.lists(instructions(), max_size=10), instructions(), st.integers(0, 12))
@settings(max_examples=100, deadline=None)
def test_what_a_more_urgent_one_takes_is_named_with_its_time(
    accepted: list[Instruction], new: Instruction, most: int
) -> None:
    """Nothing that it would lose at a moment is counted on for that moment, however few of them are told apart."""
    made, plain = Timeline(sites=SITES, home=HOME), Plain()
    for one in accepted:
        if one.id != new.id:
            made.admit(one)
            plain.accepted[one.id] = one
    takings = made.takings(new, most)
    assert len(takings) <= max(1, most)
    plain.accepted[new.id] = new
    for at in plain.moments():
        taken = {place for since, until, places in takings if since <= at < until for place in places}
        for row in plain.at(at):
            if row.instruction.id == new.id and not isinstance(row.phase.demand, Limit):
                assert {(site, None) for site, _ in row.lost} <= taken
                for device, _ in row.lost_devices:
                    assert (HOME[device], device) in taken or (HOME[device], None) in taken


@pytest.mark.parametrize("urgent", [True, False])
def test_a_device_and_its_site(urgent: bool) -> None:
    """The more urgent one takes its device, and the other keeps the rest; nobody takes one out of a ruled site."""
    made = Timeline(sites=SITES, home=HOME)
    made.admit(instruction("site", rank=5, scope=SITES[:1]))
    made.admit(replace(instruction("device", rank=1 if urgent else 9), devices=DEVICES[:1]))
    rows = {row.instruction.event_id: row for row in made.competing(1100.0)}
    site, device = rows["site"], rows["device"]
    assert site.sites == SITES[:1]
    if urgent:
        assert (device.sites, device.devices) == ((), DEVICES[:1])
        assert site.lost_devices == ((DEVICES[0], "tso/device"),) and site.without == DEVICES[:1]
        assert list(made.lost_to_others([InstructionId("tso/site")], 1100.0)) == []
    else:
        assert (device.devices, device.lost_devices) == ((), ((DEVICES[0], "tso/site"),))
        assert made.at(1100.0) == (site,)
        lost = list(made.lost_to_others([InstructionId("tso/device")], 1100.0))
        assert lost == [("tso/device", DEVICES[0], "tso/site")]


def test_a_limit_that_is_no_number_lets_nothing_pass() -> None:
    made = Timeline(sites=SITES, home=HOME)
    made.admit(instruction("odd", demand=Limit(import_max_w=math.nan, export_max_w=None), scope=SITES[:1]))
    (bound,) = made.bounds_at(1100.0)
    assert (bound.import_max_w, bound.export_max_w, bound.import_by) == (0.0, None, "tso/odd")


def test_begun_is_handed_out_once() -> None:
    made = Timeline(sites=SITES)
    made.admit(instruction("one"))
    assert made.begin(999.0, 9) == ()
    assert [one.event_id for one in made.begin(1000.0, 9)] == ["one"]
    assert made.begin(1001.0, 9) == ()
    made.admit(instruction("one", modification=1))
    assert [one.modification for one in made.begin(1001.0, 9)] == [1]
