"""What the picture and the table of a play show, as values: who is in force when, and the hand-overs on one clock."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from rich.console import Console

from tests.unit.fleets import fleet
from vpp_gateway.catalogue import LANGS, Lang
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Delta
from vpp_gateway.whatif import table
from vpp_gateway.whatif.course import Course, HandOver, Second, SiteSecond
from vpp_gateway.whatif.house import instruction_id
from vpp_gateway.whatif.judge import EventResult, Sample, judge
from vpp_gateway.whatif.picture import LEGEND_LINES, _listed
from vpp_gateway.whatif.picture_series import LABEL_ROWS, bands, panel_samples
from vpp_gateway.whatif.result import result_of
from vpp_gateway.whatif.world import Asked, Play, SiteModel

HOME, NEXT = (site.id for site in fleet().sites[:2])
MW = 1e6
QUIET = SiteSecond(
    import_w=5 * MW, load_w=5 * MW, shift_w=0.0, rebound_w=0.0, battery_w=0.0, pv_w=0.0, sun_w=0.0
)


def asked(
    name: str, since_s: float, until_s: float, w: float, rank: int = 100, known_s: float = 0.0
) -> Asked:
    return Asked(
        name=name,
        start_s=since_s,
        duration_s=until_s - since_s,
        demand=Delta(regulation_w=w),
        scope=(HOME,),
        rank=rank,
        received_s=known_s,
    )


def played(*events: Asked) -> tuple[Play, Course, tuple[EventResult, ...]]:
    """A play in which nothing moves, and each event was taken."""
    sites = fleet().sites[:2]
    play = Play(
        name="play",
        fleet=Fleet(sites=sites),
        policy=Policy(),
        sites={site.id: SiteModel(load=((0.0, 5 * MW),)) for site in sites},
        asked=events,
    )
    course = Course(
        seconds=[
            Second(
                at_s=float(at), sites={HOME: QUIET, NEXT: QUIET}, soc={}, battery_w={}, beliefs={}, doubts=()
            )
            for at in range(-10, 210)
        ],
        baselines={instruction_id(one): dict.fromkeys(play.scope_of(one), 5 * MW) for one in events},
        opts={instruction_id(one): ("in", "") for one in events},
    )
    return play, course, judge(play, course)


def drawn(*events: Asked) -> list[Sample]:
    """The samples of a panel of all events of the first site alone."""
    play, course, judged = played(*events)
    panel = [row for row in judged if play.scope_of(row.asked) == (HOME,)]
    return panel_samples(play, course, panel, judged, (0.0, 210.0))


def stretches(samples: list[Sample]) -> list[tuple[float, float]]:
    """(From which second on, the target in MW) where it changes."""
    found: list[tuple[float, float]] = []
    for sample in samples:
        if not found or found[-1][1] != sample.target_w / MW:
            found.append((sample.at_s, sample.target_w / MW))
    return found


def test_a_more_urgent_event_in_the_middle_of_another() -> None:
    samples = drawn(asked("E1", 30, 150, 2 * MW), asked("E2", 60, 120, -1 * MW, rank=0))
    assert stretches(samples) == [(0, 0.0), (30, 2.0), (60, -1.0), (120, 2.0), (150, 0.0)]
    assert [s.at_s for s in samples] == [float(at) for at in range(210)], "each second once"


def test_of_two_alike_the_one_that_began_first_then_the_one_that_came_first() -> None:
    samples = drawn(asked("E1", 30, 90, 2 * MW), asked("E2", 60, 120, -1 * MW))
    assert stretches(samples) == [(0, 0.0), (30, 2.0), (90, -1.0), (120, 0.0)]
    samples = drawn(asked("E1", 30, 90, 2 * MW, known_s=5.0), asked("E2", 30, 60, -1 * MW, known_s=2.0))
    assert stretches(samples) == [(0, 0.0), (30, -1.0), (60, 2.0), (90, 0.0)]


def test_events_one_after_the_other_part_the_time_between_them() -> None:
    early, late = asked("E1", 30, 60, 2 * MW), asked("E2", 100, 130, -1 * MW)
    play, course, judged = played(early, late)
    course.baselines[instruction_id(late)] = {HOME: 6 * MW}
    samples = panel_samples(play, course, judged, judged, (0.0, 210.0))
    assert stretches(samples) == [(0, 0.0), (30, 2.0), (60, 0.0), (100, -1.0), (130, 0.0)]
    assert next(s.at_s for s in samples if s.delivered_w > 0.0) == 81.0, "each against its own baseline"


def test_an_event_that_lost_all_its_sites_asks_for_nothing_meanwhile() -> None:
    whole = replace(asked("E2", 60, 120, 3 * MW, rank=0), scope=(HOME, NEXT))
    samples = drawn(asked("E1", 30, 150, 2 * MW), whole)
    assert stretches(samples) == [(0, 0.0), (30, 2.0), (60, 0.0), (120, 2.0), (150, 0.0)]


# -- hand-overs --------------------------------------------------------------------------------------------------------


def handed(*spans: tuple[float, float], name: str = "E1", start_s: float = 0.0) -> EventResult:
    overs = tuple(HandOver(ordered_s=since, real_s=until, work_w=-0.1 * MW) for since, until in spans)
    event = asked(name, start_s, 200, -2 * MW)
    return EventResult(asked=event, opt="in", reason=None, samples=(), hand_overs=overs)


def test_numbers_of_hand_overs_do_not_cover_each_other() -> None:
    close = handed(*((10.0 * n, 10.0 * n + 4.0) for n in range(8)))
    placed = bands([close], width_s=25.0)
    assert [band.number for band in placed] == [1, 2, 3, 4, 5, 6, 7, 8]
    for row in range(LABEL_ROWS):
        at = [band.over.real_s for band in placed if band.row == row]
        assert all(other - one >= 25.0 for one, other in itertools.pairwise(at)), row
    tight = bands([close], width_s=100.0)
    assert len(tight) == 8, "every band is drawn"
    assert [band.row for band in tight] == [0, 1, 2, None, None, None, None, None]


@pytest.mark.parametrize("lang", LANGS)
def test_the_legend_lists_each_hand_over_on_the_clock_of_the_axis(lang: Lang) -> None:
    late = handed((480.0, 492.0), (840.0, 852.0), start_s=60.0)
    lines = _listed(bands([late], 1.0), LEGEND_LINES, lang)
    assert len(lines) == 3
    assert "480" in lines[1] and "492" in lines[1] and "-0.10 MW" in lines[1]
    assert not any("420" in line for line in lines)


def test_the_legend_names_the_event_where_a_panel_has_several_and_ends_in_time() -> None:
    rows = [handed((1.0, 2.0)), handed((5.0, 6.0), name="E2")]
    assert _listed(bands(rows, 1.0), LEGEND_LINES, "en")[1:] == [
        "E1 1: -0.10 MW, 1 to 2 s",
        "E2 1: -0.10 MW, 5 to 6 s",
    ]
    many = _listed(bands([handed(*((n, n + 0.5) for n in range(20)))], 1.0), 6, "en")
    assert len(many) == 1 + 6 and many[-1] == "and 15 more: in the table"
    assert _listed([], 6, "en") == []


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "E1: hand-over 1: work of -0.600 MW, ordered at 80 s (50 s after the event's start), had taken "
               "over from the batteries 12 s later, at 92 s"),
        ("ja", "E1: 引き継ぎ 1: 80 秒(イベント開始の 50 秒後)に命令したワークロード -0.600 MW が、"
               "12 秒かけて 92 秒に蓄電池からの引き継ぎを完了"),
    ],
)  # fmt: skip
def test_the_table_says_moments_on_the_clock_of_the_play_and_a_duration_as_one(lang: Lang, said: str) -> None:
    play, course, _ = played(asked("E1", 30, 150, -2 * MW))
    over = HandOver(ordered_s=80.0, real_s=92.0, work_w=-0.6 * MW)
    course.hand_overs[instruction_id(play.asked[0])] = [over]
    result = result_of(play, course, judge(play, course))
    (row,) = result.events[0].hand_overs
    assert (row.ordered_s, row.real_s, row.lasted_s, row.grown_regulation_w) == (80.0, 92.0, 12.0, -0.6 * MW)
    console = Console(width=250)
    with console.capture() as shown:
        table.draw(console, play, result, lang)
    assert said in shown.get().splitlines()
