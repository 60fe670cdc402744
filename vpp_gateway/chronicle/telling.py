"""The reasons of a change: codes and values, which `optimise.explain` says in English or Japanese."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from vpp_gateway.chronicle.hand_over import HandedOver
from vpp_gateway.chronicle.look import BatteryLook, Look, OrderLook, SiteLook
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.instruction import Limit, SiteId
from vpp_gateway.domain.plan import Reason
from vpp_gateway.metering.limit import LimitAccount, breaks, excess_w

MOVED_W = 500.0
"""A battery that gives so much more than a second before has taken something over."""
NAMED_MAX = 4
"""So many batteries are named; more are counted."""


def asked(look: Look) -> Iterator[Reason]:
    """What is asked from this second on of the sites that it rules."""
    sites = ("sites", ", ".join(site.id for site in look.sites))
    demand = None if look.phase is None else look.phase.demand
    if isinstance(demand, Limit):
        for way, most in (("import", demand.import_max_w), ("export", demand.export_max_w)):
            if most is not None:
                yield Reason(code=f"phase.limit_{way}", values=(("w", f"{most:.0f}"), sites))
    elif look.sites:
        way = "down" if look.asked_w >= 0.0 else "up"
        yield Reason(code=f"phase.{way}", values=(("w", f"{abs(look.asked_w):.0f}"), sites))


def taken(last: Look | None, look: Look) -> Iterator[Reason]:
    """Sites that another instruction took, and those that came back."""
    before = dict(last.lost if last is not None else ())
    for reason in ruled(look):
        values = dict(reason.values)
        if before.get(SiteId(values["site"])) != values["other"]:
            yield reason
    for site, other in before.items():
        if site not in dict(look.lost):
            yield Reason(code="phase.given_back", values=(("site", site), ("other", other)))


def ruled(look: Look) -> Iterator[Reason]:
    """Who rules what another one took, and why that goes before."""
    orders = dict(look.order_of)
    for site, other in look.lost:
        code = {"earlier": "_earlier", "received": "_received", "named": "_named"}.get(
            orders.get(other, ""), ""
        )
        yield Reason(code=f"phase.taken{code}", values=(("site", site), ("other", other)))


def elsewhere(ruled_s: Mapping[tuple[SiteId, str], int], idle_s: int) -> Iterator[Reason]:
    """What others ruled of an instruction.

    Args:
        ruled_s: (site, who ruled it) -> for how many seconds.
        idle_s: Seconds in which others ruled all of its sites.
    """
    for (site, other), seconds in ruled_s.items():
        yield Reason(
            code="over.elsewhere", values=(("site", site), ("other", other), ("seconds", str(seconds)))
        )
    if idle_s:
        yield Reason(code="over.not_counted", values=(("seconds", str(idle_s)),))


def limit_kept(site: SiteId, account: LimitAccount) -> Iterator[Reason]:
    """How a site kept its limit."""
    if account.samples:
        way, most_w, sign = way_of(account.limit, account.import_w)
        values = (
            ("site", site),
            ("way", f"word.way.{way}"),
            ("w", f"{sign * account.import_w:.0f}"),
            ("total_w", f"{most_w:.0f}"),
            ("other_w", f"{abs(account.worst_excess_w):.0f}"),
        )
        counts = (("count", str(account.samples_above)), ("seconds", str(account.samples)))
        if account.samples_broken:
            broken = ("broken", str(account.samples_broken))
            yield Reason(code="limit.broken", values=(*values, *counts, broken))
        elif account.samples_above:
            yield Reason(code="limit.held_near", values=(*values, *counts))
        else:
            yield Reason(code="limit.held", values=values)
    if account.samples_unseen:
        unseen = (("site", site), ("seconds", str(account.samples_unseen)))
        yield Reason(code="limit.unseen", values=unseen)


def way_of(limit: Limit, import_w: float) -> tuple[str, float, float]:
    """The way in which a limit is nearer to this flow: import or export, the most that is allowed, W, and the sign."""
    ways = ((limit.import_max_w, "import", 1.0), (limit.export_max_w, "export", -1.0))
    known = [
        (sign * import_w - most_w, name, most_w, sign) for most_w, name, sign in ways if most_w is not None
    ]
    _, name, most_w, sign = max(known, default=(0.0, "import", 0.0, 1.0))
    return name, most_w, sign


def limit_over(record: DeliveryRecord, accounts: Mapping[SiteId, LimitAccount]) -> Iterator[Reason]:
    """What came of a limit."""
    yield Reason(code=f"over.limit_{record.state}")
    for site, account in accounts.items():
        yield from limit_kept(site, account)
    if not any(account.samples for account in accounts.values()):
        yield Reason(code="over.too_short")


def passed(look: Look) -> Iterator[Reason]:
    """Sites that pass the limit in force by more than the tolerance."""
    for site in look.sites:
        if look.limit is not None and site.import_w is not None and breaks(look.limit, site.import_w):
            way, most_w, sign = way_of(look.limit, site.import_w)
            yield Reason(
                code="limit.passed",
                values=(
                    ("site", site.id),
                    ("way", f"word.way.{way}"),
                    ("w", f"{sign * site.import_w:.0f}"),
                    ("total_w", f"{most_w:.0f}"),
                    ("other_w", f"{excess_w(look.limit, site.import_w):.0f}"),
                ),
            )


def sites(look: Look) -> Iterator[Reason]:
    """Why each site is ordered what it is ordered: by the energy that its batteries can spare, by their wear, or by what
    bounds it."""
    given = {site.id: 0.0 for site in look.sites}
    energy = dict(given)
    for battery in look.batteries:
        given[battery.site] += abs(battery.regulation_w)
        energy[battery.site] += battery.energy_wh if battery.room_w > 0.0 else 0.0
    total_w, total_wh = math.fsum(given.values()), math.fsum(energy.values())
    spared = {battery.site for battery in look.batteries if battery.reason.code == "share.wear"}
    for site in look.sites:
        mine = [battery for battery in look.batteries if battery.site == site.id]
        values = (("site", site.id), ("w", f"{given[site.id]:.0f}"), ("total_w", f"{total_w:.0f}"))
        if not mine and not look.batteries:
            continue
        if not any(battery.room_w > 0.0 for battery in mine):
            yield Reason(code="site.none", values=values[:1])
        elif limit(look, site):
            yield Reason(code=f"site.{limit(look, site)}", values=values)
        elif all(battery.state == "full" for battery in mine if battery.room_w > 0.0):
            yield Reason(code="site.full", values=values)
        elif site.id in spared or (spared and given[site.id] > 0.0):
            yield Reason(code="site.wear", values=values)
        elif given[site.id] <= 0.0:
            yield Reason(code="site.idle", values=values[:1])
        else:
            percent = f"{energy[site.id] / total_wh:.0%}" if total_wh > 0.0 else "-"
            spare = (("percent", percent), ("kwh", f"{energy[site.id] / 1000.0:.0f}"))
            yield Reason(code="site.share", values=(*values, *spare))


def limit(look: Look, site: SiteLook) -> str:
    """export | import: the grid connection holds its batteries back, though they could give more; else "".

    Under an instruction that is itself a limit nothing more is wanted of them.
    """
    if look.limit is not None:
        return ""
    mine = [battery for battery in look.batteries if battery.site == site.id]
    given = math.fsum(abs(battery.regulation_w) for battery in mine)
    open_w = math.fsum(battery.room_w - abs(battery.regulation_w) for battery in mine)
    if open_w <= 1.0 or given < site.cap_w - 1.0:
        return ""
    return "export" if look.sign > 0.0 else "import"


def lasting(reason: Reason) -> Reason:
    """A reason without the figures that change from second to second."""
    changing = ("w", "room_w", "step_w", "seconds", "left")
    return Reason(
        code=reason.code,
        values=tuple((name, value) for name, value in reason.values if name not in changing),
    )


def order(code: str, one: OrderLook) -> Reason:
    """Where an order to a plug-in stands."""
    values = (("offer", one.name), ("w", f"{abs(one.regulation_w):.0f}"), ("cost", f"{one.cost:g}"))
    why = (("why", one.reason),) if code == "failed" else ()
    if code == "late" and one.late_s is not None:
        why = (("seconds", f"{one.late_s:.0f}"),)
    if one.made_for is not None and code in ("ordered", "back", "back_at_end"):
        code, why = f"shared_{code.removesuffix('_at_end')}", (("other", one.made_for),)
    return Reason(code=f"order.{code}", values=(*values, *why))


def alike(reason: Reason, count: int) -> Reason:
    """Several orders of which the same is to be said."""
    code = reason.code.replace("order.", "orders.", 1)
    return Reason(code=code, values=(*reason.values, ("count", str(count))))


def hand_over(over: HandedOver) -> Reason:
    """The work has taken over from the batteries."""
    values = (
        ("w", f"{abs(over.work_w):.0f}"),
        ("seconds", f"{over.lasted_s:.0f}"),
        ("total_w", f"{abs(over.shown_w):.0f}"),
        ("other_w", f"{abs(over.battery_w):.0f}"),
    )
    return Reason(code="hand_over", values=values)


def result(record: DeliveryRecord, target_w: float | None = None) -> Reason:
    """What came of an instruction.

    Args:
        target_w: Mean over the seconds that count, W; None: not known, so that the last one has to do.
    """
    if not record.samples:
        return Reason(code=f"over.{record.state}_unmeasured")
    target_w = record.target_regulation_w if target_w is None else target_w
    values = (
        ("w", f"{math.copysign(1.0, target_w) * record.delivered_regulation_w:.0f}"),
        ("total_w", f"{abs(target_w):.0f}"),
        ("percent", f"{record.samples_within / record.samples:.1%}"),
        ("other_w", f"{record.shortfall_w:.0f}"),
    )
    return Reason(code=f"over.{record.state}", values=values)


def change(
    subject: str, was: str, state: str, last: Look | None, look: Look, worst_w: float
) -> tuple[str, tuple[Reason, ...]]:
    """The kind of row and the reasons of a subject that is in another state now.

    Args:
        last: The second before, where it is known: what others have taken over is the difference.
        look: The first second of the new state.
        worst_w: The most that was missing in the shortfall that runs or has just ended, W.
    """
    what, _, name = subject.partition(" ")
    match what:
        case "device":
            return "failure", tuple(_device(name, state, last, look))
        case "battery":
            return "battery", tuple(_battery(name, state, look))
        case "site" | "meter" | "plugin":
            return "failure", tuple(_gone(what, name, state, last, look))
        case "limit":
            way = state or was
            code = f"limit.{way}" if state else f"limit.{way}_free"
            return "limit", (Reason(code=code, values=(("site", name),)),)
        case "short":
            return "shortfall", tuple(_short(state, look, worst_w))
        case "passed":
            code = "limit.kept_again"
            told_now = tuple(passed(look)) if state else (Reason(code=code, values=(("site", name),)),)
            return "limit", tuple(r for r in told_now if dict(r.values)["site"] == name)
        case "binds":
            told = was and state and was != state
            return "shortfall", tuple(_binding(look)) if told else ()
        case _:
            return "shortfall", tuple(_band(state, look))


def _device(name: str, state: str, last: Look | None, look: Look) -> Iterator[Reason]:
    one = _named(look, name)
    values = (("device", name), ("site", "" if one is None else one.site))
    if not state:
        yield Reason(code="battery.back", values=values)
        return
    gone = None if last is None else _named(last, name)
    w = 0.0 if gone is None else abs(gone.regulation_w)
    yield Reason(code="battery.gone", values=(*values, ("w", f"{w:.0f}"), ("why", state)))
    yield from _taken_over(last, look)


def _battery(name: str, state: str, look: Look) -> Iterator[Reason]:
    one = _named(look, name)
    if one is None:
        return
    values = (
        ("device", name),
        ("site", one.site),
        ("w", f"{abs(one.regulation_w):.0f}"),
        ("room_w", f"{one.room_w:.0f}"),
        ("percent", "-" if one.soc is None else f"{one.soc:.0%}"),
    )
    way = "empty" if look.sign > 0.0 else "charged"
    code = {"full": "full", "bridging": "bridging", "no_room": way}.get(state, "eased")
    yield Reason(code=f"battery.{code}", values=values)


def _gone(what: str, name: str, state: str, last: Look | None, look: Look) -> Iterator[Reason]:
    if not state:
        yield Reason(code=f"{what}.back", values=(("name", name),))
    elif what == "meter":
        yield Reason(code=f"meter.{state}", values=(("site", name),))
    else:
        alone = what == "site" and any(site.alone for site in look.sites if site.id == name)
        yield Reason(code="site.alone" if alone else f"{what}.gone", values=(("name", name), ("why", state)))
        yield from _taken_over(last, look)


def _taken_over(last: Look | None, look: Look) -> Iterator[Reason]:
    """Batteries that give clearly more than a second before."""
    if last is None:
        return
    before = {battery.id: abs(battery.regulation_w) for battery in last.batteries}
    more = {b.id: abs(b.regulation_w) - before.get(b.id, 0.0) for b in look.batteries}
    more = {id: w for id, w in more.items() if w > MOVED_W}
    if not more:
        return
    first = sorted(more, key=lambda id: -more[id])
    named = ", ".join(first[:NAMED_MAX]) + (f" +{len(first) - NAMED_MAX}" if len(first) > NAMED_MAX else "")
    values = (("devices", named), ("w", f"{math.fsum(more.values()):.0f}"))
    yield Reason(code="battery.taken_over", values=values)


def bound(look: Look) -> str:
    """What binds, as one word to compare; figures left out."""
    return "; ".join(sorted(str(lasting(reason)) for reason in _binding(look)))


def _binding(look: Look) -> Iterator[Reason]:
    return (reason for reason in look.binding if reason.code not in ("bind.missing", "bind.over"))


def _short(state: str, look: Look, worst_w: float) -> Iterator[Reason]:
    if not state:
        yield Reason(code="short.over", values=(("w", f"{worst_w:.0f}"),))
        return
    values = (("w", f"{abs(look.short_w):.0f}"), ("total_w", f"{abs(look.asked_w):.0f}"))
    yield Reason(code="short.begun", values=values)
    yield from _binding(look)
    yield from look.rejected


def _band(state: str, look: Look) -> Iterator[Reason]:
    values = (("w", f"{look.sign * look.delivered_w:.0f}"), ("total_w", f"{abs(look.asked_w):.0f}"))
    held = [reason for reason in look.binding if reason.code == "held.limit"]
    off = "band.limited" if held else "band.off"
    yield Reason(code=off if state else "band.back", values=values)
    yield from held if state else ()


def _named(look: Look, name: str) -> BatteryLook | None:
    return next((battery for battery in look.batteries if battery.id == name), None)
