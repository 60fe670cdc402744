"""Schedules: what each site agent holds, from now to the end of the known instructions.

    segment 0     now .. next change      shares of this second
    segment 1..   next change .. ...      what the batteries should begin with (forecast)

A new schedule is sent when a step appears, ends, moves in time, or its setpoint changes by more than the deadband.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import SiteSchedule, Step
from vpp_gateway.domain.plan import Plan
from vpp_gateway.portfolio.timeline import InForce


def steps_of(
    plan: Plan, rows: Iterable[InForce], start_at: float | None, end_at: float | None
) -> dict[SiteId, tuple[Step, ...]]:
    """One step per battery of the sites in force, for one segment; `start_at` None = since its phase began."""
    rows = tuple(rows)
    ruler = {site: row for row in rows for site in row.sites}
    alone = {device: row for row in rows for device in row.devices}
    result: dict[SiteId, list[Step]] = {}
    for share in plan.shares:
        row = alone.get(share.id) or ruler[share.site]
        result.setdefault(share.site, []).append(
            Step(
                device=share.id,
                start_at=row.phase.start_at if start_at is None else start_at,
                end_at=end_at,
                discharge_w=share.regulation_w,
                instruction=row.instruction.id,
                modification=row.instruction.modification,
            )
        )
    return {site: tuple(steps) for site, steps in result.items()}


def leased(discharge_w: Mapping[DeviceId, float], by: InstructionId, now: float) -> tuple[Step, ...]:
    """Steps that nobody's instruction bounds: they end by themselves within two minutes, should the centre be lost.

    Args:
        by: Stands where other steps name their instruction.
    """
    begun = math.floor(now / LEASE_S) * LEASE_S
    return tuple(
        Step(
            device=id,
            start_at=begun,
            end_at=begun + 2 * LEASE_S,
            discharge_w=w,
            instruction=by,
            modification=0,
        )
        for id, w in discharge_w.items()
    )


LEASE_S = 60.0
WISH_EVERY_S, WISH_SHARE = 5.0, 0.02
"""How often a schedule is sent again for its `alone_import_w` alone, and from what change of it on (of battery power)."""


@dataclass(slots=True)
class Schedules:
    """The last schedule sent to each site, and the decision whether a new one is needed."""

    batteries: Mapping[DeviceId, Battery]
    deadband: float
    epoch: int = 0
    _sent: dict[SiteId, SiteSchedule] = field(default_factory=dict)
    _seq: dict[SiteId, int] = field(default_factory=dict)

    def begin(self, epoch: int) -> None:
        """A new epoch: everything is sent again."""
        self.epoch = epoch
        self._sent.clear()
        self._seq.clear()

    def sent(self, site: SiteId) -> SiteSchedule | None:
        return self._sent.get(site)

    def forget(self, site: SiteId) -> None:
        """The agent of this site is new or was away: send it the schedule again."""
        self._sent.pop(site, None)

    def update(
        self, site: SiteId, steps: tuple[Step, ...], now: float, alone_import_w: float | None = None
    ) -> SiteSchedule | None:
        """The schedule to send, or None when the site already holds the same within the deadband."""
        sent = self._sent.get(site)
        same = sent is not None and self._same(sent.steps, steps)
        if same and sent is not None and not self._wish_moved(sent, alone_import_w, now):
            return None
        self._seq[site] = self._seq.get(site, 0) + 1
        schedule = SiteSchedule(
            site=site,
            epoch=self.epoch,
            seq=self._seq[site],
            issued_at=now,
            steps=steps,
            alone_import_w=alone_import_w,
        )
        self._sent[site] = schedule
        return schedule

    def _wish_moved(self, sent: SiteSchedule, alone_import_w: float | None, now: float) -> bool:
        """The import that the site is to keep alone is no longer what it was told; not more often than `WISH_EVERY_S`."""
        if sent.alone_import_w == alone_import_w or not sent.steps or now < sent.issued_at + WISH_EVERY_S:
            return False
        if sent.alone_import_w is None or alone_import_w is None:
            return True
        powers = (self.batteries[step.device] for step in sent.steps)
        power_w = sum({b.id: max(b.discharge_max_w, b.charge_max_w) for b in powers}.values())
        return abs(alone_import_w - sent.alone_import_w) > WISH_SHARE * power_w

    def _same(self, old: tuple[Step, ...], new: tuple[Step, ...]) -> bool:
        if len(old) != len(new):
            return False
        for a, b in zip(old, new, strict=True):
            if a == b:  # as a rule; a copy of each of hundreds of steps takes milliseconds
                continue
            if replace(a, discharge_w=b.discharge_w) != b:
                return False
            battery = self.batteries[a.device]
            rating = max(battery.discharge_max_w, battery.charge_max_w)
            if abs(a.discharge_w - b.discharge_w) > self.deadband * rating:
                return False
            if (a.discharge_w == 0.0) != (b.discharge_w == 0.0):
                return False
        return True
