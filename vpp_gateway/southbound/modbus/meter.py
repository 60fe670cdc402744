"""One meter behind Modbus, read only, pure: scan once, then one read a cycle."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import DeviceHealth, Health, MeterReading
from vpp_gateway.errors import DeviceError, Implausible, MisuseError, Rejected
from vpp_gateway.southbound.modbus.choice import settle
from vpp_gateway.southbound.modbus.codec import exception_words, import_of, plausible
from vpp_gateway.southbound.modbus.layout import DeviceMap, ReadPlan, read_plans, role_spans
from vpp_gateway.southbound.modbus.measures import derive
from vpp_gateway.southbound.modbus.meeting import Meeting, meet
from vpp_gateway.southbound.modbus.picture import Troubles
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.sunspec import Tables
from vpp_gateway.southbound.modbus.wire import Purpose, Read


class MeterSession:
    """One meter."""

    def __init__(
        self,
        device: DeviceId,
        profile: DeviceProfile,
        tables: Tables,
        *,
        bound_w: float,
        heartbeat_s: float,
    ) -> None:
        """
        Args:
            device: the meter's name.
            profile: of kind meter.
            tables: of the profile.
            bound_w: largest |import_w| that can be true at this grid connection point.
            heartbeat_s: how often `cycle` is called.
        """
        self.reading: MeterReading | None = None
        self._device = device
        self._profile = profile
        self._tables = tables
        self._bound_w = bound_w
        self._stale_s = 2.5 * heartbeat_s
        self._troubles = Troubles(device)
        self._scan: Meeting | None = None
        self._plans: tuple[ReadPlan, ...] = ()
        self._reads: deque[ReadPlan] = deque()
        self._plan: ReadPlan | None = None
        self._values: dict[str, float | None] = {}
        self._derive: Callable[[dict[str, float | None]], None] | None = None
        self._waiting: Read | None = None

    def connected(self, now: float) -> None:
        """A fresh connection stands; the registers are looked for anew."""
        self._troubles.clear("link")
        self._plans, self._plan, self._waiting = (), None, None
        self._reads.clear()
        self._scan = meet(self._profile, self._tables)

    def lost(self, error: DeviceError, now: float) -> None:
        """The connection is gone, or was given up because of `error`."""
        self._scan = self._plan = self._waiting = None
        self._plans = ()
        self._reads.clear()
        health = {Rejected: Health.REFUSING, Implausible: Health.IMPLAUSIBLE}.get(type(error), Health.LOST)
        self._troubles.set("link", health, str(error))

    def cycle(self, now: float, *, only_look: bool = False) -> None:
        """A period has begun: one reading."""
        if not self._reads:
            self._values.clear()
            self._reads.extend(self._plans)

    def next(self, now: float) -> Read | None:
        """The next request, or None when there is nothing to ask now."""
        if self._waiting is not None:
            raise MisuseError(f"{self._device}: a request is unanswered, no other may follow")
        if self._scan is not None:
            block = self._scan.next()
            self._waiting = Read(Purpose.SCAN, block.address, block.count, block.table)
        elif self._reads:
            self._plan = self._reads.popleft()
            block = self._plan.block
            self._waiting = Read(Purpose.FAST, block.address, block.count, block.table)
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
        for name, read in self._plan.readers:
            self._values[name] = read(registers)
        if self._reads:
            return
        if self._derive is not None:
            self._derive(self._values)
        value = self._values.get("import_w")
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
            self._met(self._scan)
        elif request is not None:
            self._troubles.set(
                "reading", Health.REFUSING, f"{exception_words(code)} on reading {request.address}"
            )

    def health(self, now: float) -> DeviceHealth:
        """The worst that is known."""
        return self._troubles.health(now, self._stale_s)

    def _scanned(self, scan: Meeting, registers: Sequence[int]) -> None:
        scan.receive(registers)
        self._met(scan)

    def _met(self, scan: Meeting) -> None:
        if scan.done and scan.result is not None:
            self._plans = self._planned(scan.result)
            self._scan = None

    def _planned(self, device: DeviceMap) -> tuple[ReadPlan, ...]:
        profile = settle(self._profile, self._tables, device)
        self._derive = derive({role: profile.points[role] for role in profile.fast})
        spans = role_spans({role: profile.points[role] for role in profile.fast}, self._tables, device)
        return read_plans(spans, device, profile.max_read, 0xFFFF if profile.sunspec else profile.gap)
