"""What an instruction asks against the baselines of its sites, and what counts for it there.

    site      shown nb = baseline - load            of everything but batteries that we can read
              delivered = nb + its batteries        so at the meter, with all of them: baseline - import
    device    delivered = discharge_w by its own reading, against 0

Each watt counts for one instruction alone: what a device gives that another instruction rules is not counted with its
site, for a setpoint too, though the meter shows the sum. Else the site would undo what its device was told.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.sites import Sites, SiteState
from vpp_gateway.domain.instruction import (
    Delta,
    Demand,
    DeviceId,
    InstructionId,
    Level,
    Limit,
    Multiplier,
    Setpoint,
    SiteId,
)
from vpp_gateway.portfolio.timeline import InForce


def usual_w(state: SiteState) -> float | None:
    """What the baseline of a site would be if an instruction started now, W."""
    mean = state.window.mean_w()
    return state.load_w if mean is None else mean


@dataclass(slots=True)
class Baselines:
    """Baseline per instruction and site, frozen when the instruction starts."""

    _frozen: dict[InstructionId, dict[SiteId, float]] = field(default_factory=dict)

    def of(self, instruction: InstructionId, state: SiteState) -> float | None:
        """Baseline import of one site, W: frozen, or what it would be if the instruction started now."""
        frozen = self._frozen.get(instruction, {}).get(state.site.id)
        if frozen is not None:
            return frozen
        return usual_w(state)

    def freeze(self, instruction: InstructionId, states: Iterable[SiteState]) -> None:
        """Fix the baseline of sites that have none yet for this instruction."""
        known = self._frozen.setdefault(instruction, {})
        for state in states:
            value = self.of(instruction, state)
            if state.site.id not in known and value is not None:
                known[state.site.id] = value

    def frozen(self, instruction: InstructionId) -> Mapping[SiteId, float]:
        """What is frozen for it, W of import by site."""
        return self._frozen.get(instruction, {})

    def knows(self, instruction: InstructionId) -> bool:
        """Whether something is frozen for it."""
        return instruction in self._frozen

    def forget(self, instruction: InstructionId) -> None:
        self._frozen.pop(instruction, None)


def regulation_asked_w(demand: Demand, baseline_w: float) -> float:
    """A demand as regulation against the summed baseline of its sites, W."""
    match demand:
        case Delta(regulation_w=w) | Level(regulation_w=w):
            return w
        case Setpoint(import_w=w):
            return baseline_w - w
        case Multiplier(factor=share):
            return baseline_w * (1.0 - share)
        case Limit():
            raise ValueError("a limit bounds the others, it asks for nothing")


def asked_of_w(
    instruction: InstructionId, demand: Demand, states: Iterable[SiteState], baselines: Baselines
) -> float | None:
    """What a demand asks of these sites as regulation, W; None while that cannot be known.

    Only a setpoint and a multiplier need to know what their sites would take: with one of them unheard of, the
    difference to it would be a number of the wrong size, even of the wrong sign.
    """
    if not isinstance(demand, Setpoint | Multiplier):
        return regulation_asked_w(demand, 0.0)
    known = [baselines.of(instruction, state) for state in states]
    if any(baseline is None for baseline in known):
        return None
    return regulation_asked_w(demand, math.fsum(w for w in known if w is not None))


def spoken_of(row: InForce) -> tuple[SiteId, ...]:
    """Sites whose baselines decide what an instruction asks.

    An import is asked of the whole scope: a site that a more urgent one took counts as its baseline, neither as what it
    gives for that one nor as nothing. So what is asked of the rest stays what it was, like a change that is asked outright.

    A share is asked of each site of its own load: one that a more urgent instruction took gives no share, and the rest give
    theirs and no more. Else a factor of 0 would ask the rest for what the lost site takes, which no load can give.
    """
    if not isinstance(row.phase.demand, Setpoint):
        return row.sites
    return (*row.sites, *(site for site, _ in row.lost))


def asked_in_force_w(row: InForce, sites: Sites, baselines: Baselines) -> float | None:
    """What a demand in force asks of the sites that it rules, W; None while that cannot be known."""
    states = (sites[id] for id in spoken_of(row))
    return asked_of_w(row.instruction.id, row.phase.demand, states, baselines)


def shown_w(
    instruction: InstructionId,
    state: SiteState,
    baselines: Baselines,
    now: float,
    policy: Policy,
    without: Collection[DeviceId] = (),
) -> float:
    """Regulation that one site shows of everything but the batteries we can read, W.

    Args:
        without: Batteries that give for another instruction: of a lost site, they are not credited here.
    """
    baseline = baselines.of(instruction, state)
    if baseline is None or state.load_w is None:
        return 0.0
    return baseline - state.load_w + state.credit_w(now, policy, without)


def delivered_w(
    instruction: InstructionId,
    state: SiteState,
    baselines: Baselines,
    now: float,
    policy: Policy,
    without: Collection[DeviceId] = (),
) -> float:
    """Regulation that one site delivers at its meter against its baseline, W; what `without` gives is not in it."""
    battery = state.held_w(now, policy, without) if state.linked else 0.0
    return shown_w(instruction, state, baselines, now, policy, without) + battery


def given_alone_w(row: InForce, sites: Sites, now: float, policy: Policy) -> dict[SiteId, float]:
    """What devices that an instruction rules alone give by their own readings, by site, W."""
    given: dict[SiteId, float] = {}
    for device in row.devices:
        state = sites[sites.batteries[device].site]
        given[state.site.id] = given.get(state.site.id, 0.0) + state.alone_w(device, now, policy)
    return given
