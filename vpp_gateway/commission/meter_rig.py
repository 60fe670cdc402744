"""A meter session and a simulated meter of any profile on paper."""

from __future__ import annotations

from collections.abc import Collection

from vpp_gateway.commission.rig import Breach, HandClock, answer, hand_over
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import Health
from vpp_gateway.sim.bank import Bank
from vpp_gateway.sim.faults import Faults
from vpp_gateway.sim.profiled import MeterBehaviour, ProfiledDevice
from vpp_gateway.southbound.modbus.choice import imagined
from vpp_gateway.southbound.modbus.meter import MeterSession
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.tables import tables_of

BOUND_W = 1e6


class MeterRig:
    """One meter of a profile, and its session.

    Args:
        profile: of kind meter.
        stranger: the device says that it is another product.
        models: the SunSpec models that it may have, where the profile leaves that open; None = the best ones.
    """

    def __init__(
        self, profile: DeviceProfile, *, stranger: bool = False, models: Collection[int] | None = None
    ) -> None:
        self.clock, self.faults, self.import_w = HandClock(1000.0), Faults(), 0.0
        if stranger:
            self.faults.set("stranger")
        built = imagined(profile, models)
        bank = Bank(built)
        behaviour = MeterBehaviour(built, bank, lambda now: self.import_w, faults=self.faults)
        self._device = ProfiledDevice(
            bank, behaviour, now=self.clock.utc, unit=profile.unit, faults=self.faults
        )
        self.session = MeterSession(
            DeviceId("m1"), profile, tables_of(profile), bound_w=BOUND_W, heartbeat_s=1.0
        )
        self.session.connected(self.clock.now)
        self._settle()

    def cycle(self) -> None:
        """A second passes, and one reading is taken."""
        self.clock.now += 1.0
        self.session.cycle(self.clock.now)
        self._settle()

    @property
    def health(self) -> Health:
        """Whether the session counts on the meter."""
        return self.session.health(self.clock.now).health

    def _settle(self) -> None:
        for _ in range(100):
            request = self.session.next(self.clock.now)
            if request is None:
                return
            hand_over(self.session, answer(self._device, request), self.clock.now)
        raise Breach("the session never comes to rest")
