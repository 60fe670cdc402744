"""Not believing a meter that stands still while the batteries behind it move.

A stuck meter looks perfect in every single reply: in range, in time, no exception. To a control loop it is worse
than a dead one. Whatever the batteries give, it shows nothing of it, so they are asked for more each second. Only
the batteries' own readings of the same cycle give it away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, Health, MeterReading

MOVED_SHARE = 0.05
"""Share of the site's battery power that may move, unseen by the meter, before the meter is not believed."""
SAID_AFTER_S = 3.0
"""So long a meter may be behind before it is called stuck; its value is left out from the first doubt on."""


class StillMeter:
    """Watches one meter beside the batteries of its site.

    Args:
        battery_max_w: What all batteries of the site together can give or take, W.
    """

    def __init__(self, battery_max_w: float) -> None:
        self._allowed_w = MOVED_SHARE * battery_max_w
        self._import_w: float | None = None
        self._battery_w = 0.0
        self._doubtful_since: float | None = None
        self._moved_w = 0.0

    def believe(self, meter: MeterReading | None, batteries: Sequence[BatteryReading]) -> MeterReading | None:
        """The meter's reading, or None while it cannot be true."""
        if meter is None or not batteries:
            return meter
        battery_w = sum(battery.discharge_w for battery in batteries)
        if meter.import_w != self._import_w:
            self._import_w, self._battery_w, self._doubtful_since = meter.import_w, battery_w, None
            return meter
        self._moved_w = max(self._moved_w, abs(battery_w - self._battery_w))
        if self._doubtful_since is None:
            if abs(battery_w - self._battery_w) <= self._allowed_w:
                return meter
            self._doubtful_since, self._moved_w = meter.at, abs(battery_w - self._battery_w)
        return None

    def judge(self, health: DeviceHealth, now: float) -> DeviceHealth:
        """The meter's health with our doubt in it."""
        since = self._doubtful_since
        if health.health is not Health.GOOD or since is None or now < since + SAID_AFTER_S:
            return health
        reason = f"import stands still at {self._import_w:.0f} W while the batteries moved by {self._moved_w:.0f} W"
        return replace(health, health=Health.IMPLAUSIBLE, reason=reason)
