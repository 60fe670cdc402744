"""The explanation of one event as a value: what `vpp-gateway events why --json` prints, in both languages."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from vpp_gateway.catalogue import Lang
from vpp_gateway.chronicle.look import Look
from vpp_gateway.chronicle.rows import Row
from vpp_gateway.chronicle.telling import ruled
from vpp_gateway.domain.plan import Reason
from vpp_gateway.metering.delivery import within
from vpp_gateway.metering.limit import excess_w
from vpp_gateway.optimise.explain import sentence
from vpp_gateway.whatif.why import Why


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Sentence(_Model):
    """One reason: its code and values for programs, its sentence for people."""

    code: str
    """Stable name of the reason, for instance lever.dearer."""
    values: dict[str, str]
    """What the sentence is made of; names that end in _w, and w, are W."""
    text: str
    """The sentence in English."""
    text_ja: str
    """The same in Japanese."""


class Change(_Model):
    """A second at which something that mattered changed."""

    at: float
    """UTC, Unix s."""
    after_start_s: float
    """Seconds after the start of the event; < 0 before it."""
    kind: str
    """answer, failure, phase, shares, shortfall, plan, order, hand_over, limit, battery or over."""
    why: tuple[Sentence, ...]
    """One sentence each."""


class SiteSecond(_Model):
    """One site that the event rules, in one second."""

    site: str
    """Its id."""
    linked: bool
    """Its agent can be reached."""
    delivered_regulation_w: float
    """At its meter against its baseline, W, > 0 relieves the grid."""
    import_w: float | None
    """At its grid connection point, W; null: the meter is not to be trusted."""
    baseline_import_w: float | None
    """Frozen at the start, W; null: not known."""
    most_w: float
    """The most that its grid connection passes of what batteries give in this direction, W."""
    battery_regulation_w: float
    """What its batteries give, W, > 0 relieves the grid."""
    import_max_w: float | None
    """Of a limit: the most that it may import, W; null: not limited."""
    export_max_w: float | None
    """Of a limit: the most that it may export, W; null: not limited."""
    margin_w: float | None
    """Of a limit: what is left up to it, W; < 0: so much is beyond it. Null: no limit, or no meter to be trusted."""


class BatterySecond(_Model):
    """One battery in one second."""

    device: str
    """Its id."""
    site: str
    """Where it is."""
    regulation_w: float
    """Its share, as ordered, W, > 0 relieves the grid."""
    given_regulation_w: float | None
    """What it gives by its own reading, W, > 0 relieves the grid; null: there is none."""
    room_w: float
    """The most it could give in this direction, W."""
    energy_wh: float
    """What it can spare in this direction, Wh; shares go by it."""
    soc: float | None
    """State of charge, 0..1; null: it cannot be used."""
    why: Sentence
    """Why it is ordered what it is ordered."""


class OrderSecond(_Model):
    """One order to a workload plug-in in one second."""

    order: str
    """Its id."""
    offer: str
    """What was called, in words."""
    state: str
    """ordered, prepared, ramping, active, returning or failed."""
    share: float
    """Of the offer, 0..1."""
    cost: float
    """Relative price of 1 kW inside its tier, without a unit; in a plan an order that stands counts half of it."""
    regulation_w: float
    """What it gives at the ruled sites once it is real, W, > 0 relieves the grid."""


class SecondInFull(_Model):
    """Everything of one second."""

    at: float
    """UTC, Unix s, of the reading."""
    target_regulation_w: float
    """Asked against the baseline, W, > 0 relieves the grid; of a limit: what it demands of batteries."""
    counts: bool
    """False: others rule all that it speaks of, so that nothing is asked in this second."""
    ruled_elsewhere: tuple[Sentence, ...]
    """What of it others rule in this second, and why they go before it."""
    delivered_regulation_w: float
    """At the meters, W, > 0 relieves the grid."""
    battery_regulation_w: float
    """What of it the batteries give, W."""
    rest_regulation_w: float
    """Delivered less batteries, W: workload that is real, and noise; noise alone where `orders` has none."""
    short_w: float
    """What cannot be had of it, W, >= 0."""
    sites: tuple[SiteSecond, ...]
    """Those that the event rules."""
    batteries: tuple[BatterySecond, ...]
    """Of these sites."""
    orders: tuple[OrderSecond, ...]
    """That stand."""
    binding: tuple[Sentence, ...]
    """Limits that bind because something is missing."""
    called: tuple[Sentence, ...]
    """Offers that the plan in force calls or holds."""
    rejected: tuple[Sentence, ...]
    """Offers that it leaves, with their price."""


class Explanation(_Model):
    """Why one event went as it did."""

    schema_version: Literal[1] = 1
    """Counts the shape of this document."""
    event: str
    """Its id in the gateway."""
    modification: int
    """As last received."""
    start_at: float
    """UTC, Unix s, of its first phase."""
    end_at: float | None
    """UTC, Unix s; null = until cancelled."""
    state: str
    """pending, active, completed, cancelled or refused."""
    whole: bool
    """Everything could be told; else the following fields say what not."""
    gaps: tuple[tuple[float, float], ...]
    """Times (since, until; UTC, Unix s) of which no readings are in the journal any more."""
    replay_differs_at: float | None
    """UTC, Unix s, from which the replay decides otherwise than the run did; null: never."""
    journal_problem: str
    """What is wrong with the journal, in words; empty when it is whole."""
    decisions_proven: int
    """Decisions of the run that came out the same."""
    changes: tuple[Change, ...]
    """In order of time."""
    second: SecondInFull | None
    """The second that was asked for; null: none was."""
    within_10pct: bool | None
    """The mean delivery lies within 10 % of the order; null while the event is not over or nothing was counted, and for
    a limit."""
    limit_held: bool | None
    """Of a limit: no second from the 10th on was beyond it by more than 1 %; null: not a limit, not over, or not proven."""


def explanation_of(why: Why) -> Explanation:
    """The document of what was found."""
    start_at = why.instruction.start_at
    running = "pending" if why.seen is None else "active"
    return Explanation(
        event=why.instruction.id,
        modification=why.instruction.modification,
        start_at=start_at,
        end_at=why.instruction.end_at,
        state=running if why.record is None else why.record.state,
        whole=why.whole,
        gaps=why.gaps,
        replay_differs_at=None if why.otherwise is None else why.otherwise.at,
        journal_problem=why.problem,
        decisions_proven=why.compared,
        changes=tuple(_change(row, start_at) for row in why.rows),
        second=None if why.second is None else _second(why.second),
        within_10pct=None if why.limited else met(why),
        limit_held=met(why) if why.limited else None,
    )


def met(why: Why) -> bool | None:
    """Whether the mean delivery met the order, or the limit was held; None while nothing can be judged."""
    record = why.record
    if record is None or record.state == "refused" or not (record.samples or why.limited):
        return None
    if why.limited:
        return why.limit_held
    target_w = record.target_regulation_w if why.target_w is None else why.target_w
    return within(record.delivered_regulation_w, target_w)


def said(reasons: Iterable[Reason], lang: Lang) -> list[str]:
    """Reasons as whole sentences; a clause such as that of an opt out becomes one."""
    return [_whole(sentence(reason, lang), lang) for reason in reasons]


def _whole(text: str, lang: Lang) -> str:
    if lang == "ja":
        return text if text.endswith("。") else f"{text}。"
    return text if text.endswith(".") else f"{text[:1].upper()}{text[1:]}."


def _sentence(reason: Reason) -> Sentence:
    (english,), (japanese,) = said([reason], "en"), said([reason], "ja")
    return Sentence(code=reason.code, values=dict(reason.values), text=english, text_ja=japanese)


def _change(row: Row, start_at: float) -> Change:
    return Change(
        at=row.at,
        after_start_s=round(row.at - start_at, 3),
        kind=row.kind,
        why=tuple(_sentence(reason) for reason in row.why),
    )


def _margin_w(look: Look, import_w: float | None) -> float | None:
    """What is left up to the limit in force, W; None where there is none, or no meter."""
    if look.limit is None or import_w is None:
        return None
    beyond_w = excess_w(look.limit, import_w)
    return -beyond_w if math.isfinite(beyond_w) else None


def _second(look: Look) -> SecondInFull:
    return SecondInFull(
        at=look.at,
        target_regulation_w=look.asked_w,
        delivered_regulation_w=look.delivered_w,
        battery_regulation_w=look.battery_w,
        rest_regulation_w=look.workload_w,
        counts=not look.idle,
        ruled_elsewhere=tuple(map(_sentence, ruled(look))),
        short_w=abs(look.short_w),
        sites=tuple(
            SiteSecond(
                site=site.id,
                linked=site.linked,
                delivered_regulation_w=site.delivered_w,
                import_w=site.import_w,
                baseline_import_w=site.baseline_w,
                most_w=site.cap_w,
                battery_regulation_w=site.battery_w,
                import_max_w=None if look.limit is None else look.limit.import_max_w,
                export_max_w=None if look.limit is None else look.limit.export_max_w,
                margin_w=_margin_w(look, site.import_w),
            )
            for site in look.sites
        ),
        batteries=tuple(
            BatterySecond(
                device=battery.id,
                site=battery.site,
                regulation_w=battery.regulation_w,
                given_regulation_w=battery.given_w,
                room_w=battery.room_w,
                energy_wh=battery.energy_wh,
                soc=battery.soc,
                why=_sentence(battery.reason_named),
            )
            for battery in look.batteries
        ),
        orders=tuple(
            OrderSecond(
                order=order.id,
                offer=order.name,
                state=order.state,
                share=order.share,
                cost=order.cost,
                regulation_w=order.regulation_w,
            )
            for order in look.orders
            if order.state != "failed"
        ),
        binding=tuple(map(_sentence, look.binding)),
        called=tuple(map(_sentence, look.called)),
        rejected=tuple(map(_sentence, look.rejected)),
    )
