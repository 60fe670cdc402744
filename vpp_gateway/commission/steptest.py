"""Does a battery obey? One small step each way, watched at the battery and, where there is one, at a meter.

    rest -> +w -> -w -> 0 -> released        each held for some seconds, the power looked at several times a second

Measured of each step: how long the acknowledgement, the first movement and the arrival took, the ramp in between, and how
exactly the power is held. A device may acknowledge everything and do nothing: only the power counts.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vpp_gateway.clock import Clock
from vpp_gateway.domain.fact import Obeyed, Outcome
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, Health, MeterReading
from vpp_gateway.errors import Rejected, Unreachable
from vpp_gateway.southbound.modbus.states import State
from vpp_gateway.southbound.modbus.wire import DeviceOrder

LOOK_S = 0.2
"""How often the power is looked at."""
CONNECT_S = 15.0
MOVED_SHARE, ARRIVED_SHARE = 0.1, 0.05
"""Of the step: it moves when it has come so far, and has arrived when it is so near."""
HELD_SHARE = 0.05
"""Of the setpoint: how exactly it must be held."""
METER_SHARE = 0.25
"""Of the step: how far the meter may disagree; the load behind it moves as well."""


class Subject(Protocol):
    """The battery under test; `southbound.modbus.client.BatteryClient` is one."""

    @property
    def state(self) -> State: ...
    @property
    def reading(self) -> BatteryReading | None: ...
    @property
    def health(self) -> DeviceHealth: ...
    def order(self, order: DeviceOrder | None) -> None: ...
    async def cycle(self, deadline_s: float) -> None: ...
    async def look(self, deadline_s: float) -> None: ...


class Witness(Protocol):
    """A meter that sees the battery."""

    @property
    def reading(self) -> MeterReading | None: ...
    async def cycle(self, deadline_s: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The power at one moment."""

    at: float
    """Seconds since the order."""
    discharge_w: float
    import_w: float | None = None
    """At the meter, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What became of one step."""

    from_w: float
    to_w: float
    """What was asked, discharge_w."""
    confirmed_w: float | None
    """What the device confirmed to hold; None = it refused."""
    refusal: str
    acknowledged_s: float | None
    confirmed_s: float | None
    moved_s: float | None
    """Until it had gone a tenth of the way."""
    arrived_s: float | None
    """Until it was within a twentieth of the way."""
    ramp_w_per_s: float | None
    held_w: float | None
    """Mean of the last third of the time."""
    ripple_w: float | None
    """Standard deviation in that time."""
    meter_w: float | None
    """Change of the import over the step; None without a meter."""
    samples: tuple[Sample, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """Codes of what is wrong with it; none = it obeyed."""
        if self.confirmed_w is None:
            return ("refused",)
        found = []
        span_w = abs(self.to_w - self.from_w)
        gone = (
            None
            if self.held_w is None or not span_w
            else (self.held_w - self.from_w) / (self.to_w - self.from_w)
        )
        if gone is not None and gone < -MOVED_SHARE:
            found.append("wrong_way")
        elif span_w and self.moved_s is None:
            found.append("not_moved")
        elif span_w and self.arrived_s is None:
            found.append("not_arrived")
        if self.held_w is not None and abs(self.held_w - self.confirmed_w) > HELD_SHARE * max(
            span_w, abs(self.to_w)
        ):
            found.append("not_held")
        if self.meter_w is not None and abs(self.meter_w + (self.to_w - self.from_w)) > METER_SHARE * span_w:
            found.append("meter_disagrees")
        return tuple(found)


async def connect(subject: Subject, clock: Clock, timeout_s: float = CONNECT_S) -> None:
    """Wait until the battery is known, free and read.

    Raises:
        Unreachable: it is not within `timeout_s`, with the reason.
        Rejected: it refuses.
    """
    until = clock.monotonic() + timeout_s
    while clock.monotonic() < until:
        await subject.cycle(0.8)
        if (
            subject.state is State.FREE
            and subject.reading is not None
            and subject.health.health is Health.GOOD
        ):
            return
        await asyncio.sleep(LOOK_S)
    health = subject.health
    kind = Rejected if health.health is Health.REFUSING else Unreachable
    raise kind(f"not ready within {timeout_s:g} s: {health.reason or subject.state}")


class StepTest:
    """One run of steps.

    Args:
        subject: the battery; its `run()` is under way.
        outcomes: filled by the battery with what became of orders.
        witness: a meter that sees it.
        clock: the shell's clock.
        hold_s: how long each step is held.
    """

    def __init__(
        self,
        subject: Subject,
        outcomes: list[Outcome],
        *,
        clock: Clock,
        hold_s: float,
        witness: Witness | None = None,
    ) -> None:
        self._subject, self._outcomes, self._clock = subject, outcomes, clock
        self._hold_s, self._witness = hold_s, witness
        self._seq = 0
        self._cycled_at = 0.0

    async def run(self, steps_w: Sequence[float]) -> tuple[Step, ...]:
        """Play the steps one after the other, then release. Whatever happens, the release is ordered."""
        done = []
        try:
            for to_w in steps_w:
                done.append(await self._step(to_w))
                if done[-1].confirmed_w is None:
                    break
        finally:
            self._subject.order(None)
            await self._watch(min(3.0, self._hold_s))
        return tuple(done)

    async def _step(self, to_w: float) -> Step:
        before = await self._watch(1.0)
        from_w = before[-1].discharge_w if before else 0.0
        self._outcomes.clear()
        self._seq += 1
        ordered_at = self._clock.utc()
        self._subject.order(
            DeviceOrder(epoch=1, seq=self._seq, discharge_w=to_w, deadline_at=ordered_at + self._hold_s)
        )
        samples = await self._watch(self._hold_s)
        return self._judged(from_w, to_w, ordered_at, before, samples)

    async def _watch(self, seconds: float) -> tuple[Sample, ...]:
        """Look at the power, with a full cycle each second."""
        start = self._clock.monotonic()
        samples: list[Sample] = []
        while (now := self._clock.monotonic()) < start + seconds:
            if now >= self._cycled_at + 1.0:
                self._cycled_at = now
                await self._subject.cycle(0.8)
                if self._witness is not None:
                    await self._witness.cycle(0.8)
            else:
                await self._subject.look(0.8)
            reading = self._subject.reading
            if reading is not None and (not samples or reading.at > samples[-1].at):
                meter = (
                    None if self._witness is None or self._witness.reading is None else self._witness.reading
                )
                import_w = None if meter is None else meter.import_w
                samples.append(Sample(at=reading.at, discharge_w=reading.discharge_w, import_w=import_w))
            await asyncio.sleep(LOOK_S)
        return tuple(samples)

    def _judged(
        self, from_w: float, to_w: float, ordered_at: float, before: Sequence[Sample], seen: Sequence[Sample]
    ) -> Step:
        obeyed = next((one for one in self._outcomes if isinstance(one, Obeyed)), None)
        refused = next((one for one in self._outcomes if not isinstance(one, Obeyed)), None)
        samples = tuple(
            Sample(at=one.at - ordered_at, discharge_w=one.discharge_w, import_w=one.import_w) for one in seen
        )
        span_w = to_w - from_w
        moved_s, arrived_s = (
            _when(samples, from_w, span_w, MOVED_SHARE),
            _when(samples, from_w, span_w, 1 - ARRIVED_SHARE),
        )
        nearly_s = _when(samples, from_w, span_w, 0.9)
        ramp_s = None if moved_s is None or nearly_s is None else nearly_s - moved_s
        last = [one.discharge_w for one in samples[len(samples) * 2 // 3 :]]
        held_w = math.fsum(last) / len(last) if last else None
        return Step(
            from_w=from_w,
            to_w=to_w,
            confirmed_w=None if obeyed is None else obeyed.discharge_w,
            refusal="" if refused is None or obeyed is not None else refused.reason,
            acknowledged_s=None if obeyed is None else obeyed.acknowledged_at - ordered_at,
            confirmed_s=None if obeyed is None else obeyed.confirmed_at - ordered_at,
            moved_s=moved_s,
            arrived_s=arrived_s,
            ramp_w_per_s=0.8 * abs(span_w) / ramp_s if ramp_s else None,
            held_w=held_w,
            ripple_w=None
            if held_w is None
            else math.sqrt(math.fsum((w - held_w) ** 2 for w in last) / len(last)),
            meter_w=_change(before, samples),
            samples=samples,
        )


def _when(samples: Sequence[Sample], from_w: float, span_w: float, share: float) -> float | None:
    """When the power had gone that share of the way; None = never, also when there is no way to go."""
    if span_w == 0:
        return None
    return next((one.at for one in samples if (one.discharge_w - from_w) / span_w >= share), None)


def _change(before: Sequence[Sample], after: Sequence[Sample]) -> float | None:
    """Change of the import from the end of one time to the end of another."""
    first = next((one.import_w for one in reversed(before) if one.import_w is not None), None)
    last = [one.import_w for one in after[len(after) * 2 // 3 :] if one.import_w is not None]
    return None if first is None or not last else math.fsum(last) / len(last) - first
