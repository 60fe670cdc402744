"""A made-up gateway for the console's tests: three sites, six batteries, and one down-DR event that passes through.

Time is the only input: `picture(at)` and `point(at)` are pure, so a test may look at any second of the event. It
knows nothing of the engine; it only has to be consistent enough for a person to look at the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal

from vpp_gateway.catalogue import retell
from vpp_gateway.clock import Clock
from vpp_gateway.console.history import HistoryPoint
from vpp_gateway.console.rollup import site_health
from vpp_gateway.console.source import Beat, Feed, Subscription
from vpp_gateway.console.status import (
    AlarmView,
    BatteryView,
    EventView,
    GatewayView,
    LegView,
    LinkView,
    MeterView,
    OfferView,
    PluginView,
    PortfolioView,
    SiteView,
    StagesView,
    Status,
    counted,
)
from vpp_gateway.domain.reading import Health

TARGET_W = 9.0e6
RECEIVED_S = 240.0
"""Seconds after `begin` at which the event arrives."""
START_S = 270.0
END_S = START_S + 1800.0
HANDOVER_S = 95.0
"""Seconds into the event at which the workload shift begins to take over from the batteries."""

SITES: tuple[tuple[str, str, str, str, float, float], ...] = (
    ("tokyo-1", "Tokyo 1", "東京第1", "tokyo", 11.2e6, 0.44),
    ("kanagawa-1", "Kanagawa 1", "神奈川第1", "tokyo", 8.4e6, 0.33),
    ("saitama-2", "Saitama 2", "埼玉第2", "tokyo", 6.1e6, 0.23),
)
SHIFT_W = {"tokyo-1": 2.6e6, "kanagawa-1": 0.9e6, "saitama-2": 0.0}


def wobble(at: float, seed: float) -> float:
    """A smooth pseudo-noise in about [-1, 1]."""
    return (
        0.5 * math.sin(at / 3.1 + seed)
        + 0.3 * math.sin(at / 7.7 + 2.3 * seed)
        + 0.2 * math.sin(at * 1.7 + 5 * seed)
    )


def reached(t: float) -> float:
    """Share of the target that is delivered `t` s after the start, before noise."""
    if t < 0.6:
        return 0.0
    return 1.0 - math.exp(-(t - 0.6) / 1.9)


def shift_share(t: float) -> float:
    """Share of the planned workload shift that is real `t` s after the start."""
    return min(1.0, max(0.0, (t - HANDOVER_S) / 45.0))


class World:
    """The made-up gateway, begun at `begin` (UTC, Unix s)."""

    def __init__(
        self, begin: float, *, simulated: bool = True, faulty: bool = True, checked: bool = False
    ) -> None:
        self.begin = begin
        self.simulated = simulated
        self.faulty = faulty
        self.checked = checked
        """Each site has a check meter; the one of the second site is followed."""

    def active(self, at: float) -> bool:
        return START_S <= at - self.begin < END_S

    def baseline_w(self, index: int, at: float) -> float:
        base = SITES[index][4]
        return base * (1.0 + 0.012 * math.sin(at / 190.0 + index) + 0.004 * math.sin(at / 41.0 + 2 * index))

    def tiers_w(self, index: int, at: float) -> dict[str, float]:
        site, share = SITES[index][0], SITES[index][5]
        t = at - self.begin - START_S
        if not self.active(at):
            return {"battery": 0.0, "workload": 0.0}
        total = TARGET_W * share * reached(t) * (1.0 + 0.006 * wobble(at, index))
        workload = SHIFT_W[site] * shift_share(t)
        return {"battery": total - workload, "workload": workload}

    def import_w(self, index: int, at: float) -> float:
        noise = SITES[index][4] * 0.0035 * wobble(at, 11.0 + index)
        return self.baseline_w(index, at) - sum(self.tiers_w(index, at).values()) + noise

    def battery(self, index: int, number: int, at: float) -> BatteryView:
        site = SITES[index][0]
        t = at - self.begin - START_S
        watts = self.tiers_w(index, at)["battery"] / 2
        refusing = self.faulty and site == "saitama-2" and number == 2
        soc = 0.86 - 0.07 * index - 0.05 * number - max(0.0, min(t, END_S - START_S)) / 9000.0
        return BatteryView(
            id=f"{site}-bess-{number}",
            health=Health.REFUSING if refusing else Health.GOOD,
            reason="switched to local control at the device" if refusing else "",
            reason_ja="機器側で現地操作に切り替えられている" if refusing else "",
            age_s=0.4 + 0.1 * number,
            discharge_w=0.0 if refusing else watts,
            soc=soc,
            setpoint_w=None if refusing or not self.active(at) else round(watts, -4),
            armed=self.active(at) and not refusing,
        )

    def site(self, index: int, at: float) -> SiteView:
        id_, name, name_ja, area, base, share = SITES[index]
        import_w, baseline_w = self.import_w(index, at), self.baseline_w(index, at)
        sight: Literal["meter", "check"] = "check" if self.checked and index == 1 else "meter"
        meter, check = self.meters(index, import_w, failed=sight == "check")
        batteries = (self.battery(index, 1, at), self.battery(index, 2, at))
        children, replaced = counted(sight, meter, check, batteries)
        health, reason = site_health(linked=True, link_reason="", children=children, replaced=replaced)
        return SiteView(
            id=id_,
            name=name,
            name_ja=name_ja,
            area=area,
            linked=True,
            health=health,
            reason=reason,
            reason_ja=retell(reason, "ja"),
            age_s=0.3,
            import_w=import_w,
            meter_modelled=False,
            baseline_import_w=baseline_w,
            regulation_w=baseline_w - import_w,
            target_regulation_w=TARGET_W * share if self.active(at) else None,
            import_max_w=base * 1.25,
            export_max_w=0.0,
            by_tier_w=self.tiers_w(index, at),
            sight=sight,
            alone=False,
            meter=meter,
            check_meter=check,
            batteries=batteries,
        )

    def meters(self, index: int, import_w: float, *, failed: bool) -> tuple[MeterView, MeterView | None]:
        """The meter of a site, and its check meter that the agent of the next site reads."""
        id_, reader = SITES[index][0], SITES[(index + 1) % len(SITES)][0]
        reason = "no answer within 1 s" if failed else ""
        meter = MeterView(
            id=f"{id_}-meter",
            health=Health.LOST if failed else Health.GOOD,
            reason=reason,
            reason_ja=retell(reason, "ja"),
            age_s=34.0 if failed else 0.6,
            import_w=None if failed else import_w,
            read_by=id_,
        )
        if not self.checked:
            return meter, None
        check = MeterView(
            id=f"{id_}-check",
            health=Health.GOOD,
            reason="",
            reason_ja="",
            age_s=0.7,
            import_w=import_w * 1.0004,
            read_by=reader,
        )
        return meter, check

    def point(self, at: float) -> HistoryPoint:
        tiers = [self.tiers_w(index, at) for index in range(len(SITES))]
        imported = sum(self.import_w(index, at) for index in range(len(SITES)))
        baseline = sum(self.baseline_w(index, at) for index in range(len(SITES)))
        return HistoryPoint(
            at=at,
            import_w=imported,
            baseline_import_w=baseline,
            target_regulation_w=TARGET_W if self.active(at) else None,
            regulation_w=baseline - imported,
            by_tier_w={name: sum(tier[name] for tier in tiers) for name in ("battery", "workload")},
            by_site_w={site[0]: sum(tier.values()) for site, tier in zip(SITES, tiers, strict=True)},
        )

    def event(self, at: float) -> EventView:
        t = at - self.begin
        start = self.begin + START_S
        received = self.begin + RECEIVED_S

        def passed(stage: float) -> float | None:
            return stage if at >= stage else None

        running = self.active(at)
        delivered = None
        if t >= START_S + 10.0:
            delivered = TARGET_W * (0.9985 + 0.001 * wobble(at / 10, 3.0))
        return EventView(
            id="tso/EV-2026-0117",
            room="tso",
            event_id="EV-2026-0117",
            modification=1,
            direction="down",
            target_regulation_w=TARGET_W,
            scope=(),
            start_at=start,
            end_at=self.begin + END_S,
            state="pending" if t < START_S else "active" if running else "completed",
            opt="in",
            opt_reason="9.0 MW of 10.4 MW available for 30 min",
            opt_reason_ja="10.4 MW のうち 9.0 MW を 30 分間維持できる",
            test=False,
            stages=StagesView(
                received_at=received,
                answered_at=received + 0.087,
                started_at=passed(start + 0.012),
                first_setpoint_at=passed(start + 0.431),
                all_setpoints_at=passed(start + 0.874),
                reached_at=passed(start + 5.214),
                ended_at=passed(self.begin + END_S),
            ),
            delivered_regulation_w=delivered,
            within_10pct=None if delivered is None else True,
            shortfall_w=None if t < START_S else 0.0,
            by_tier_w=self.point(at).by_tier_w,
            by_site_w=self.point(at).by_site_w,
            why=(
                "Batteries go first: they answer in under a second; 9.0 MW split by energy above the SoC floor.",
                "Tokyo 1 carries 44 %: it has most energy left; Saitama 2 is held to 2.07 MW by its second battery.",
                "3.5 MW pass to the LLM batch move from second 95, so that batteries keep 24 min in hand.",
            ),
            why_ja=(
                "蓄電池が先行:1秒以内に応答するため、SoC下限を超える電力量に比例して9.0 MWを配分。",
                "東京第1が44 %を負担:残存電力量が最大。埼玉第2は2号蓄電池の不応動により2.07 MWに制限。",
                "95秒以降、3.5 MWをLLMバッチ移動へ引き継ぎ、蓄電池は24分の余力を維持。",
            ),
        )

    def past_events(self) -> tuple[EventView, ...]:
        done = self.begin - 5400.0
        off = self.begin - 9000.0
        base = self.event(self.begin)
        completed = base.model_copy(
            update={
                "id": "tso/EV-2026-0116",
                "event_id": "EV-2026-0116",
                "direction": "up",
                "target_regulation_w": -2.5e6,
                "start_at": done,
                "end_at": done + 900.0,
                "state": "completed",
                "test": True,
                "stages": StagesView(
                    received_at=done - 60.0,
                    answered_at=done - 59.918,
                    started_at=done + 0.009,
                    first_setpoint_at=done + 0.388,
                    all_setpoints_at=done + 0.745,
                    reached_at=done + 3.92,
                    ended_at=done + 900.02,
                ),
                "delivered_regulation_w": -2.47e6,
                "within_10pct": True,
                "shortfall_w": 0.0,
                "why": ("Batteries alone: 2.5 MW of charging fits below their SoC ceiling for 15 min.",),
                "why_ja": ("蓄電池のみで対応:2.5 MWの充電はSoC上限まで15分間持続可能。",),
            }
        )
        cancelled = completed.model_copy(
            update={
                "id": "tso/EV-2026-0115",
                "event_id": "EV-2026-0115",
                "direction": "down",
                "target_regulation_w": 6.0e6,
                "start_at": off,
                "end_at": off + 1800.0,
                "state": "cancelled",
                "test": False,
                "stages": StagesView(
                    received_at=off - 600.0,
                    answered_at=off - 599.905,
                    started_at=None,
                    first_setpoint_at=None,
                    all_setpoints_at=None,
                    reached_at=None,
                    ended_at=off - 120.0,
                ),
                "delivered_regulation_w": None,
                "within_10pct": None,
                "shortfall_w": None,
                "why": (),
                "why_ja": (),
            }
        )
        return completed, cancelled

    def links(self) -> tuple[LinkView, ...]:
        def link(
            name: str, kind: str, state: str, detail: str, age_s: float, health: str = "good"
        ) -> LinkView:
            return LinkView.model_validate(
                {
                    "name": name,
                    "kind": kind,
                    "state": state,
                    "health": health,
                    "detail": detail,
                    "detail_ja": retell(detail, "ja"),
                    "age_s": age_s,
                    "refused_messages": 2 if kind == "openadr2" else 0,
                }
            )

        return (
            link("tso", "openadr2", "registered", "polls every 5 s; 2 messages refused", 1.2),
            link("tokyo-1", "site", "linked", "schedule 14 held", 0.3),
            link("kanagawa-1", "site", "linked", "schedule 14 held", 0.2),
            link(
                "saitama-2",
                "site",
                "degraded" if self.faulty else "linked",
                "one battery refuses" if self.faulty else "schedule 14 held",
                0.4,
                "warning" if self.faulty else "good",
            ),
            link("llm-mover", "plugin", "active", "moves batch inference between sites", 0.8),
            link("render-cap", "plugin", "ready", "caps render nodes", 0.8),
            link("solver", "solver", "optimal", "last solve 12 ms", 4.0),
            link("journal", "journal", "durable", "fsync 1.8 ms, chain intact", 0.1),
        )

    def plugins(self) -> tuple[PluginView, ...]:
        return (
            PluginView(
                name="llm-mover",
                site="tokyo-1",
                state="active",
                reason="",
                reason_ja="",
                offers=(
                    OfferView(
                        id="move-a",
                        kind="move",
                        legs=(
                            LegView(site="tokyo-1", import_delta_w=-2.6e6),
                            LegView(site="kanagawa-1", import_delta_w=0.4e6),
                        ),
                        steps=(0.25, 0.5, 1.0),
                    ),
                ),
            ),
            PluginView(
                name="render-cap",
                site="kanagawa-1",
                state="ready",
                reason="",
                reason_ja="",
                offers=(
                    OfferView(
                        id="cap-1",
                        kind="cap",
                        legs=(LegView(site="kanagawa-1", import_delta_w=-0.9e6),),
                        steps=(0.5, 1.0),
                    ),
                ),
            ),
        )

    def alarms(self) -> tuple[AlarmView, ...]:
        if not self.faulty:
            return ()
        return (
            AlarmView(
                code="DEV-REFUSING",
                severity="alarm",
                text="Battery saitama-2-bess-2 refuses setpoints: local control is switched on. "
                "Set it to remote at the panel.",
                text_ja="蓄電池 saitama-2-bess-2 が設定値を拒否:現地操作モードです。盤で遠隔に切り替えてください。",
                since=self.begin + 118.0,
            ),
            AlarmView(
                code="CERT-EXPIRY",
                severity="warning",
                text="Client certificate for `tso` expires in 29 days. Renew it before 2027-01-14.",
                text_ja="「tso」向けクライアント証明書の期限まで29日。2027-01-14までに更新してください。",
                since=self.begin - 86400.0,
            ),
        )

    def picture(self, at: float) -> Status:
        point = self.point(at)
        current = (self.event(at),) if at >= self.begin + RECEIVED_S else ()
        return Status(
            at=at,
            gateway=GatewayView(
                name="Kanto portfolio",
                version="0.1.0",
                epoch=7,
                started_at=self.begin,
                simulated=self.simulated,
            ),
            portfolio=PortfolioView(
                import_w=point.import_w,
                baseline_import_w=point.baseline_import_w,
                regulation_w=point.regulation_w,
                target_regulation_w=point.target_regulation_w,
                shortfall_w=0.0,
                by_tier_w=point.by_tier_w,
            ),
            sites=tuple(self.site(index, at) for index in range(len(SITES))),
            links=self.links(),
            events=(*current, *self.past_events()),
            plugins=self.plugins(),
            alarms=self.alarms(),
        )


class FakeSource:
    """A `StatusSource` over a `World`; `beat()` stands for one second of the engine."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world = world
        self.clock = clock
        self.feed = Feed()
        self.shown: Status | None = None
        """A picture to show instead of the world's."""

    def status(self) -> Status:
        return self.shown or self.world.picture(self.clock.utc())

    def history(self, since: float) -> Sequence[HistoryPoint]:
        now = math.floor(self.clock.utc())
        first = max(math.floor(since) + 1, math.ceil(self.world.begin), now - 3600)
        return [self.world.point(float(at)) for at in range(first, now + 1)]

    def subscribe(self) -> AbstractContextManager[Subscription]:
        return self.feed.subscribe()

    def beat(self) -> None:
        """Publish this second to every listener."""
        now = self.clock.utc()
        self.feed.publish(
            Beat(status=self.world.picture(now), point=self.world.point(float(math.floor(now))))
        )


class ToyClock:
    """A clock that the test turns."""

    def __init__(self, utc: float) -> None:
        self.now = utc

    def utc(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now
