"""Does a battery fall back when the gateway dies? It is given a small setpoint and left alone.

    client: armed, holding w          killed: connection reset, no heartbeat, no refresh
    probe:  reads power and countdown, writes nothing         until the power is back, or the time is up
    client: connects again, releases

A device that accepts the timer and never falls back is found here, and only here. What is measured is what the site will
see: from the last word of the gateway until the power is back where it was.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from vpp_gateway.clock import Clock
from vpp_gateway.commission.probe import Probe
from vpp_gateway.errors import DeviceError
from vpp_gateway.southbound.modbus.choice import settle
from vpp_gateway.southbound.modbus.layout import DeviceMap, read_plans
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.tables import tables_of

LOOK_S = 0.5
BACK_SHARE = 0.1
"""Of the setpoint: it is back when it is so near to where it was before."""
PATIENCE = 1.5
"""So many times the promised time, and `GRACE_S`, it is waited for."""
GRACE_S = 15.0
SLACK_S = 3.0
"""More than promised it may take: whole seconds of the device, its ramp, our looks."""

Verdict = Literal["falls_back", "late", "never", "nothing_promised", "lost_at_once"]
"""lost_at_once: it left the setpoint before the promised time, when the connection broke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a battery that was left alone."""

    at: float
    """Seconds since the last word of the gateway."""
    discharge_w: float | None
    remaining_s: float | None
    """Its countdown, where it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailsafeResult:
    """What it did."""

    setpoint_w: float
    rest_w: float
    """Power before, under its own control."""
    promised_s: float | None
    """After how long the profile says that it falls back; None = never."""
    back_s: float | None
    """After how long the power was back; None = not while it was watched."""
    counted_down: bool | None
    """Its countdown ran; None = it has none."""
    watched_s: float
    looks: tuple[Look, ...]

    @property
    def verdict(self) -> Verdict:
        """What that means."""
        if self.promised_s is None:
            return "nothing_promised" if self.back_s is None else "falls_back"
        if self.back_s is None:
            return "never"
        if self.back_s > self.promised_s + SLACK_S:
            return "late"
        return "lost_at_once" if self.back_s < min(2.0, self.promised_s / 4) else "falls_back"

    @property
    def passed(self) -> bool:
        """It can be trusted to fall back in the promised time."""
        return self.promised_s is not None and self.verdict == "falls_back"


class LeftAlone:
    """Watches a battery that nobody commands any more.

    Args:
        probe: an open connection to it.
        profile: its profile.
        clock: the shell's clock.
    """

    def __init__(self, probe: Probe, profile: DeviceProfile, clock: Clock) -> None:
        self._probe, self._profile, self._clock = probe, profile, clock
        self._device: DeviceMap | None = None

    async def watch(
        self, *, setpoint_w: float, rest_w: float, promised_s: float | None, since: float
    ) -> FailsafeResult:
        """Until it is back and stays there, or the time is up.

        Args:
            setpoint_w: what it was told to give, discharge_w.
            rest_w: what it gave before.
            promised_s: after how long it should fall back; None = it promises nothing.
            since: monotonic seconds of the last word of the gateway.
        """
        whole_s = GRACE_S + PATIENCE * (60.0 if promised_s is None else promised_s)
        looks: list[Look] = []
        back_s: float | None = None
        while (passed_s := self._clock.monotonic() - since) < whole_s:
            look = await self._look(passed_s)
            looks.append(look)
            if look.discharge_w is not None:
                near = abs(look.discharge_w - rest_w) <= BACK_SHARE * abs(setpoint_w - rest_w)
                back_s = (back_s if back_s is not None else look.at) if near else None
                if back_s is not None and look.at - back_s >= 2.0:
                    break
            await asyncio.sleep(LOOK_S)
        counts = [look.remaining_s for look in looks if look.remaining_s is not None]
        return FailsafeResult(
            setpoint_w=setpoint_w,
            rest_w=rest_w,
            promised_s=promised_s,
            back_s=back_s,
            counted_down=None if not counts else min(counts) < max(counts),
            watched_s=self._clock.monotonic() - since,
            looks=tuple(looks),
        )

    async def _look(self, at: float) -> Look:
        try:
            if self._device is None:
                self._device = await self._probe.meet(self._profile)
            values = await self._probe.values(self._profile, self._device)
            remaining_s = await self._remaining(self._device)
        except DeviceError:
            return Look(at=at, discharge_w=None, remaining_s=None)
        w = values.get("discharge_w")
        discharge_w = None if w is None else w * self._profile.power_sign
        return Look(at=at, discharge_w=discharge_w, remaining_s=remaining_s)

    async def _remaining(self, device: DeviceMap) -> float | None:
        tables = tables_of(self._profile)
        reversion = settle(self._profile, tables, device).reversion
        if reversion is None or reversion.remaining is None:
            return None
        point = tables.point(reversion.remaining)
        if not device.has(point):
            return None
        spans = {reversion.remaining: (point, device.scale(point))}
        (plan,) = read_plans(spans, device, self._profile.max_read, 0)
        registers, exception = await self._probe.read(plan.block)
        return None if exception else plan.readers[0][1](registers)
