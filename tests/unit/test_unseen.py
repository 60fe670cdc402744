"""What the load of a site probably is while nobody sees it."""

from __future__ import annotations

import math

import pytest

from vpp_gateway.clock import SeededRng
from vpp_gateway.metering.unseen import FADE_S, Unseen

USUAL_W = 400_000.0


def seen(samples: list[float], shifted_w: float = 0.0) -> Unseen:
    """A sample a second from second 0 on."""
    unseen = Unseen()
    for second, load_w in enumerate(samples):
        unseen.saw(float(second), load_w, shifted_w)
    return unseen


def test_nothing_is_known_of_a_site_that_was_never_seen() -> None:
    assert Unseen().load_w(5.0, 0.0) is None


def test_a_passing_peak_fades_to_the_usual_load() -> None:
    unseen = seen([USUAL_W] * 600 + [USUAL_W + 60_000.0])
    at = 600.0
    assert unseen.load_w(at, 0.0) == pytest.approx(USUAL_W + 60_000.0)
    assert unseen.load_w(at + FADE_S, 0.0) == pytest.approx(USUAL_W + 60_000.0 / math.e, abs=200.0)
    assert unseen.load_w(at + 3600.0, 0.0) == pytest.approx(USUAL_W, abs=200.0)


def test_a_shift_of_ours_does_not_fade_and_ends_when_it_is_taken_back() -> None:
    unseen = seen([USUAL_W - 100_000.0] * 60, shifted_w=100_000.0)
    assert unseen.load_w(1000.0, 100_000.0) == pytest.approx(USUAL_W - 100_000.0)
    assert unseen.load_w(1000.0, 0.0) == pytest.approx(USUAL_W, abs=100.0)


def test_time_in_which_nothing_was_seen_has_no_weight() -> None:
    unseen = seen([USUAL_W] * 300)
    unseen.saw(3000.0, USUAL_W + 90_000.0, 0.0)
    assert unseen.load_w(9000.0, 0.0) == pytest.approx(USUAL_W, abs=1_000.0)


def test_what_was_not_true_is_dropped() -> None:
    unseen = seen([USUAL_W] * 300 + [USUAL_W + 90_000.0])
    unseen.distrust()
    assert unseen.load_w(301.0, 0.0) == pytest.approx(USUAL_W, abs=500.0)
    unseen.saw(302.0, USUAL_W + 5.0, 0.0)
    assert unseen.load_w(302.0, 0.0) == pytest.approx(USUAL_W + 5.0)


def test_it_is_nearer_to_the_truth_than_the_last_value() -> None:
    """Over many quarters of an hour of noise that forgets within two minutes."""
    errors: dict[str, list[float]] = {"faded": [], "held": []}
    for seed in range(60):
        rng, noise, decay = SeededRng(seed), 0.0, math.exp(-1.0 / 120.0)
        loads = []
        for _ in range(1800):
            gauss = math.fsum(rng.uniform(-1.0, 1.0) for _ in range(3))
            noise = noise * decay + 10_000.0 * math.sqrt(1.0 - decay * decay) * gauss
            loads.append(USUAL_W + noise)
        unseen = seen(loads[:900])
        for second in range(1000, 1800, 50):
            faded = unseen.load_w(float(second), 0.0)
            assert faded is not None
            errors["faded"].append((faded - loads[second]) ** 2)
            errors["held"].append((loads[899] - loads[second]) ** 2)
    assert math.fsum(errors["faded"]) < 0.75 * math.fsum(errors["held"])
