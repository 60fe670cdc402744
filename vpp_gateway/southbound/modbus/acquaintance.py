"""Knowing the registers of one battery: found by the first scan, checked after every reconnect, scanned again then.

A known device is not scanned before it is commanded: two registers say that the setpoint block is still where it
was, so that the valid setpoint (or the release) can be written within a few round trips. The full scan follows when
there is nothing better to ask; a device that has changed is given up and met anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vpp_gateway.domain.fleet import Battery
from vpp_gateway.errors import Implausible, Rejected
from vpp_gateway.southbound.modbus.codec import Model, exception_words
from vpp_gateway.southbound.modbus.layout import BatteryLayout, point_of, setpoint_points
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.scan import DeviceMap, Scan
from vpp_gateway.southbound.modbus.wire import Purpose, Read


class Acquaintance:
    """What is known of one battery's registers."""

    def __init__(self, battery: Battery, profile: DeviceProfile, models: Mapping[int, Model]) -> None:
        self.layout: BatteryLayout | None = None
        """None until the first scan is complete."""
        self.unchecked = False
        """A known device behind a fresh connection: `check_read` comes before anything is written."""
        self._battery = battery
        self._profile = profile
        self._models = models
        named = [point_of(models, name) for name in profile.points.values()]
        self._nameplate = [*named, *setpoint_points(profile, models)]
        self._device: DeviceMap | None = None
        self._scan: Scan | None = None

    def begin(self) -> bool:
        """A fresh connection stands; True when the device is known already."""
        self._scan = Scan(self._profile, self._models, self._nameplate)
        self.unchecked = self.layout is not None
        return self.layout is not None

    def scan_read(self) -> Read | None:
        """The next read of the scan; None when there is none under way."""
        if self._scan is None:
            return None
        block = self._scan.next()
        return Read(Purpose.SCAN, block.address, block.count)

    def check_read(self) -> Read:
        """The read that tells whether the setpoint block is where it was."""
        assert self.layout is not None
        head = self.layout.head()
        return Read(Purpose.CHECK, head.address, head.count)

    def scanned(self, registers: Sequence[int]) -> DeviceMap | None:
        """Take an answer to the scan; the map when this completes the first one.

        Raises:
            Rejected: not the expected device.
            Implausible: another device than before the reconnect, or a nonsensical one.
        """
        assert self._scan is not None
        self._scan.receive(registers)
        if not self._scan.done or self._scan.result is None:
            return None
        found, self._scan = self._scan.result, None
        if self._device is not None and not self._device.same_device(found):
            self._forget()
            raise Implausible(
                "another device, or other registers or scale factors, than before the reconnect"
            )
        if self.layout is not None:
            return None
        self.layout = BatteryLayout(self._battery, self._profile, self._models, found)
        self._device = found
        return found

    def checked(self, registers: Sequence[int]) -> None:
        """Take the answer to the check. Raises Implausible when the setpoint block has moved."""
        assert self.layout is not None
        if not self.layout.same_head(registers):
            self._forget()
            raise Implausible("the setpoint registers are not where they were before the reconnect")
        self.unchecked = False

    def refused(self, request: Read, code: int) -> None:
        """The scan or the check was answered with an exception. Raises Rejected when that ends it."""
        if request.purpose is Purpose.CHECK:
            self._forget()
            raise Rejected(
                f"{exception_words(code)} on reading the head of the setpoint block at {request.address}"
            )
        assert self._scan is not None
        self._scan.refuse(code)

    def _forget(self) -> None:
        self.layout = self._device = None
