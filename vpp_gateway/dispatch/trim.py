"""A slow trim takes out what a constant error of batteries or meters leaves, so that the mean of the samples meets the
target and not only the model.

    asked 240 kW, batteries give 94 %      error 14 kW   ->  the share grows to 6.4 %, and 240 kW arrive
    asked  30 kW in the next phase                       ->  6.4 % of 30 kW are added, 30 kW arrive from the start

It is an integrator, and what it holds is a share of what is asked: the error that it is for (a gain, losses between the
device's own reading and the PCC) grows with the power. So it never adds more than `TRIM_REACH` of what is asked in the
phase in force, whatever was asked before. Each direction has its own: losses make a battery give too little when it
discharges and take too much when it charges.

It learns from errors that it can mend and that last, and from no others:

- not before the slowest battery can have followed a change of what is asked, of its sites or of its devices;
- not from an error beyond `TRIM_BAND`: something has just happened, the allocation of this second answers it;
- not towards more while the plan that was measured was short already: no room would come of it, and all that was wound
  up would be delivered on top when the room comes back (anti-windup by conditional integration). Unlearning goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import DeviceId, InstructionId, Phase, SiteId
from vpp_gateway.domain.quantity import clamp
from vpp_gateway.portfolio.timeline import InForce

TRIM_GAIN = 0.1
"""Share of an error that is taken over each second."""
TRIM_REACH = 0.1
"""The trim never exceeds this share of what is asked."""
TRIM_BAND = 0.25
"""A larger error than this share of what is asked is a change in progress, not a bias."""
TRIM_SETTLE_S = 3.0
"""Nothing is learned so long after a change, however fast the batteries are."""

_Asked = tuple[Phase, tuple[SiteId, ...], tuple[DeviceId, ...], tuple[DeviceId, ...]]


@dataclass(slots=True)
class Trims:
    """What was learned of each instruction in force.

    Args:
        batteries: Of the whole portfolio, for the time that a change takes them.
    """

    batteries: Mapping[DeviceId, Battery]
    _shares: dict[tuple[InstructionId, bool], float] = field(default_factory=dict)
    """By instruction and direction (True = down), shares of what is asked."""
    _settled: dict[InstructionId, tuple[_Asked, float]] = field(default_factory=dict)
    """What is asked of whom, and from when on that is no change any more (UTC, Unix s)."""

    def trimmed_w(self, id: InstructionId, asked_w: float) -> float:
        """What is to be asked for so that `asked_w` arrives, W of regulation."""
        return asked_w * (1.0 + self._shares.get((id, asked_w > 0.0), 0.0))

    def learn(self, row: InForce, asked_w: float, error_w: float, short_w: float, now: float) -> None:
        """Take in one second.

        Args:
            asked_w: Regulation that `row` asked for.
            error_w: asked - delivered, W.
            short_w: What the plan that was measured could not get, signed like what it looked for; 0 = nothing.
        """
        id = row.instruction.id
        settling = now < self._settled_at(row, now)
        if settling or abs(error_w) > TRIM_BAND * abs(asked_w) or asked_w == 0.0 or error_w * short_w > 0.0:
            return
        key = (id, asked_w > 0.0)
        share = self._shares.get(key, 0.0) + TRIM_GAIN * error_w / asked_w
        self._shares[key] = clamp(share, -TRIM_REACH, TRIM_REACH)

    def keep_only(self, ids: Collection[InstructionId]) -> None:
        """Forget what was learned of instructions that are in force no more."""
        self._shares = {key: share for key, share in self._shares.items() if key[0] in ids}
        self._settled = {id: known for id, known in self._settled.items() if id in ids}

    def _settled_at(self, row: InForce, now: float) -> float:
        asked = (row.phase, row.sites, row.devices, row.without)
        known = self._settled.get(row.instruction.id)
        if known is None or known[0] != asked:
            giving = (b for b in self.batteries.values() if row.has(b.id, b.site))
            known = self._settled[row.instruction.id] = (asked, now + _follow_s(giving))
        return known[1]


def _follow_s(batteries: Iterable[Battery]) -> float:
    """So long the slowest of them may be on its way from one end to the other, and a second until it is read."""
    slowest_s = max((battery.response_s + _ramp_s(battery) for battery in batteries), default=0.0)
    return max(TRIM_SETTLE_S, slowest_s + 1.0)


def _ramp_s(battery: Battery) -> float:
    if battery.ramp_w_per_s is None:
        return 0.0
    return (battery.discharge_max_w + battery.charge_max_w) / battery.ramp_w_per_s
