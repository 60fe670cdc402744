"""What somebody should look at, from the picture of now: each alarm with its code, its severity, and since when it stands.

alarm       the gateway goes on with less than it should have
warning     it goes on in full, but what stood in is used up: look today
trip        it has already acted, or cannot do what it owes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from vpp_gateway.catalogue import retell, text
from vpp_gateway.console.status import (
    AlarmView,
    BatteryView,
    LinkView,
    MeterView,
    Severity,
    SiteView,
)
from vpp_gateway.dispatch.doubt import Doubt
from vpp_gateway.dispatch.rebound import Holding
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.reading import Health
from vpp_gateway.identity import expiry_step

_EXPIRY: dict[int, Severity] = {60: "warning", 30: "warning", 14: "alarm", 7: "alarm", 1: "trip"}
"""`identity.EXPIRY_DAYS` -> how urgent; each step is an alarm of its own, so that it is heard again."""
_ROOMS = {"openadr2": "room", "plugin": "plugin", "solver": "solver", "planner": "planner"}
"""Kind of a link -> code of its alarm."""
REBOUND_SHARE = 0.05
"""Of its baseline: an import of a site that is lifted above it by so much is worth an alarm."""
Row = tuple[str, Severity, str, dict[str, str]]
"""Code, severity, whose it is, words for the text; where `why_ja` is among them, it is `why` in Japanese."""


class Alarms:
    """Remembers since when each alarm stands."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def dated(self, now: float, rows: Sequence[Row]) -> list[AlarmView]:
        """The alarms of now (UTC, Unix s), worst first, the oldest first among equals."""
        keys = [f"{code}/{name}" for code, _, name, _ in rows]
        self._since = {key: self._since.get(key, now) for key in keys}
        alarms = [
            AlarmView(
                code=code,
                severity=severity,
                text=text(f"alarm.{code}", "en", **values),
                text_ja=text(
                    f"alarm.{code}", "ja", **{**values, "why": values.get("why_ja", values.get("why", ""))}
                ),
                since=self._since[key],
            )
            for key, (code, severity, _, values) in zip(keys, rows, strict=True)
        ]
        order = {"trip": 0, "alarm": 1, "warning": 2, "info": 3}
        return sorted(alarms, key=lambda alarm: (order[alarm.severity], alarm.since))


def of_site(site: SiteView, hold_s: float) -> Iterator[Row]:
    """Alarms of one site: its agent, its meters, its batteries.

    Args:
        hold_s: So long an agent carries on alone, s.
    """
    if not site.linked:
        why = {"site": site.id, "why": site.reason}
        if site.alone:
            yield "site_alone", "alarm", site.id, {**why, "hold_s": f"{hold_s:.0f}"}
        else:
            yield "site_lost", "alarm", site.id, why
    yield from _of_check_meter(site)
    if site.linked:
        meters = () if site.sight == "check" else (site.meter,)
        for device in (*meters, *site.batteries):
            if device.health is not Health.GOOD:
                yield "device", "alarm", device.id, _bad(site, device)
        if site.pv_meter is not None and site.pv_meter.health is not Health.GOOD:
            yield "pv_meter", "alarm", site.pv_meter.id, _bad(site, site.pv_meter)


def _of_check_meter(site: SiteView) -> Iterator[Row]:
    """What the second meter tells: it is followed, or it is not to be believed itself."""
    check = site.check_meter
    if check is None:
        return
    if site.sight == "check" and site.meter.health is not Health.GOOD:
        meter, values = site.meter, {"site": site.id, "device": check.id}
        values |= {"why": f"{meter.id}: {meter.reason or meter.health}"}
        values |= {"why_ja": f"{meter.id}: {meter.reason_ja or meter.health}"}
        yield "check_followed", "warning", site.id, values
    elif check.health is not Health.GOOD:
        yield "check_meter", "warning", check.id, _bad(site, check)


def _bad(site: SiteView, device: MeterView | BatteryView) -> dict[str, str]:
    return {
        "device": device.id,
        "site": site.id,
        "health": f"word.health.{device.health}",
        "why": device.reason.rstrip("."),
        "why_ja": device.reason_ja.rstrip("。"),
    }


def of_link(link: LinkView) -> Iterator[Row]:
    """The alarm of one connection or inner organ; those of sites and of the journal have their own."""
    if link.kind not in _ROOMS or link.health == "good":
        return
    state = f"word.link.{link.state}"
    values = {"room": link.name, "plugin": link.name, "state": state, "why": link.detail or "-"}
    bad = link.health == "bad"
    code = "plugin_offers" if link.kind == "plugin" and not bad else _ROOMS[link.kind]
    yield code, "alarm" if bad else "warning", link.name, values


def of_doubts(doubts: Iterable[Doubt]) -> Iterator[Row]:
    """Alarms on workload that is there and is not called, for it failed or was late."""
    for doubt in doubts:
        words = {"plugin": doubt.name, "why": doubt.said, "why_ja": retell(doubt.said, "ja")}
        yield "plugin_doubted", "warning", doubt.name, words


def of_rebounds(holding: Mapping[SiteId, Holding]) -> Iterator[Row]:
    """Alarms on sites that shifted work, coming back, lifts above their baseline by more than batteries can hold."""
    for site, one in holding.items():
        over_w = one.above_w - one.held_w
        if over_w > REBOUND_SHARE * abs(one.level_w):
            words = {"site": str(site), "kw": f"{over_w / 1000:.0f}", "held": f"{one.held_w / 1000:.0f}"}
            yield "rebound", "warning", str(site), words


def expiring(days_left: Mapping[str, float]) -> list[Row]:
    """Alarms on certificates, CAs and CRLs that end, by name."""
    steps = {name: expiry_step(days) for name, days in days_left.items()}
    return [
        (
            "certificate",
            _EXPIRY[step],
            f"{name} {step}",
            {"room": name, "days": f"{max(days_left[name], 0.0):.0f}"},
        )
        for name, step in steps.items()
        if step is not None
    ]
