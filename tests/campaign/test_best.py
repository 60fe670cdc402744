"""The best controller really is one: without a failure it errs by one second of noise, and it cannot do what is not there."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.campaign.best import share_within
from tests.campaign.draw import EVENT_S, KEPT, LOAD_W, NOTICE_S, SITES, Drawn, draw
from vpp_gateway.clock import SeededRng
from vpp_gateway.whatif.course import Course, Second, SiteSecond
from vpp_gateway.whatif.world import Fault


def course(sigma_w: float, seed: int = 1) -> Course:
    """Loads with the campaign's noise and nothing else; no gateway."""
    rng = SeededRng(seed)
    noise = dict.fromkeys(SITES, 0.0)
    seconds = []
    for at in range(int(NOTICE_S) - 5, int(NOTICE_S + EVENT_S) + 1):
        for id in SITES:
            gauss = math.fsum(rng.uniform(-1.0, 1.0) for _ in range(12)) / 2.0
            noise[id] = KEPT * noise[id] + sigma_w * math.sqrt(1 - KEPT**2) * gauss
        sites = {
            id: SiteSecond(
                import_w=LOAD_W + noise[id],
                load_w=LOAD_W + noise[id],
                shift_w=0.0,
                rebound_w=0.0,
                battery_w=0.0,
                pv_w=0.0,
                sun_w=0.0,
            )
            for id in SITES
        }
        seconds.append(Second(at_s=float(at), sites=sites, soc={}, battery_w={}, beliefs={}, doubts=()))
    return Course(seconds=seconds)


def failing(what: str, how: str, where: str) -> Drawn:
    drawn = draw(2, checked=False)
    fault = Fault(at_s=NOTICE_S + 300.0, what=what, how=how, where=where)
    return replace(drawn, fault=fault, play=replace(drawn.play, faults=(fault,)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_its_error_is_one_second_of_noise(seed: int) -> None:
    drawn = failing("plug-in", "dead", "work")
    sigma_w = 0.2 * abs(drawn.award_w) / math.sqrt(3)
    for all in (True, False):
        share = share_within(drawn, course(sigma_w, seed), 3 * LOAD_W, (), all=all)
        assert share >= 0.998, "10 % are 3.9 standard deviations of one second"


def test_a_site_that_it_cannot_see_costs_it_what_the_noise_costs() -> None:
    drawn = failing("meter", "dead", f"{SITES[0]}-meter")
    sigma_w = 0.2 * abs(drawn.award_w) / math.sqrt(3)
    shares = [share_within(drawn, course(sigma_w, seed), 3 * LOAD_W, (), all=False) for seed in range(8)]
    mean = math.fsum(shares) / len(shares)
    blind = math.erf(10.0 / (20.0 / math.sqrt(3)) / math.sqrt(2))
    assert mean == pytest.approx(1 / 3 + 2 / 3 * blind, abs=0.12), "once the last noise has faded"
    assert all(
        share_within(drawn, course(sigma_w, seed), 3 * LOAD_W, (), all=True) > 0.99 for seed in range(3)
    )


def test_it_cannot_give_more_than_the_batteries_that_are_left() -> None:
    drawn = failing("battery", "dead", f"{SITES[0]}-battery-1")
    mighty = replace(drawn, award_w=9.5e6)
    assert share_within(mighty, course(0.0), 3 * LOAD_W, (), all=True) == pytest.approx(1 / 3, abs=0.02)
