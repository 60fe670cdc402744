"""Plays the acts: sends events through the VTN, waits, and reads what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vpp_gateway.demo import plan, report
from vpp_gateway.demo.report import EventResult, MoveResult
from vpp_gateway.demo.world import World
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import PeerError
from vpp_gateway.sim.workers import Downtime, downtime, proven

RECORD_WITHIN_S = 8.0
LOOK_BEFORE_S = 0.5
"""Before the end of an act, where the work is: at its end it goes home."""
SITES = tuple(SiteId(row[0]) for row in plan.SITES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One event on its way."""

    id: str
    order: plan.Order
    due_at: float
    end_at: float

    @property
    def sites(self) -> tuple[SiteId, ...]:
        return SITES if self.order.site is None else (SiteId(self.order.site),)


class Player:
    """Sends events and judges them.

    Args:
        say: Takes one line for the user.
    """

    def __init__(self, world: World, pace: plan.Pace, say: Callable[[str], None]) -> None:
        self._world, self._pace, self._say = world, pace, say
        self._count = 0
        self.moves: list[MoveResult] = []

    async def play(self, acts: Sequence[plan.Act]) -> list[EventResult]:
        """Play acts one after the other."""
        results: list[EventResult] = []
        for number, act in enumerate(acts, start=1):
            self._say(f"act {number}: {act.title}")
            where = self._places()
            # Whole seconds: 2.0b cannot say less. One start for all, also when a second ends between two sends.
            due_at = float(int(self._world.clock.utc() + self._pace.notice_s))
            sent = [self.send(order, due_at) for order in act.orders]
            end_at = max(event.end_at for event in sent)
            await self._until(end_at - LOOK_BEFORE_S)
            there = self._places()
            await self._until(end_at)
            self._note_moves(where, there, sent)
            results.extend([await self._judge(event) for event in sent])
            if number < len(acts):
                await asyncio.sleep(self._pace.gap_s)
        return results

    def send(self, order: plan.Order, due_at: float) -> Sent:
        """Give the VTN one event that starts at `due_at` (UTC, Unix s)."""
        self._count += 1
        sent = Sent(
            id=f"EV-{self._count:03d}", order=order, due_at=due_at, end_at=due_at + self._pace.event_s
        )
        self._world.vtn.tell(
            {
                "do": "event",
                "event_id": sent.id,
                "value": 0.0 - order.regulation_w,
                "start_at": due_at,
                "duration_s": self._pace.event_s,
                "resource": order.site,
            }
        )
        return sent

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self._world.clock.utc()))

    async def _judge(self, sent: Sent) -> EventResult:
        view = await self._record(sent.id)
        stages = view["stages"]
        base = report.baseline_w(self._world.observer, sent.sites, sent.due_at)
        target = sent.order.regulation_w
        result = EventResult(
            id=sent.id,
            direction=sent.order.direction,
            scope=sent.order.scope,
            target_regulation_w=target,
            received_at=_iso(stages["received_at"]),
            due_at=_iso(sent.due_at),
            t_opt_s=round(self._opt_at(sent.id) - stages["received_at"], 4),
            t_first_setpoint_s=_since(stages["first_setpoint_at"], sent.due_at),
            t_all_setpoints_s=_since(stages["all_setpoints_at"], sent.due_at),
            **report.delivery(self._world.observer, sent.sites, base, target, sent.due_at, sent.end_at),
        )
        self._say(sentence(result))
        return result

    def _opt_at(self, id: str) -> float:
        """When the VTN had our opt."""
        for line in self._world.vtn.news:
            if line.get("saw") == "opt" and line["event_id"] == id:
                return float(line["at"])
        raise PeerError(f"event {id}: the VTN has no answer to it")

    async def _record(self, id: str) -> dict[str, Any]:
        """The gateway's own view of an event, once it is over."""
        try:
            async with asyncio.timeout(RECORD_WITHIN_S):
                while True:
                    status = await self._world.status()
                    for view in status["events"] if status else ():
                        if view["event_id"] == id and view["stages"]["ended_at"] is not None:
                            return dict(view)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise PeerError(f"event {id}: the gateway has no record of its end; see its log") from None

    # -- moves ----------------------------------------------------------------------------------------------

    def _places(self) -> dict[str, SiteId]:
        return {folder.job.job: folder.site for folder in self._world.floor.jobs()}

    def _note_moves(self, before: dict[str, SiteId], there: dict[str, SiteId], sent: Sequence[Sent]) -> None:
        """Work that is elsewhere than before the act: when did the meters see it, how long was it away?"""
        pairs: dict[tuple[SiteId, SiteId], list[str]] = {}
        change: Counter[SiteId] = Counter()
        for job, site in there.items():
            if before[job] != site:
                pairs.setdefault((before[job], site), []).append(job)
                change.update({before[job]: -plan.JOB_W, site: plan.JOB_W})
        due_at, end_at = sent[0].due_at, sent[0].end_at
        base = report.baseline_w(self._world.observer, SITES, due_at)

        def seen(site: SiteId, sign: int) -> float | None:
            """When the site's meters had its change, if that is in this direction."""
            if change[site] * sign <= 0:
                return None
            return report.first_change_s(self._world.observer, site, base[site], change[site], due_at, end_at)

        for (source, destination), jobs in pairs.items():
            downs = [self._downtime(job, due_at, end_at - LOOK_BEFORE_S) for job in jobs]
            self.moves.append(
                MoveResult(
                    from_site=source,
                    to_site=destination,
                    jobs=sorted(jobs),
                    source_change_w=change[source],
                    destination_change_w=change[destination],
                    t_source_down_s=seen(source, -1),
                    t_destination_up_s=seen(destination, 1),
                    downtime_s=round(max(down.longest_gap_s for down in downs), 3),
                    lost_steps=sum(down.lost_steps for down in downs),
                    repeated_steps=sum(down.repeated_steps for down in downs),
                    work_proven=all(self._proven(job) for job in jobs),
                )
            )
            move = self.moves[-1]
            self._say(
                f"  {len(jobs)} job(s) moved {source} -> {destination}: "
                f"source {_leg('down', move.source_change_w < 0, move.t_source_down_s)}, "
                f"destination {_leg('up', move.destination_change_w > 0, move.t_destination_up_s)}, "
                f"longest pause {move.downtime_s * 1000:.0f} ms"
            )

    def _proven(self, job: str) -> bool:
        return proven(*self._world.floor.outputs(job), seed=self._world.floor.seed(job))

    def _downtime(self, job: str, since: float, until: float) -> Downtime:
        return downtime(*self._world.floor.outputs(job), since=since, until=until)


def _leg(way: str, expected: bool, seconds: float | None) -> str:
    """One end of a move in words."""
    return f"{way} {report.after(seconds)}" if expected else "as before: as much work came as went"


def sentence(result: EventResult) -> str:
    """One event in a line."""
    kw = result.target_regulation_w / 1000
    tiers = ", ".join(f"{tier} {w / 1000:.1f} kW" for tier, w in result.delivered_by_tier_w.items())
    return (
        f"  {result.id} {result.direction} {abs(kw):.0f} kW ({result.scope}): reached {report.after(result.t_reached_s)}, "
        f"{result.within_10pct:.0%} of {result.samples} s within 10 %; {tiers}"
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _since(at: float | None, start: float) -> float | None:
    return None if at is None else round(at - start, 4)
