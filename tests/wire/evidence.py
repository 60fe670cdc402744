"""What is left after a day of killing: the journal's facts beside the batteries' own write logs.

A battery's log knows no sequence numbers, the journal's `Obeyed` facts do. Every write of a setpoint in the log must
be the one write of one `Obeyed` fact: so a setpoint dispatched twice for the same (epoch, sequence) stands out. A
refresh writes the enable register alone and is no dispatch. What an agent moves while no centre is heard keeps the
sequence that it holds, and has a power of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpp_gateway.clock import SystemClock, SystemRng
from vpp_gateway.compose_centre import compose_rooms, journal_types
from vpp_gateway.domain.fact import Obeyed
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.journal.records import Dated, FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.settings import load_settings
from vpp_gateway.sim.battery import SimBattery
from vpp_gateway.sim.plant import BatteryPlate
from vpp_gateway.southbound.modbus.codec import decode

ACKNOWLEDGED_WITHIN_S = 1.0
"""A write reaches the device at most so long before its answer is back, with all that was written together with it."""
COMMITTED_WITHIN_S = 1.2
"""An outcome becomes durable with the next tick; a younger one may die with the centre."""
ON_THE_WIRE_S = 0.5
"""For so long after a kill an agent may still tell an outcome to the dead."""
ALONE_S = 3.0
"""For so long after a kill an agent may be without a centre; then it moves its setpoints by its own meter."""
OVERTAKEN_S = 0.5
"""An order that a newer one replaces so soon was not read back any more: it has no outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint:
    """One write of a setpoint as the battery logged it."""

    at: float
    discharge_w: float


def facts_of(config: Path) -> list[Dated]:
    """Every fact of the journal, in order; the gateway must have stopped."""
    settings = load_settings(config)

    async def deliver(room: RoomName, message: Any) -> None:
        raise AssertionError("nobody listens here")

    rooms = compose_rooms(settings, SystemClock(), SystemRng(), deliver)
    codec = FactCodec(journal_types(room.session for room in rooms.values()))
    with Journal.open(settings.gateway.state_dir / "journal.db", codec) as journal:
        assert not journal.problem, journal.problem
        return [record.fact for record in journal.records()]


class Logbook:
    """Reads the write log of a simulated battery with the eyes of the device."""

    def __init__(self) -> None:
        plate = BatteryPlate(discharge_max_w=1.0, charge_max_w=1.0, energy_wh=1.0, ramp_w_per_s=1.0)
        self._image = SimBattery("-", plate, soc=0.5, clock=SystemClock()).image
        self._point = self._image.point("704.WSet")
        self._start = self._image.base + self._image.index(self._point)

    def setpoints(self, writes: Sequence[Mapping[str, Any]]) -> list[Setpoint]:
        """The writes that set a power."""
        found = []
        for write in writes:
            values, offset = list(write["values"]), self._start - int(write["address"])
            if offset >= 0 and offset + self._point.size <= len(values) and write["taken"]:
                w = decode(self._point, values[offset : offset + self._point.size])
                assert isinstance(w, int)
                found.append(Setpoint(at=float(write["at"]), discharge_w=float(w)))
        return found


def dispatched_twice(
    setpoints: Sequence[Setpoint], obeyed: Sequence[Obeyed], kills: Sequence[float]
) -> list[str]:
    """What speaks against "each sequence was dispatched once" for one battery, in words; empty when nothing does.

    Args:
        setpoints: From the battery's log, in order.
        obeyed: Of this battery, in order.
        kills: Moments at which a centre was killed, UTC (Unix s).
    """
    wrong = _obeyed_again(obeyed, kills)
    unclaimed = list(setpoints)
    for fact in obeyed:
        own = [
            row
            for row in unclaimed
            if row.discharge_w == fact.discharge_w
            and fact.acknowledged_at - ACKNOWLEDGED_WITHIN_S <= row.at <= fact.acknowledged_at
        ]
        if not own:
            wrong.append(
                f"epoch {fact.epoch} sequence {fact.seq}: no write of {fact.discharge_w:g} W is logged"
            )
            continue
        unclaimed.remove(own[-1])
    return [*wrong, *_unexplained(setpoints, unclaimed, kills)]


def _obeyed_again(obeyed: Sequence[Obeyed], kills: Sequence[float]) -> list[str]:
    """Outcomes of one sequence beyond the first, but for those of an agent alone, which moves what it holds.

    That is the sequence of a centre that was obeyed before it was killed, until its successor is.
    """
    last: dict[tuple[int, int], Obeyed] = {}
    began: dict[int, float] = {}
    wrong = []
    for fact in obeyed:
        since = began.setdefault(fact.epoch, fact.acknowledged_at)
        before = last.get((fact.epoch, fact.seq))
        last[fact.epoch, fact.seq] = fact
        alone = fact.epoch == max(began) and any(
            since < kill <= fact.acknowledged_at <= kill + ALONE_S for kill in kills
        )
        if before is not None and not (alone and fact.discharge_w != before.discharge_w):
            wrong.append(f"epoch {fact.epoch} sequence {fact.seq} was obeyed again, {fact.discharge_w:g} W")
    return wrong


def _unexplained(
    setpoints: Sequence[Setpoint], unclaimed: Sequence[Setpoint], kills: Sequence[float]
) -> list[str]:
    """Writes of a power that belong to no outcome without a good reason; those of 0 W arm."""
    wrong = []
    for row in unclaimed:
        at = setpoints.index(row)
        neighbours = (*setpoints[max(0, at - 1) : at], *setpoints[at + 1 : at + 2])
        if row.discharge_w == 0.0:
            continue
        if any(
            other.discharge_w == row.discharge_w and not _between(kills, row, other) for other in neighbours
        ):
            wrong.append(f"{row.discharge_w:g} W were written twice by one centre, at {row.at:.3f}")
            continue
        overtaken = any(row.at < other.at <= row.at + OVERTAKEN_S for other in neighbours)
        lost = any(kill - COMMITTED_WITHIN_S <= row.at <= kill + ON_THE_WIRE_S for kill in kills)
        if not (overtaken or lost):
            wrong.append(f"{row.discharge_w:g} W were written at {row.at:.3f} for no sequence in the journal")
    return wrong


def _between(kills: Sequence[float], one: Setpoint, other: Setpoint) -> bool:
    """Whether another centre ordered the one than the other."""
    return any(min(one.at, other.at) < kill < max(one.at, other.at) for kill in kills)
