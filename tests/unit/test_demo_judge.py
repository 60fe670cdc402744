"""The demo's judge can say no: each goal, and everything that was not seen."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from tests.unit.test_demo_schema import recorded
from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.demo import command, plan, screen
from vpp_gateway.demo.judge import Reports, missed, reports_seen
from vpp_gateway.demo.observer import Observer, Sight
from vpp_gateway.demo.report import DemoResult, EventResult, MoveResult, baseline_w, delivery, first_change_s
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import PeerError

SITE, OTHER = SiteId("tokyo-1"), SiteId("kanagawa-1")
RUN = DemoResult.model_validate(recorded())
HEARD = Reports(
    count=RUN.reports_received_by_vtn,
    points=RUN.report_points_received_by_vtn,
    longest_gap_s=RUN.longest_report_gap_s,
)
NO_MOVE = "no work moved tokyo-1 -> kanagawa-1 so that both sites changed"
START, END, BASE_W = 1_000.0, 1_024.0, 300_000.0


def judged(
    events: list[EventResult] | None = None,
    moves: list[MoveResult] | None = None,
    reports: Reports = HEARD,
    seconds: float = RUN.seconds,
) -> list[str]:
    return missed(
        plan.ACTS,
        plan.HEADLESS,
        RUN.events if events is None else events,
        RUN.moves if moves is None else moves,
        reports,
        seconds,
    )


def with_event(number: int, **altered: Any) -> list[EventResult]:
    events = list(RUN.events)
    events[number] = events[number].model_copy(update=altered)
    return events


def test_the_recorded_run_held() -> None:
    assert judged() == []
    assert RUN.within_goals and RUN.missed == []


def test_the_whole_must_not_take_too_long() -> None:
    assert judged(seconds=120.4) == ["the demo took 120.4 s, goal 120 s"]


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        ({"t_reached_s": None}, "EV-002: target reached never, goal 2 s"),
        ({"t_reached_s": 2.01}, "EV-002: target reached after 2.01 s, goal 2 s"),
        ({"within_10pct": 13 / 14}, "EV-002: 13 of 14 seconds within 10 % (14 were seen), goal 95%"),
        ({"samples": 13}, "EV-002: 13 of 14 seconds within 10 % (13 were seen), goal 95%"),
        ({"samples": 0, "within_10pct": 0.0}, "EV-002: 0 of 14 seconds within 10 % (0 were seen), goal 95%"),
        (
            {"direction": "down"},
            "order 2 (up 130 kW, portfolio): no event with its target and site came of it",
        ),
        ({"target_regulation_w": -1e3}, "order 2 (up 130 kW, portfolio): no event"),
        ({"scope": "tokyo-1"}, "order 2 (up 130 kW, portfolio): no event"),
    ],
)
def test_an_event_is_held_to_its_goals(altered: dict[str, Any], said: str) -> None:
    (row,) = judged(events=with_event(1, **altered))
    assert row.startswith(said)


def test_every_order_needs_its_event() -> None:
    assert len(judged(events=[])) == 4
    assert judged(events=RUN.events[:3]) == [
        "order 4 (up 60 kW, kanagawa-1): no event with its target and site came of it"
    ]
    assert judged(events=[*RUN.events, RUN.events[0]]) == ["5 events came of 4 orders"]


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        ({"t_source_down_s": None}, "source down never, goal 10 s"),
        ({"t_source_down_s": 10.25}, "source down after 10.25 s, goal 10 s"),
        ({"t_destination_up_s": None}, "destination up never, goal 10 s"),
        ({"t_destination_up_s": 11.0}, "destination up after 11.00 s, goal 10 s"),
        ({"downtime_s": 1.01}, "longest pause 1.01 s, goal 1 s"),
        ({"lost_steps": 1}, "steps lost: 1, repeated: 0"),
        ({"repeated_steps": 2}, "steps lost: 0, repeated: 2"),
        ({"work_proven": False}, "the output of its jobs is not the work they say they did"),
    ],
)
def test_a_move_is_held_to_its_goals(altered: dict[str, Any], said: str) -> None:
    moves = [RUN.moves[0].model_copy(update=altered), *RUN.moves[1:]]
    assert judged(moves=moves) == [f"move tokyo-1 -> kanagawa-1: {said}"]


def test_the_ordered_move_must_have_happened() -> None:
    assert judged(moves=[]) == [NO_MOVE]
    back = RUN.moves[0].model_copy(update={"from_site": OTHER, "to_site": SITE})
    assert judged(moves=[back]) == [NO_MOVE]
    hidden = {"source_change_w": 0.0, "t_source_down_s": None}
    assert judged(moves=[RUN.moves[0].model_copy(update=hidden)]) == [NO_MOVE]


def test_a_site_that_only_passes_work_on_shows_nothing() -> None:
    """tokyo-1 -> tokyo-2 and tokyo-2 -> kanagawa-1 in one act: the load of tokyo-2 stays."""
    through = {"to_site": "tokyo-2", "destination_change_w": 0.0, "t_destination_up_s": None}
    assert judged(moves=[*RUN.moves, RUN.moves[0].model_copy(update=through)]) == []


def test_reports_must_keep_coming() -> None:
    def told(at: float, r_id: str = "power", points: int = 5) -> dict[str, object]:
        return {"saw": "report", "at": at, "r_id": r_id, "points": [[0, 0]] * points}

    both = [told(at, r_id) for at in (95.0, 103.0, 108.0, 113.0, 125.0) for r_id in ("power", "energy")]
    heard = reports_seen([{"saw": "opt", "at": 104.0}, *both], 100.0, 120.0)
    assert heard == Reports(count=3, points=30, longest_gap_s=7.0)
    assert judged(reports=heard) == []
    assert reports_seen(both, 100.0, 124.0).longest_gap_s == 11.0, "silence at the end counts"
    silent = reports_seen([], 100.0, 120.0)
    assert silent == Reports(count=0, points=0, longest_gap_s=20.0)
    assert judged(reports=silent) == ["0 reports, longest gap 20.0 s, goal 10 s"]


def saw(watch: Iterable[tuple[float, float]], battery_w: float = 0.0) -> Observer:
    """An observer that saw `delivered` W against BASE_W at these times."""
    observer = Observer(meters={}, batteries={}, clock=SystemClock(), rng=SeededRng(1))
    observer.sights = [
        Sight(at=at, import_w={SITE: BASE_W - delivered}, battery_w={SITE: battery_w})
        for at, delivered in watch
    ]
    return observer


def quarters(delivered: Callable[[float], float]) -> list[tuple[float, float]]:
    return [(START + n / 4, delivered(n / 4)) for n in range(-40, 4 * 24)]


def found(observer: Observer, target_w: float = 60_000.0) -> dict[str, Any]:
    return delivery(observer, (SITE,), {SITE: BASE_W}, target_w, START, END)


def test_delivery_is_what_the_meters_showed() -> None:
    view = found(saw(quarters(lambda s: 60_000.0 if s >= 1.25 else 0.0), battery_w=20_000.0))
    assert view["t_reached_s"] == 1.25
    assert (view["samples"], view["within_10pct"], view["shortfall_w"]) == (14, 1.0, 0.0)
    assert view["delivered_by_tier_w"] == {"battery": 20_000.0, "workload": 40_000.0}
    assert view["delivered_by_site_w"] == {SITE: 60_000.0}


def test_delivery_that_fades_comes_late_or_goes_astray() -> None:
    fading = found(saw(quarters(lambda s: 60_000.0 if s < 17 else 50_000.0)))
    assert (fading["within_10pct"], fading["shortfall_w"]) == (0.5, 5_000.0)
    late = found(saw(quarters(lambda s: 60_000.0 if s >= 3 else 0.0)))
    assert late["t_reached_s"] == 3.0
    astray = found(saw(quarters(lambda _: -60_000.0)))
    assert (astray["t_reached_s"], astray["within_10pct"], astray["shortfall_w"]) == (None, 0.0, 120_000.0)
    over = found(saw(quarters(lambda _: 67_000.0)))
    assert (over["within_10pct"], over["shortfall_w"]) == (0.0, 0.0)


def test_what_was_not_seen_was_not_delivered() -> None:
    blind = found(saw((at, w) for at, w in quarters(lambda _: 60_000.0) if at < START + 5))
    assert (blind["samples"], blind["within_10pct"]) == (0, 0.0)
    blinks = found(saw((at, w) for at, w in quarters(lambda _: 60_000.0) if math.floor(at - START) != 12))
    assert blinks["samples"] == 13
    assert len(judged(events=with_event(0, **blinks, target_regulation_w=150_000.0))) == 1
    with pytest.raises(PeerError, match="no reading of the site meters"):
        baseline_w(saw([]), (SITE,), START)


def test_the_observer_says_where_it_is_unsure() -> None:
    def eye(at: float, import_w: float) -> Any:
        return SimpleNamespace(reading=SimpleNamespace(at=at, import_w=import_w))

    observer = saw([])
    observer._keep(
        START, {SITE: eye(START, 300_000.0)}, {SITE: [eye(START, -30_000.0), eye(START - 1, -30_000.0)]}
    )
    observer._keep(START + 1, {SITE: eye(START, 300_000.0)}, {SITE: []})
    (sight,) = observer.sights
    assert (sight.battery_w[SITE], sight.unsure) == (30_000.0, {SITE}), (
        "without its meter there is no look at all"
    )


def test_a_leg_of_a_move_counts_in_its_direction_only() -> None:
    falls = saw(quarters(lambda s: 24_000.0 if s >= 2 else 0.0))
    assert first_change_s(falls, SITE, BASE_W, -24_000.0, START, END) == 2.0
    assert first_change_s(falls, SITE, BASE_W, 24_000.0, START, END) is None
    assert first_change_s(falls, SITE, BASE_W, -48_000.0, START, END) is None
    blind = saw(quarters(lambda s: 24_000.0 if s >= 2 else 0.0))
    blind.sights = [
        replace(s, unsure=frozenset({SITE}) if s.at < START + 3 else frozenset()) for s in blind.sights
    ]
    assert first_change_s(blind, SITE, BASE_W, -24_000.0, START, END) == 3.0, (
        "a silent battery hides the load"
    )
    hidden = saw(quarters(lambda s: 24_000.0 if s >= 2 else 0.0), battery_w=24_000.0)
    assert first_change_s(hidden, SITE, BASE_W, -24_000.0, START, END) is None, "a battery is not a move"


@pytest.mark.parametrize(("rows", "code"), [([], command.OK), (["EV-001: late"], command.MISSED)])
def test_the_exit_code_tells(rows: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    told = RUN.model_copy(update={"missed": rows, "within_goals": not rows})
    assert command.tell(told) == code
    said = capsys.readouterr()
    assert ("every goal held" in said.out) is not bool(rows)
    assert said.err == "".join(f"missed: {row}\n" for row in rows)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "demo: interrupted\n"),
        (PeerError("the VTN is gone"), "demo: the VTN is gone\n"),
        (ExceptionGroup("a", [ExceptionGroup("b", [PeerError("not ready")])]), "demo: not ready\n"),
    ],
)
def test_a_run_that_breaks_off_did_not_hold(
    error: BaseException, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> int:
        raise error

    assert command.outcome(broken, headless=True) == command.FAILED
    assert capsys.readouterr().err == said
    left = command.OK if isinstance(error, KeyboardInterrupt) else command.FAILED
    assert command.outcome(broken, headless=False) == left, "a watched demo may be left"


def test_an_act_that_comes_to_nothing_leaves_the_watched_demo_running(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Spoilt:
        async def play(self, _: object) -> None:
            raise PeerError("event EV-001: the gateway has no record of its end; see its log")

    asyncio.run(screen.play_act(Spoilt(), plan.ACTS[0]))
    assert "the act came to nothing: event EV-001: the gateway has no record" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "demo.json"], "--json needs --headless"),
        (["--headless", "--json", "no/such/demo.json"], "no/such is not there or not writable"),
    ],
)
def test_a_result_that_cannot_be_had_is_refused_at_once(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command.demo, arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_keys_are_waited_for_only_where_they_can_come(tmp_path: Path) -> None:
    """A loop cannot wait for a file; `make demo < /dev/null` runs without keys."""
    ends = os.pipe()
    named = os.open(tmp_path / "typed", os.O_CREAT | os.O_RDWR)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        assert screen.can_wait_for(ends[0])
        assert not screen.can_wait_for(named) and not screen.can_wait_for(nothing)
    finally:
        for handle in (*ends, named, nothing):
            os.close(handle)
