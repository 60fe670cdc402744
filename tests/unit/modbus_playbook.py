"""A battery on paper: registers that answer a session's requests, without sockets or physics."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML

from vpp_gateway.domain.fact import Outcome
from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.errors import DeviceError, Unreachable
from vpp_gateway.sim.image import Image
from vpp_gateway.southbound.modbus.codec import decode
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.session import BatterySession
from vpp_gateway.southbound.modbus.shelf import with_generations
from vpp_gateway.southbound.modbus.tables import tables_of
from vpp_gateway.southbound.modbus.wire import DeviceOrder, Purpose, Read, Request, Timing, Write

PROFILES = Path(__file__).parents[2] / "profiles" / "devices"
BATTERY = Battery(
    id=DeviceId("b1"), site=SiteId("tokyo"), discharge_max_w=1e6, charge_max_w=8e5, energy_wh=2e6, soc_min=0.1
)


def profile(name: str, **changes: object) -> DeviceProfile:
    """A shipped profile, with some fields changed."""
    document = YAML(typ="safe").load((PROFILES / f"{name}.yaml").read_text(encoding="utf-8"))
    return with_generations(DeviceProfile.model_validate(document | changes))


def battery_profile(
    command: dict[str, object] | None = None, arm: dict[str, object] | None = None, **changes: object
) -> DeviceProfile:
    """The shipped battery profile, with some fields changed.

    Args:
        command: fields of its commands.
        arm: points in the first line of arming.
    """
    shipped = profile("sunspec-700-battery").model_dump()["command"]
    configure, enable = shipped["arm"]
    ours = shipped | {"arm": [configure | (arm or {}), enable]} | (command or {})
    return profile("sunspec-700-battery", command=ours, **changes)


def an_order(discharge_w: float, *, seq: int = 1, deadline_at: float = 1e9) -> DeviceOrder:
    return DeviceOrder(
        epoch=1, seq=seq, discharge_w=discharge_w, deadline_at=deadline_at, instruction=InstructionId("tso/1")
    )


class Paper:
    """Registers of a battery that does exactly what is written, unless told otherwise.

    Its countdown follows `now`; `ignores` drops writes, `refuses` answers requests of a purpose with an exception.
    """

    def __init__(self, models: tuple[int, ...] = (1, 701, 702, 704, 713, 715)) -> None:
        exponents = {"802.SoC_SF": -2} if 802 in models else {}
        exponents |= {"701.W_SF": 2, "702.W_SF": 2, "704.WSet_SF": 0, "713.Pct_SF": -2, "713.WH_SF": 2}
        self.image = Image(models, base=40000, exponents=exponents)
        self.ignores = False
        self.refuses: dict[Purpose, int] = {}
        self.counts_down = True
        self.restart_at = 0.0
        for name in ("Ena", "Mod", "", "Rvrt", "Pct", "PctRvrt", "EnaRvrt", "RvrtTms", "RvrtRem"):
            self.put(f"704.WSet{name}", 0)
        start: dict[str, float | str] = {"1.Mn": "Paper", "1.SN": "P1", "701.St": 1, "701.W": 0}
        start |= {"702.CtrlModes": 0b11, "702.WDisChaRteMax": 1e6, "702.WChaRteMax": 8e5}
        start |= {"713.SoC": 50, "713.WHRtg": 2e6, "715.LocRemCtl": 0, "715.ControllerHb": 7}
        for key, value in start.items():
            self.put(key, value)

    def put(self, key: str, value: float | str | None) -> None:
        self.image.put(key, value)

    def get(self, key: str) -> object:
        point = self.image.point(key)
        return decode(point, self.image.registers, self.image.index(point))

    def answer(self, request: Request, now: float) -> list[int] | int:
        """Registers (none for a write), or an exception code."""
        if request.purpose in self.refuses:
            return self.refuses[request.purpose]
        at = request.address - self.image.base
        if isinstance(request, Read):
            self._count_down(now)
            found = self.image.registers[max(at, 0) : at + request.count]
            return found if at >= 0 and len(found) == request.count else 2
        if not self.ignores or request.purpose is Purpose.HEARTBEAT:
            self.image.registers[at : at + len(request.registers)] = request.registers
            if self.image.covers("704.WSetEna", request.address, len(request.registers)):
                self.restart_at = now
        return []

    def _count_down(self, now: float) -> None:
        timer_s = self.get("704.WSetRvrtTms")
        assert isinstance(timer_s, int)
        passed_s = now - self.restart_at if self.counts_down else 0.0
        running = self.get("704.WSetEna") == 1
        self.put("704.WSetRvrtRem", max(0.0, timer_s - passed_s) if running else 0)


class Playbook:
    """A session and its paper device, moved by hand; `now` is seconds since the start."""

    def __init__(self, chosen: DeviceProfile | None = None, timing: Timing | None = None) -> None:
        chosen = chosen or battery_profile()
        self.now = 1000.0
        self.device = Paper()
        self.session = BatterySession(BATTERY, chosen, tables_of(chosen), timing or Timing())
        self.asked: list[Request] = []
        """Everything asked since the last look, scan left out."""
        self.told: list[Outcome] = []

    def connect(self) -> Playbook:
        self.session.connected(self.now)
        return self.settle()

    def step(self) -> Request | None:
        """One request and its answer; None when the session has nothing to ask."""
        request = self.session.next(self.now)
        self.told += self.session.outcomes()
        if request is None:
            return None
        if request.purpose is not Purpose.SCAN:
            self.asked.append(request)
        answer = self.device.answer(request, self.now)
        try:
            if isinstance(answer, int):
                self.session.refused(answer, self.now)
            else:
                self.session.receive(answer, self.now)
        except DeviceError as error:
            self.session.lost(error, self.now)
        self.told += self.session.outcomes()
        return request

    def settle(self) -> Playbook:
        """Answer until there is nothing more to ask."""
        for _ in range(200):
            if self.step() is None:
                return self
        raise AssertionError("the session never comes to rest")

    def cycle(self, after_s: float = 1.0) -> Playbook:
        self.now += after_s
        self.session.cycle(self.now)
        return self.settle()

    def order(self, order: DeviceOrder | None) -> Playbook:
        self.session.order(order, self.now)
        self.told += self.session.outcomes()
        return self

    def unanswered(self) -> Request:
        """Ask, and leave it without an answer."""
        request = self.session.next(self.now)
        assert request is not None
        self.asked.append(request)
        return request

    def lose(self) -> Playbook:
        self.session.lost(Unreachable("no answer within 0.5 s"), self.now)
        self.told += self.session.outcomes()
        return self

    def look(self) -> list[tuple[str, int, tuple[int, ...] | int]]:
        """(purpose, address, registers or count) of what was asked since the last look."""
        seen = [
            (r.purpose.name, r.address, r.registers if isinstance(r, Write) else r.count) for r in self.asked
        ]
        self.asked = []
        return seen

    def writes(self) -> list[tuple[str, int, tuple[int, ...] | int]]:
        """Only the writes, without heartbeats."""
        return [entry for entry in self.look() if isinstance(entry[2], tuple) and entry[0] != "HEARTBEAT"]

    def outcomes(self) -> list[Outcome]:
        """What was told since the last call."""
        told, self.told = self.told, []
        return told
