"""Not believing a device at its word: three small judges, pure.

A battery that accepts a setpoint and does nothing, whose countdown stands still, or whose state of charge is
frozen looks perfect in every single reply. Only the course of its answers over time gives it away.
"""

from __future__ import annotations

from vpp_gateway.domain.fleet import Battery

FROZEN_SHARE = 0.03
"""Energy that may flow (share of the nameplate) while the reported SoC does not move at all."""
JUMP_SHARE = 0.05
"""A reported SoC that moves by so much more than the energy that flowed has jumped."""
JUMP_DOUBT_S = 60.0
"""So long after a jump the smaller of old and new is trusted: a battery that has recalibrated itself stays there."""
COUNTDOWN_SLACK_S = 2.5
"""Whole seconds on the device's side, plus the way of the read."""


class SocJudge:
    """Holds the reported state of charge against the energy that flowed."""

    def __init__(self, battery: Battery) -> None:
        self._battery = battery
        self._at: float | None = None
        self._w = 0.0
        self._reported: float | None = None
        self._stored_wh = 0.0
        self._before: float | None = None
        self._doubt_until = 0.0
        self.frozen = False
        self.jumped = 0.0
        """By how much the last report jumped, 0..1; 0 when it is not in doubt."""

    def flow(self, at: float, discharge_w: float) -> None:
        """Account for one power sample (trapezoid; after a gap of more than a minute nothing is known)."""
        if self._at is not None and 0 < at - self._at <= 60:
            wh = (self._w + discharge_w) / 2 * (at - self._at) / 3600
            efficiency = self._battery.efficiency
            stored_wh = -wh / efficiency if wh > 0 else -wh * efficiency
            self._stored_wh += stored_wh
            if self._before is not None:
                self._before += stored_wh / self._battery.energy_wh
        elif self._at is not None and at > self._at:
            self._reported = self._before = None
        self._at, self._w = at, discharge_w

    def report(self, soc: float, at: float) -> None:
        """Take what the device says; any movement of it starts the account anew.

        Args:
            soc: 0..1.
            at: UTC (Unix s).
        """
        integrated = self._integrated()
        if soc != self._reported:
            if integrated is not None and abs(soc - integrated) > JUMP_SHARE:
                self.jumped, self._before, self._doubt_until = soc - integrated, integrated, at + JUMP_DOUBT_S
            self._reported, self._stored_wh, self.frozen = soc, 0.0, False
        elif abs(self._stored_wh) > FROZEN_SHARE * self._battery.energy_wh:
            self.frozen = True
        if self._before is not None and at >= self._doubt_until:
            self.jumped, self._before = 0.0, None

    def _integrated(self) -> float | None:
        return None if self._reported is None else self._reported + self._stored_wh / self._battery.energy_wh

    def trusted(self) -> float | None:
        """The smallest of what is reported, what the energy says, and what was before a jump; None before the first report."""
        integrated = self._integrated()
        if integrated is None or self._reported is None:
            return None
        before = self._reported if self._before is None else self._before
        return max(0.0, min(self._reported, integrated, before))


class FollowJudge:
    """Does the power go where the confirmed setpoint says?"""

    def __init__(self, settle_s: float, tolerance_w: float) -> None:
        self._settle_s = settle_s
        self._tolerance_w = tolerance_w
        self._since: float | None = None
        self._best_gap_w = 0.0

    def restart(self) -> None:
        """A new setpoint was written."""
        self._since = None

    def strays(self, at: float, discharge_w: float, setpoint_w: float) -> bool:
        """True when the power is not at the setpoint and has not come nearer for `settle_s`."""
        gap_w = abs(discharge_w - setpoint_w)
        if gap_w <= self._tolerance_w:
            self._since = None
            return False
        if self._since is None or gap_w < self._best_gap_w - self._tolerance_w / 10:
            self._since, self._best_gap_w = at, gap_w
        return at - self._since >= self._settle_s


def countdown_fault(remaining_s: float | None, timer_s: float, since_refresh_s: float) -> str:
    """What is wrong with a reversion countdown, in words; empty when it runs as it should.

    Args:
        remaining_s: what the device counts down; None = not implemented.
        timer_s: what was written.
        since_refresh_s: time since the last write that restarts it was acknowledged.
    """
    if remaining_s is None or remaining_s <= 0:
        return (
            "the reversion timer does not run" if since_refresh_s < timer_s else "the reversion timer ran out"
        )
    expected_s = timer_s - since_refresh_s
    if remaining_s > expected_s + COUNTDOWN_SLACK_S:
        return f"the reversion timer stands still: {remaining_s:g} s left, expected {expected_s:.0f} s"
    if remaining_s < expected_s - COUNTDOWN_SLACK_S:
        return f"the refresh does not restart the reversion timer: {remaining_s:g} s left, expected {expected_s:.0f} s"
    return ""
