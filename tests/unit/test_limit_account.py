"""A limit against what flows: excess, tolerance, what was not seen; and why one instruction goes before another."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, instruction
from vpp_gateway.catalogue import LANGS
from vpp_gateway.chronicle.precedence import holders, order_of
from vpp_gateway.chronicle.telling import limit_kept
from vpp_gateway.dispatch.limits import TOLERANCE
from vpp_gateway.domain.instruction import Delta, Limit, SiteId
from vpp_gateway.metering.limit import LIMIT_TOLERANCE, LimitAccount, breaks, excess_w
from vpp_gateway.optimise.explain import sentence
from vpp_gateway.portfolio.timeline import Timeline

BOTH = Limit(import_max_w=100.0, export_max_w=50.0)


@pytest.mark.parametrize(
    ("import_w", "excess", "broken"),
    [
        (90.0, -10.0, False),
        (101.0, 1.0, False),
        (102.0, 2.0, True),
        (-40.0, -10.0, False),
        (-51.0, 1.0, True),
    ],
)
def test_excess_in_both_ways(import_w: float, excess: float, broken: bool) -> None:
    assert excess_w(BOTH, import_w) == pytest.approx(excess)
    assert breaks(BOTH, import_w) is broken


def test_the_judge_and_the_gateway_tolerate_the_same() -> None:
    assert LIMIT_TOLERANCE == TOLERANCE


def test_a_limit_of_nothing_is_never_passed() -> None:
    nothing = Limit(import_max_w=None, export_max_w=None)
    assert excess_w(nothing, 1e9) == -math.inf and not breaks(nothing, 1e9)


def test_what_was_not_seen_is_not_held_and_one_breach_is_enough() -> None:
    account = LimitAccount(limit=BOTH)
    assert account.held is None
    account.add(BOTH, 90.0)
    assert account.held is True and account.worst_excess_w == -10.0
    account.add(BOTH, None)
    assert account.held is None
    account.add(BOTH, 150.0)
    assert account.held is False
    assert (account.samples, account.samples_above, account.samples_broken, account.samples_unseen) == (
        2,
        1,
        1,
        1,
    )


@pytest.mark.parametrize(
    ("flows_w", "codes"),
    [
        ((90.0,), ["limit.held"]),
        ((100.5,), ["limit.held_near"]),
        ((150.0, None), ["limit.broken", "limit.unseen"]),
        ((-60.0,), ["limit.broken"]),
        ((None,), ["limit.unseen"]),
    ],
)
def test_each_outcome_can_be_said(flows_w: tuple[float | None, ...], codes: list[str]) -> None:
    account = LimitAccount(limit=BOTH)
    for flow_w in flows_w:
        account.add(BOTH, flow_w)
    told = list(limit_kept(SiteId("a"), account))
    assert [reason.code for reason in told] == codes
    assert all(sentence(reason, lang) for reason in told for lang in LANGS)


def test_export_is_said_as_export() -> None:
    account = LimitAccount(limit=BOTH)
    account.add(BOTH, -60.0)
    (told,) = limit_kept(SiteId("a"), account)
    assert sentence(told, "en").startswith("Not held at a: export of 0.1 kW")
    assert "逆潮流は平均" in sentence(told, "ja").replace(" ", "")


def test_why_one_instruction_goes_before_another() -> None:
    mine = instruction("M", demand=Delta(regulation_w=1.0), start_at=100.0, duration_s=60.0, rank=5)
    urgent = replace(mine, id=type(mine.id)("tso/U"), priority=replace(mine.priority, rank=1))
    earlier = instruction("E", demand=Delta(regulation_w=1.0), start_at=90.0, duration_s=60.0, rank=5)
    received = replace(mine, id=type(mine.id)("tso/R"), received_at=mine.received_at - 1.0)
    named = replace(mine, id=type(mine.id)("tso/A"))
    timeline = Timeline(sites=SITES)
    for one in (urgent, earlier, received, named):
        timeline.admit(one)
    others = (urgent, earlier, received, named)
    assert [why for _, why in order_of(timeline, mine, (one.id for one in others))] == [
        "urgent",
        "earlier",
        "received",
        "named",
    ]
    held = [dict(reason.values)["other"] for reason in holders(timeline, mine)]
    assert held == [one.id for one in others]
    later = replace(
        mine, phases=tuple(replace(p, start_at=500.0, end_at=600.0) for p in mine.phases), received_at=1e9
    )
    assert list(holders(timeline, later)) == []
