"""The numbers that steer dispatch; all from settings, none in the code of the loop."""

from __future__ import annotations

from dataclasses import dataclass

from vpp_gateway.portfolio.outlook import Armed


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingPolicy:
    """When the plan of the hour is made, and what it keeps."""

    every_s: float = 10.0
    """At most this long between two plans while an instruction is in force or begins soon."""
    ahead_s: float = 5400.0
    """So far it looks; it is made while an instruction is in force or begins within it, or a product is armed."""
    steps: int = 48
    bridge_s: float = 300.0
    """While an instruction lasts, its batteries keep what carries it alone for so long."""
    wanted_soc: float = 0.5
    """Where batteries should stand when it is over, 0..1."""
    recharge_share: float = 0.0
    """Share of its rating at which a battery goes back there when nothing is in force or near; 0 = it is left alone."""
    armed: tuple[Armed, ...] = ()
    """Products that may be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How the operator wants the portfolio to be dispatched."""

    baseline_window_s: float = 60.0
    """Length of the window before the start whose mean load is the baseline."""
    opt_in_at_least: float = 0.9
    """Opt in when at least this share of the target can be delivered for its whole duration."""
    bridge_reserve: float = 0.5
    """Share of battery power kept free for bridging and correction while workloads can carry the rest (0..1)."""
    prepare_lead_s: float = 5.0
    """How long before a phase starts workload shifts are planned and prepared."""
    replan_s: float = 5.0
    """At most this long between two plans of the workload tier while an instruction is in force."""
    shift_dwell_s: float = 300.0
    """A workload shift that stands is not taken back by a mere new plan before it was active for so long: noise
    around the batteries' easy limit must not move work to and fro. The end of its instruction ends it at once."""
    deadband: float = 0.002
    """A setpoint that changes by less than this share of the battery's rating is not sent again."""
    reversion_s: float = 30.0
    """Device reversion timer: so long after its last refresh a battery is back in local control."""
    hold_s: float = 900.0
    """An agent without the centre carries its schedule on for so long."""
    commit_within_s: float = 5.0
    """A shift order that has not begun after this is not begun any more."""
    return_within_s: float = 300.0
    """When its instruction is over, shifted work whose return would lift a site above its baseline waits for its turn,
    at most so long; 0 = all of it returns at once."""
    hold_rebound: bool = True
    """While shifted work comes back, batteries hold the import of its sites at their baseline."""
    listen_s: float = 1.0
    """After a start, the sites are heard before they are ordered anything: until all have spoken, at most so long."""
    start_grace_s: float = 10.0
    """After a start, instructions are judged by nameplates until the first readings come, at most so long."""
    rolling: RollingPolicy | None = None
    """The plan of the hour; None = the allocation of the second decides alone."""
