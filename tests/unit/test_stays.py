"""How long work with a rebound is taken to stay: until what is asked of its site is over, read step by step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, instruction
from tests.unit.test_rebound import work
from vpp_gateway.dispatch.stays import Stays
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.portfolio.timeline import Timeline

NOW, STEPS = 1000.0, (60.0,) * 60
A, B = SITES[0], SITES[1]


def timeline(*rows: tuple[SiteId, float, float | None]) -> Timeline:
    made = Timeline(sites=SITES)
    for number, (site, start_s, length_s) in enumerate(rows):
        one = instruction(
            f"e{number}",
            start_at=NOW + start_s,
            duration_s=60.0 if length_s is None else length_s,
            scope=(site,),
        )
        if length_s is None:
            one = replace(one, phases=(replace(one.phases[0], end_at=None),))
        made.admit(one)
    return made


@pytest.mark.parametrize(
    ("rows", "since_s", "dwell_s"),
    [
        ([(A, 0.0, 600.0)], 0.0, 600.0),
        ([(A, 0.0, 600.0)], 90.0, 510.0),
        ([(A, 300.0, 600.0)], 0.0, 600.0),
        ([(A, 0.0, 600.0), (A, 1200.0, 900.0)], 630.0, 900.0),
        ([(B, 0.0, 600.0)], 0.0, 30.0),
        ([(B, 0.0, 600.0), (A, 1800.0, 1200.0)], 60.0, 1200.0),
        ([(A, 600.0, None)], 60.0, 3000.0 + 60.0),
        ([(A, 0.0, 600.0)], 3_590.0, 30.0),
    ],
)
def test_work_with_a_rebound_stays_while_its_site_is_asked(
    rows: list[tuple[SiteId, float, float | None]], since_s: float, dwell_s: float
) -> None:
    offer = work("w", 1000.0, 100.0)
    assert {leg.site for leg in offer.legs} == {A}
    stays = Stays(timeline(*rows), NOW, STEPS, 30.0)
    assert stays.dwell_s(offer, NOW + since_s) == pytest.approx(dwell_s)
    assert stays.dwell_s(replace(offer, rebound_wh=0.0), NOW + since_s) == 30.0
    long = replace(offer, min_dwell_s=5000.0)
    assert stays.dwell_s(long, NOW + since_s) == 5000.0
