"""From register values to a BatteryReading and a DeviceHealth: what the battery says, and whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping

from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, Health
from vpp_gateway.errors import Implausible
from vpp_gateway.southbound.modbus.codec import discharge_of, plausible
from vpp_gateway.southbound.modbus.judge import FollowJudge, SocJudge
from vpp_gateway.southbound.modbus.layout import BatteryLayout
from vpp_gateway.southbound.modbus.profile import DeviceProfile

POWER_MARGIN = 1.2
"""A device may overshoot its nameplate this far before its number is nonsense."""
_WORST_FIRST = (Health.LOST, Health.IMPLAUSIBLE, Health.REFUSING, Health.STALE)


class Troubles:
    """What is wrong with a device, one entry per cause."""

    def __init__(self, device: DeviceId) -> None:
        self._device = device
        self._causes: dict[str, tuple[Health, str]] = {"link": (Health.LOST, "not connected yet")}
        self.seen_at: float | None = None
        """UTC (Unix s) of the last good reading."""

    def set(self, cause: str, health: Health, reason: str) -> None:
        """`cause` stands, for `reason`; of health good it is a note only: the battery is derated, not given up."""
        self._causes[cause] = (health, reason)

    def clear(self, *causes: str) -> None:
        """These causes are over."""
        if self._causes:
            for cause in causes:
                self._causes.pop(cause, None)

    def reason(self, cause: str) -> str:
        """Why `cause` stands; empty when it does not."""
        return self._causes[cause][1] if cause in self._causes else ""

    def health(self, now: float, stale_s: float) -> DeviceHealth:
        """The worst causes; without any, the age of the last reading decides."""
        for worst in _WORST_FIRST:
            reasons = [reason for health, reason in self._causes.values() if health is worst]
            if reasons:
                return DeviceHealth(
                    device=self._device, health=worst, reason="; ".join(reasons), seen_at=self.seen_at
                )
        if self.seen_at is None or now - self.seen_at > stale_s:
            age = "no reading yet" if self.seen_at is None else f"last reading {now - self.seen_at:.1f} s ago"
            return DeviceHealth(device=self._device, health=Health.STALE, reason=age, seen_at=self.seen_at)
        notes = "; ".join(reason for _, reason in self._causes.values())
        return DeviceHealth(device=self._device, health=Health.GOOD, reason=notes, seen_at=self.seen_at)


class Picture:
    """The battery as we see it."""

    def __init__(self, battery: Battery, profile: DeviceProfile, troubles: Troubles) -> None:
        self.reading: BatteryReading | None = None
        """The last good one."""
        self._battery = battery
        self.profile = profile
        """What the device was taken for; another one of its generations once it is met."""
        self._troubles = troubles
        self._soc = SocJudge(battery)
        self._largest_w = max(battery.discharge_max_w, battery.charge_max_w)
        self._follow = FollowJudge(profile.settle_s, 0.1 * self._largest_w)

    def setpoint_changed(self) -> None:
        """Give the device its settling time anew."""
        self._follow.restart()

    def slow(self, values: Mapping[str, float | None], now: float) -> None:
        """Take the state of charge and the position of the local/remote switch."""
        try:
            self._soc.report(plausible("state of charge, %,", values.get("soc"), 0.0, 100.0) / 100, now)
        except Implausible as error:
            self._troubles.set("soc", Health.IMPLAUSIBLE, str(error))
            return
        if self._soc.frozen:
            self._troubles.set("soc", Health.IMPLAUSIBLE, "state of charge stands still while energy flows")
        elif self._soc.jumped:
            reason = (
                f"state of charge jumped by {100 * self._soc.jumped:+.0f} % without such a flow of energy"
            )
            self._troubles.set("soc", Health.GOOD, reason)
        else:
            self._troubles.clear("soc")
        self.switch(values.get("local_remote") == 1)

    def switch(self, local: bool) -> None:
        """Take the position of the local/remote switch."""
        if local and self.profile.requires_remote:
            self._troubles.set("local", Health.REFUSING, "switched to local control at the device")
        else:
            self._troubles.clear("local")

    def fast(
        self, values: Mapping[str, float | None], now: float, layout: BatteryLayout, setpoint_w: float | None
    ) -> None:
        """Take the power.

        Args:
            values: by role.
            now: UTC (Unix s).
            layout: limits of the device.
            setpoint_w: discharge_w confirmed by read-back, None when released.
        """
        bound_w = POWER_MARGIN * self._largest_w
        try:
            device_w = plausible("power, W,", values.get("discharge_w"), -bound_w, bound_w)
        except Implausible as error:
            self._troubles.set("reading", Health.IMPLAUSIBLE, str(error))
            return
        self._troubles.clear("reading")
        discharge_w = discharge_of(device_w, self.profile.power_sign)
        self._soc.flow(now, discharge_w)
        running = values.get("running") != 0
        if running:
            self._troubles.clear("running")
        else:
            self._troubles.set("running", Health.REFUSING, "the inverter is off")
        self._judge_following(now, discharge_w, setpoint_w)
        soc = self._soc.trusted()
        if soc is None:
            return
        self._troubles.seen_at = now
        self.reading = BatteryReading(
            device=self._battery.id,
            at=now,
            discharge_w=discharge_w,
            soc=soc,
            discharge_room_w=layout.discharge_max_w if running and soc > layout.soc_min else 0.0,
            charge_room_w=layout.charge_max_w if running and soc < layout.soc_max else 0.0,
            soc_min=layout.soc_min,
            soc_max=layout.soc_max,
            armed=setpoint_w is not None,
            setpoint_w=setpoint_w,
        )

    def _judge_following(self, now: float, discharge_w: float, setpoint_w: float | None) -> None:
        if setpoint_w is None:
            self._troubles.clear("follow")
        elif self._follow.strays(now, discharge_w, setpoint_w):
            reason = f"confirmed {setpoint_w:.0f} W but delivers {discharge_w:.0f} W"
            self._troubles.set("follow", Health.REFUSING, reason)
        else:
            self._troubles.clear("follow")
