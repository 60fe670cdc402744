"""A session and a simulated device of any profile, moved by hand: what every profile of a battery or meter must pass."""

from __future__ import annotations

from collections.abc import Coroutine

from vpp_gateway.domain.fact import Outcome
from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.reading import Health
from vpp_gateway.errors import DeviceError, Unreachable
from vpp_gateway.sim.bank import Bank
from vpp_gateway.sim.faults import Faults
from vpp_gateway.sim.plant import BatteryPlant, BatteryPlate
from vpp_gateway.sim.profiled import BatteryBehaviour, ProfiledDevice
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.session import BatterySession
from vpp_gateway.southbound.modbus.tables import tables_of
from vpp_gateway.southbound.modbus.wire import DeviceOrder, Read, Request, Timing

FUNCTIONS = {"holding": 3, "input": 4}


class HandClock:
    """A clock that stands still unless moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def utc(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def align(self, utc: float) -> None:
        self.now = utc


def run_now(coroutine: Coroutine[object, object, object]) -> object:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


class ContractBench:
    """One battery of a profile, and its session."""

    def __init__(self, profile: DeviceProfile, *, refresh_s: float = 5.0) -> None:
        self.profile = profile
        self.clock = HandClock(1000.0)
        self.faults = Faults()
        plate = BatteryPlate(discharge_max_w=10_000, charge_max_w=8_000, energy_wh=20_000, ramp_w_per_s=1e9)
        self.plant = BatteryPlant(plate, soc=0.5, at=1000.0)
        self.bank = Bank(profile)
        self.behaviour = BatteryBehaviour(
            profile, self.bank, self.plant, clock=self.clock, faults=self.faults
        )
        self.device = ProfiledDevice(
            self.bank, self.behaviour, clock=self.clock, unit=profile.unit, faults=self.faults
        )
        self.battery = Battery(
            id=DeviceId("b1"),
            site=SiteId("s"),
            discharge_max_w=10_000,
            charge_max_w=8_000,
            energy_wh=20_000,
            soc_min=0.1,
        )
        self.session = BatterySession(
            self.battery, profile, tables_of(profile), Timing(refresh_s=refresh_s, reversion_s=30.0)
        )
        self.asked: list[Request] = []
        self.told: list[Outcome] = []
        self._seq = 0

    def connect(self) -> ContractBench:
        self.session.connected(self.clock.now)
        return self.settle()

    def answer(self, request: Request) -> list[int] | int:
        registers = [0] * 0x10000
        values: list[int] | None = None
        if isinstance(request, Read):
            count, function = request.count, FUNCTIONS[request.table]
        else:
            count, function, values = len(request.registers), request.function, list(request.registers)
        refusal = run_now(self.device._access(function, 0, request.address, count, registers, values))
        if refusal is not None:
            return int(refusal)  # type: ignore[call-overload]  # an ExcCodes
        return registers[request.address : request.address + count] if isinstance(request, Read) else []

    def settle(self) -> ContractBench:
        for _ in range(300):
            request = self.session.next(self.clock.now)
            self.told += self.session.outcomes()
            if request is None:
                return self
            self.asked.append(request)
            answer = self.answer(request)
            try:
                if isinstance(answer, int):
                    self.session.refused(answer, self.clock.now)
                else:
                    self.session.receive(answer, self.clock.now)
            except DeviceError as error:
                self.session.lost(error, self.clock.now)
            self.told += self.session.outcomes()
        raise AssertionError("the session never comes to rest")

    def cycle(self, seconds: float = 1.0) -> ContractBench:
        self.clock.now += seconds
        self.session.cycle(self.clock.now)
        return self.settle()

    def order(self, discharge_w: float | None) -> ContractBench:
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

    def lose(self) -> ContractBench:
        self.session.lost(Unreachable("gone"), self.clock.now)
        return self

    @property
    def reason(self) -> str:
        return self.session.health(self.clock.now).reason

    @property
    def health(self) -> Health:
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
