"""A session and a simulated device of any profile on paper, moved by hand: no sockets, no loop, no time that passes."""

from __future__ import annotations

from collections.abc import Collection, Coroutine

from pymodbus.constants import ExcCodes

from vpp_gateway.domain.fact import Outcome
from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.reading import Health
from vpp_gateway.errors import DeviceError, GatewayError, MisuseError, Unreachable
from vpp_gateway.sim.bank import Bank
from vpp_gateway.sim.faults import Faults
from vpp_gateway.sim.plant import BatteryPlant, BatteryPlate
from vpp_gateway.sim.profiled import BatteryBehaviour, ProfiledDevice
from vpp_gateway.southbound.modbus.choice import imagined
from vpp_gateway.southbound.modbus.meter import MeterSession
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.session import BatterySession
from vpp_gateway.southbound.modbus.tables import tables_of
from vpp_gateway.southbound.modbus.wire import DeviceOrder, Read, Request, Timing

REFRESH_S = 5.0
REVERSION_S = 30.0
DISCHARGE_MAX_W, CHARGE_MAX_W, ENERGY_WH = 10_000.0, 8_000.0, 20_000.0
_FUNCTIONS = {"holding": 3, "input": 4}


class Breach(GatewayError):
    """Something that must hold does not."""


class HandClock:
    """A clock that stands still unless moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def utc(self) -> float:
        """UTC (Unix s)."""
        return self.now


def answer(device: ProfiledDevice, request: Request) -> list[int] | int:
    """What a device answers: registers (none for a write), or an exception code."""
    registers = [0] * 0x10000
    values: list[int] | None = None
    if isinstance(request, Read):
        count, function = request.count, _FUNCTIONS[request.table]
    else:
        count, function, values = len(request.registers), request.function, list(request.registers)
    refusal = _now(device.access(function, 0, request.address, count, registers, values))
    if refusal is not None:
        return refusal.value
    return registers[request.address : request.address + count] if isinstance(request, Read) else []


def _now(access: Coroutine[object, object, ExcCodes | None]) -> ExcCodes | None:
    """The result of an access that never waits."""
    try:
        access.send(None)
    except StopIteration as done:
        found: ExcCodes | None = done.value
        return found
    raise MisuseError("a simulated device on paper must not wait")


def hand_over(session: BatterySession | MeterSession, found: list[int] | int, now: float) -> None:
    """Give a session the answer to what it asked; a device that it gives up is lost to it."""
    try:
        if isinstance(found, int):
            session.refused(found, now)
        else:
            session.receive(found, now)
    except DeviceError as error:
        session.lost(error, now)


class BatteryRig:
    """One battery of a profile, and its session.

    Args:
        profile: of kind battery.
        refresh_s: how often the reversion timer is restarted.
        models: the SunSpec models that it may have, where the profile leaves that open; None = the best ones.
    """

    def __init__(
        self, profile: DeviceProfile, *, refresh_s: float = REFRESH_S, models: Collection[int] | None = None
    ) -> None:
        built = imagined(profile, models)
        self.profile = built
        self.clock = HandClock(1000.0)
        self.faults = Faults()
        ratings = [built.points.get(role) for role in ("discharge_max_w", "charge_max_w")]
        one_rating = ratings[0] is not None and ratings[0] == ratings[1]
        charge_max_w = DISCHARGE_MAX_W if one_rating else CHARGE_MAX_W
        plate = BatteryPlate(
            discharge_max_w=DISCHARGE_MAX_W, charge_max_w=charge_max_w, energy_wh=ENERGY_WH, ramp_w_per_s=1e9
        )
        self.plant = BatteryPlant(plate, soc=0.5, at=1000.0)
        self.bank = Bank(built)
        self.behaviour = BatteryBehaviour(
            built, self.bank, self.plant, now=self.clock.utc, faults=self.faults
        )
        self.device = ProfiledDevice(
            self.bank, self.behaviour, now=self.clock.utc, unit=profile.unit, faults=self.faults
        )
        self.battery = Battery(
            id=DeviceId("b1"),
            site=SiteId("s"),
            discharge_max_w=DISCHARGE_MAX_W,
            charge_max_w=charge_max_w,
            energy_wh=ENERGY_WH,
            soc_min=0.1,
        )
        self.session = BatterySession(
            self.battery, profile, tables_of(profile), Timing(refresh_s=refresh_s, reversion_s=REVERSION_S)
        )
        self.asked: list[Request] = []
        """Everything asked so far."""
        self.told: list[Outcome] = []
        """What became of orders so far."""
        self._seq = 0

    def connect(self) -> BatteryRig:
        """A fresh connection stands; answer all that is asked."""
        self.session.connected(self.clock.now)
        return self.settle()

    def settle(self) -> BatteryRig:
        """Answer until there is nothing more to ask. Raises Breach when that never comes."""
        for _ in range(300):
            request = self.session.next(self.clock.now)
            self.told += self.session.outcomes()
            if request is None:
                return self
            self.asked.append(request)
            hand_over(self.session, answer(self.device, request), self.clock.now)
            self.told += self.session.outcomes()
        raise Breach("the session never comes to rest")

    def cycle(self, seconds: float = 1.0) -> BatteryRig:
        """Time passes, and a cycle begins."""
        self.clock.now += seconds
        self.session.cycle(self.clock.now)
        return self.settle()

    def order(self, discharge_w: float | None) -> BatteryRig:
        """Order a setpoint; None = release."""
        self._seq += 1
        order = (
            None
            if discharge_w is None
            else DeviceOrder(
                epoch=1,
                seq=self._seq,
                discharge_w=discharge_w,
                deadline_at=1e9,
                instruction=InstructionId("i/1"),
            )
        )
        self.session.order(order, self.clock.now)
        return self.settle()

    def lose(self) -> BatteryRig:
        """The connection is gone."""
        self.session.lost(Unreachable("gone"), self.clock.now)
        return self

    @property
    def reason(self) -> str:
        """What is wrong, in words."""
        return self.session.health(self.clock.now).reason

    @property
    def health(self) -> Health:
        """Whether the session counts on the battery."""
        return self.session.health(self.clock.now).health

    def named_registers(self) -> set[int]:
        """Addresses of all points that the profile writes."""
        assert self.profile.command is not None
        beat = () if self.profile.heartbeat is None else (self.profile.heartbeat.point,)
        return {at for name in (*self.profile.command.points, *beat) for at in self.bank.addresses(name)}

    @property
    def given_w(self) -> float:
        """What the battery really gives."""
        return self.behaviour.plant.look(self.clock.now)
