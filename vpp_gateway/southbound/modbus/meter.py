"""One meter behind Modbus, read only, pure: scan once, then one read a cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import DeviceHealth, Health, MeterReading
from vpp_gateway.errors import DeviceError, Implausible, MisuseError, Rejected
from vpp_gateway.southbound.modbus.codec import Model, Point, exception_words, import_of, plausible
from vpp_gateway.southbound.modbus.layout import ReadPlan, point_of, read_plans
from vpp_gateway.southbound.modbus.picture import Troubles
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.scan import Scan
from vpp_gateway.southbound.modbus.wire import Purpose, Read


class MeterSession:
    """One meter."""

    def __init__(
        self,
        device: DeviceId,
        profile: DeviceProfile,
        models: Mapping[int, Model],
        *,
        bound_w: float,
        heartbeat_s: float,
    ) -> None:
        """
        Args:
            device: the meter's name.
            profile: of kind meter.
            models: tables of `profile.models`.
            bound_w: largest |import_w| that can be true at this grid connection point.
            heartbeat_s: how often `cycle` is called.
        """
        self.reading: MeterReading | None = None
        self._device = device
        self._profile = profile
        self._models = models
        self._bound_w = bound_w
        self._stale_s = 2.5 * heartbeat_s
        self._troubles = Troubles(device)
        self._scan: Scan | None = None
        self._plan: ReadPlan | None = None
        self._due = False
        self._waiting: Read | None = None

    def connected(self, now: float) -> None:
        """A fresh connection stands; the registers are looked for anew."""
        self._troubles.clear("link")
        self._plan, self._waiting, self._due = None, None, False
        self._scan = Scan(self._profile, self._models, [self._point])

    def lost(self, error: DeviceError, now: float) -> None:
        """The connection is gone, or was given up because of `error`."""
        self._scan = self._plan = self._waiting = None
        health = {Rejected: Health.REFUSING, Implausible: Health.IMPLAUSIBLE}.get(type(error), Health.LOST)
        self._troubles.set("link", health, str(error))

    def cycle(self, now: float) -> None:
        """A period has begun: one reading."""
        self._due = True

    def next(self, now: float) -> Read | None:
        """The next request, or None when there is nothing to ask now."""
        if self._waiting is not None:
            raise MisuseError(f"{self._device}: a request is unanswered, no other may follow")
        if self._scan is not None:
            block = self._scan.next()
            self._waiting = Read(Purpose.SCAN, block.address, block.count)
        elif self._due and self._plan is not None:
            self._due = False
            self._waiting = Read(Purpose.FAST, self._plan.block.address, self._plan.block.count)
        return self._waiting

    def receive(self, registers: Sequence[int], now: float) -> None:
        """The outstanding request was answered.

        Raises:
            DeviceError: this is not the expected device; give the connection up and report it by `lost`.
        """
        self._waiting = None
        if self._scan is not None:
            self._scanned(self._scan, registers)
            return
        assert self._plan is not None
        value = {name: read(registers) for name, read in self._plan.readers}["import_w"]
        try:
            meter_w = plausible("import, W,", value, -self._bound_w, self._bound_w)
        except Implausible as error:
            self._troubles.set("reading", Health.IMPLAUSIBLE, str(error))
            return
        self._troubles.clear("reading")
        self._troubles.seen_at = now
        self.reading = MeterReading(
            device=self._device, at=now, import_w=import_of(meter_w, self._profile.power_sign)
        )

    def refused(self, code: int, now: float) -> None:
        """The outstanding request was answered with an exception code."""
        request, self._waiting = self._waiting, None
        if self._scan is not None:
            self._scan.refuse(code)
        elif request is not None:
            self._troubles.set(
                "reading", Health.REFUSING, f"{exception_words(code)} on reading {request.address}"
            )

    def health(self, now: float) -> DeviceHealth:
        """The worst that is known."""
        return self._troubles.health(now, self._stale_s)

    def _scanned(self, scan: Scan, registers: Sequence[int]) -> None:
        scan.receive(registers)
        if scan.done and scan.result is not None:
            spans = {"import_w": (self._point, scan.result.exponent(self._point))}
            self._plan = read_plans(spans, scan.result, self._profile.max_read)[0]
            self._scan = None

    @property
    def _point(self) -> Point:
        return point_of(self._models, self._profile.points["import_w"])
