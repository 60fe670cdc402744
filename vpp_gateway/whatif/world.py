"""What a play is made of, as values: the sites' loads and suns, the work, what fails, what is asked. All times from its start.

A play begins with a warm-up, in which baselines are measured and nothing is asked; second 0 comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Demand, SiteId
from vpp_gateway.sim.model_site import Curve
from vpp_gateway.sim.model_work import WorkSpec

WORK = "work"
"""The one plug-in that stands for all modelled work."""
LOAD_SHARE = 0.6
"""Of the contracted import: the load of a site of which nothing else is said."""
FAULTS: Mapping[str, tuple[str, ...]] = {
    "battery": ("dead", "silent", "refusing"),
    "meter": ("dead", "stuck", "reversed"),
    "plug-in": ("dead", "liar"),
    "planner": ("dead",),
    "link": ("cut",),
    "site": ("agent", "power"),
}
"""What can fail -> how, the first of them where nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteModel:
    """One site as it is modelled, W."""

    load: Curve
    """(s from the start, W): load without noise."""
    noise_w: float = 0.0
    """Standard deviation of the noise on the load (Ornstein-Uhlenbeck)."""
    noise_tau_s: float = 120.0
    pv: Curve = ()
    """(s from the start, W): what the sun would give."""
    soc: float = 0.5
    """State of charge of its batteries at the start, 0..1."""
    check_read_by: SiteId | None = None
    """The site whose agent reads its check meter; None = its own agent does, where it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One event."""

    name: str
    start_s: float
    duration_s: float
    demand: Demand
    scope: tuple[SiteId, ...] = ()
    """Empty = the whole portfolio."""
    rank: int = 100
    """Priority, 0 is most urgent."""
    received_s: float = 0.0
    """When the gateway receives it; it may have begun by then."""
    said: str = ""
    """As the operator wrote it."""

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s

    @property
    def begins_s(self) -> float:
        """From when on it can be carried out: its start, or its receipt where that is later."""
        return max(self.start_s, self.received_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something fails for a while."""

    at_s: float
    what: str
    """A key of FAULTS."""
    how: str
    """One of its values."""
    where: str
    """Site or device id; the plug-in has no other name than WORK."""
    for_s: float | None = None
    """None = to the end of the play."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that can be so, but is seldom meant."""

    code: str
    """Key of its text in the catalogue, `whatif.notice.…`."""
    values: tuple[tuple[str, str], ...] = ()
    """Fill the text's placeholders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Everything that decides how a play goes: the same play gives the same course."""

    name: str
    fleet: Fleet
    policy: Policy
    sites: Mapping[SiteId, SiteModel]
    work: tuple[WorkSpec, ...] = ()
    asked: tuple[Asked, ...]
    faults: tuple[Fault, ...] = ()
    seed: int = 1
    after_s: float = 60.0
    """It goes on so long after the last event."""
    ramp_share_per_s: float = 2.0
    """What a battery's power can change in a second, as a share of its rating."""
    refresh_hold_s: float = 900.0
    """How long an agent without the centre carries on an order without end."""
    assumed: tuple[str, ...] = field(default=())
    """What was assumed because nobody said it, as keys of the catalogue."""
    notices: tuple[Notice, ...] = ()
    """What of it can be so, but is seldom meant."""

    @property
    def warm_up_s(self) -> float:
        """Before second 0: the baseline window, and a little."""
        return self.policy.baseline_window_s + 10.0

    @property
    def end_s(self) -> float:
        return end_of(self.asked, self.after_s)

    def scope_of(self, asked: Asked) -> tuple[SiteId, ...]:
        """The sites that an event speaks of."""
        return asked.scope or tuple(site.id for site in self.fleet.sites)


def end_of(asked: Sequence[Asked], after_s: float) -> float:
    """How long a play lasts, s: to the end of its last event, and `after_s` more."""
    return max((row.end_s for row in asked), default=0.0) + after_s
