"""Knowing the registers of one battery: found by the first scan, checked after every reconnect, scanned again then.

A known device is not scanned before it is commanded: two registers say that the setpoint block is still where it
was, so that the valid setpoint (or the release) can be written within a few round trips. The full scan follows when
there is nothing better to ask; a device that has changed is given up and met anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from vpp_gateway.domain.fleet import Battery
from vpp_gateway.errors import Implausible, MisuseError, Rejected
from vpp_gateway.southbound.modbus.choice import settle
from vpp_gateway.southbound.modbus.codec import exception_words
from vpp_gateway.southbound.modbus.layout import BatteryLayout, DeviceMap
from vpp_gateway.southbound.modbus.meeting import Meeting, meet, same_device
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.sunspec import Tables
from vpp_gateway.southbound.modbus.wire import Purpose, Read, Timing


class Acquaintance:
    """What is known of one battery's registers."""

    def __init__(self, battery: Battery, profile: DeviceProfile, tables: Tables, timing: Timing) -> None:
        """Raises MisuseError when the refresh cannot keep the reversion timer alive."""
        for way in profile.ways:
            after_s = way.reversion_s(timing.reversion_s)
            if after_s is not None and timing.refresh_s > after_s / 2:
                wrong = f"refresh_s {timing.refresh_s:g} is more than half of its reversion of {after_s:g} s"
                raise MisuseError(f"{battery.id}: {wrong}")
        self.layout: BatteryLayout | None = None
        """None until the first scan is complete."""
        self.unchecked = False
        """A known device behind a fresh connection: `check_read` comes before anything is written."""
        self.profile = profile
        """What is known of the product: once the device is met, what it is of all that was left open."""
        self._battery = battery
        self._profile = profile
        self._tables = tables
        self._reversion_s = timing.reversion_s
        self._device: DeviceMap | None = None
        self._scan: Meeting | None = None

    @property
    def local(self) -> bool:
        """The device was switched to local control when it was met."""
        return self.layout is not None and self.layout.local

    @property
    def counted(self) -> int:
        """Where the controller's heartbeat stood when the device was met, 0 when it has none."""
        beat = None if self.layout is None else self.layout.heartbeat
        said = None if beat is None or self._device is None else self._device.raw.get(beat.key)
        return said if isinstance(said, int) else 0

    def begin(self) -> bool:
        """A fresh connection stands; True when the device is known already."""
        self._scan = meet(self._profile, self._tables)
        self.unchecked = self.layout is not None and self.layout.head() is not None
        return self.layout is not None

    def scan_read(self) -> Read | None:
        """The next read of the scan; None when there is none under way."""
        if self._scan is None:
            return None
        block = self._scan.next()
        return Read(Purpose.SCAN, block.address, block.count, block.table)

    def check_read(self) -> Read:
        """The read that tells whether the setpoint block is where it was."""
        assert self.layout is not None
        head = self.layout.head()
        assert head is not None
        return Read(Purpose.CHECK, head.address, head.count)

    def scanned(self, registers: Sequence[int]) -> DeviceMap | None:
        """Take an answer to the scan; the map when this completes the first one.

        Raises:
            Rejected: not the expected device.
            Implausible: another device than before the reconnect, or a nonsensical one.
        """
        assert self._scan is not None
        self._scan.receive(registers)
        return self._met()

    def _met(self) -> DeviceMap | None:
        assert self._scan is not None
        if not self._scan.done or (found := self._scan.result) is None:
            return None
        self._scan = None
        if self._device is not None and not same_device(self._device, found):
            self._forget()
            raise Implausible(
                "another device, or other registers or scale factors, than before the reconnect"
            )
        if self.layout is not None:
            return None
        settled = settle(self._profile, self._tables, found)
        self.layout = BatteryLayout(self._battery, settled, self._tables, found, self._reversion_s)
        self.profile, self._device = settled, found
        return found

    def checked(self, registers: Sequence[int]) -> None:
        """Take the answer to the check. Raises Implausible when the setpoint block has moved."""
        assert self.layout is not None
        if not self.layout.same_head(registers):
            self._forget()
            raise Implausible("the setpoint registers are not where they were before the reconnect")
        self.unchecked = False

    def refused(self, request: Read, code: int) -> DeviceMap | None:
        """The scan or the check was answered with an exception; as `scanned`.

        Raises:
            Rejected: that ends it.
            Implausible: another device than before the reconnect.
        """
        if request.purpose is Purpose.CHECK:
            self._forget()
            raise Rejected(
                f"{exception_words(code)} on reading the head of the setpoint block at {request.address}"
            )
        assert self._scan is not None
        self._scan.refuse(code)
        return self._met()

    def _forget(self) -> None:
        self.layout = self._device = None
