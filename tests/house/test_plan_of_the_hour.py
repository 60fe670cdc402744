"""Two hours of relief from batteries that hold half an hour of it, with work that takes five minutes to move.

The planner is killed half-way and does not come back: what it planned goes on. Engine, journal, agents and workers are
the real ones, in virtual time; judged at the true meters and by the true charge.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vpp_gateway.dispatch.policy import Policy, RollingPolicy
from vpp_gateway.domain.command import Plan, Shift
from vpp_gateway.domain.fact import FACT_TYPES, Planned
from vpp_gateway.domain.fleet import Battery, Fleet, Site
from vpp_gateway.domain.instruction import Delta, DeviceId, SiteId
from vpp_gateway.domain.order import ShiftVerb
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.optimise.handover import hand_over
from vpp_gateway.sim.model_work import WorkSpec
from vpp_gateway.whatif.course import Course
from vpp_gateway.whatif.house import ORIGIN, play_out
from vpp_gateway.whatif.keep import decisions_of, ground_of, keep_decisions, keep_play
from vpp_gateway.whatif.replay import replay_journal
from vpp_gateway.whatif.world import WORK, Asked, Fault, Play, SiteModel

A, B = SiteId("a"), SiteId("b")
W = 100_000.0
START_S, LAST_S, KILLED_S = 900.0, 7200.0, 900.0 + 3600.0
LATENCY_S = 300.0
ENERGY_WH, SOC_MIN, SOC = 33_000.0, 0.1, 0.9
"""Two of them: 2 x 33 kWh x (0.9 - 0.1) x 0.95 = 50 kWh, which is half an hour of 100 kW."""


def site(id: SiteId) -> Site:
    return Site(
        id=id,
        name=id,
        name_ja=id,
        area="tokyo",
        meter=DeviceId(f"{id}-meter"),
        import_max_w=2e6,
        export_max_w=0.0,
        batteries=(
            Battery(
                id=DeviceId(f"{id}-battery"),
                site=id,
                discharge_max_w=W,
                charge_max_w=W,
                energy_wh=ENERGY_WH,
                soc_min=SOC_MIN,
            ),
        ),
    )


PLAY = Play(
    name="two hours",
    fleet=Fleet(sites=(site(A), site(B))),
    policy=Policy(rolling=RollingPolicy(steps=36)),
    sites={
        A: SiteModel(load=((0.0, 800e3),), noise_w=500.0, soc=SOC),
        B: SiteModel(load=((0.0, 600e3),), noise_w=500.0, soc=SOC),
    },
    work=tuple(
        WorkSpec(
            name=f"pause-{id}",
            kind="pause",
            site=id,
            w=80e3,
            units=16,
            latency_s=LATENCY_S,
            rebound_share=0.3,
        )
        for id in (A, B)
    ),
    asked=(Asked(name="E", start_s=START_S, duration_s=LAST_S, demand=Delta(regulation_w=W)),),
    faults=(Fault(at_s=KILLED_S, what="planner", how="dead", where=WORK),),
    after_s=30.0,
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Course]:
    folder = tmp_path_factory.mktemp("plan") / "run"
    course = play_out(PLAY, keep_play(folder, PLAY))
    keep_decisions(folder, course)
    assert course.trouble == "" and next(iter(course.opts.values()))[0] == "in"
    return folder, course


def planned(folder: Path) -> Iterator[Planned]:
    with Journal.open(folder / "journal.db", FactCodec(FACT_TYPES), reserve_bytes=0) as journal:
        for entry in journal.entries():
            if entry.kind == "Planned" and isinstance(fact := journal.decode(entry), Planned):
                yield fact


def test_it_is_delivered_from_the_tenth_second_to_the_end(played: tuple[Path, Course]) -> None:
    _, course = played
    baseline_w = sum(next(iter(course.baselines.values())).values())
    delivered = [
        baseline_w - sum(one.import_w for one in second.sites.values())
        for second in course.seconds
        if START_S + 10.0 <= second.at_s < START_S + LAST_S
    ]
    outside = sum(abs(w - W) > 0.1 * W for w in delivered)
    assert len(delivered) == 7190 and outside <= 10, "a second or two as each order becomes real"
    assert sum(delivered) / len(delivered) == pytest.approx(W, rel=0.005)


def test_the_batteries_are_used_and_never_go_below_their_floor(played: tuple[Path, Course]) -> None:
    """The window of the operator always; while plans come, what they keep back as well."""
    folder, course = played
    plans = [fact for fact in planned(folder) if fact.plan is not None]
    newest, below = -1, []
    for second in course.seconds:
        assert min(second.soc.values()) >= SOC_MIN
        now = ORIGIN + PLAY.warm_up_s + second.at_s
        while newest + 1 < len(plans) and plans[newest + 1].at <= now:
            newest += 1
        plan = plans[newest].plan if newest >= 0 else None
        handed = None if plan is None else hand_over(plan, now)
        if handed is not None and START_S <= second.at_s < KILLED_S:
            below += [second.soc[store.id] * ENERGY_WH - store.floor_wh for store in handed.stores]
    assert len(below) > 7000 and min(below) >= -0.002 * ENERGY_WH
    assert max(course.seconds[-40].soc.values()) < 0.5, "most of what they hold has been used"


def test_work_is_ordered_its_latency_before_the_start_and_not_to_and_fro(
    played: tuple[Path, Course],
) -> None:
    _, course = played
    shifts = [(at, c.order.verb) for at, c in course.commands if isinstance(c, Shift)]
    first = shifts[0]
    assert first[1] is ShiftVerb.COMMIT
    assert START_S - LATENCY_S - 3.0 <= first[0] <= START_S - LATENCY_S + 1.0
    back = [at for at, verb in shifts if verb is ShiftVerb.ROLLBACK]
    assert min(back) >= START_S + LAST_S - 1.0, "nothing is given back before the end"
    assert len(shifts) <= 20


def test_a_dead_planner_is_asked_on_and_the_last_plan_goes_on(played: tuple[Path, Course]) -> None:
    folder, course = played
    asked = [at for at, command in course.commands if isinstance(command, Plan)]
    assert sum(at < KILLED_S for at in asked) > 300 and sum(at > KILLED_S for at in asked) > 300
    facts = list(planned(folder))
    after = [fact for fact in facts if fact.at > ORIGIN + PLAY.warm_up_s + KILLED_S + 1.0]
    assert len(facts) == len(asked) and after
    assert all(fact.plan is None and "planner down" in fact.reason for fact in after)


def test_a_replay_decides_the_same(played: tuple[Path, Course]) -> None:
    folder, course = played
    ground = ground_of(folder)
    assert ground is not None
    found = replay_journal(folder / "journal.db", ground, decisions_of(folder))
    assert found.difference is None, found.difference
    assert found.compared == len(course.commands) > 1000
