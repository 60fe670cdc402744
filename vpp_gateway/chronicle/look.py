"""One second of one instruction as values: what was asked, who gave what and why, what bound, what was left aside."""

from __future__ import annotations

from dataclasses import dataclass

from vpp_gateway.domain.instruction import DeviceId, InstructionId, Limit, Phase, SiteId
from vpp_gateway.domain.order import OrderId
from vpp_gateway.domain.plan import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryLook:
    """One battery."""

    id: DeviceId
    site: SiteId
    regulation_w: float
    """Its share, as ordered, W, signed: > 0 relieves the grid."""
    room_w: float
    """The most it could give in this direction, W (>= 0)."""
    energy_wh: float
    """What it can spare in this direction; shares go by it."""
    soc: float | None
    """0..1; None: it cannot be used."""
    trouble: str
    """Why it cannot be used, in English; empty when it can."""
    reason: Reason
    """Why it is ordered what it is ordered."""
    given_w: float | None = None
    """What it gives by its own reading, W, signed; None: there is none."""

    @property
    def reason_named(self) -> Reason:
        """The same with the battery's own name in it, to be said as a sentence."""
        if self.trouble:
            values = (("device", self.id), ("site", self.site), ("why", self.trouble))
            return Reason(code="share.unusable", values=values)
        return Reason(code=self.reason.code, values=(("device", self.id), *self.reason.values))

    @property
    def state(self) -> str:
        """full | bridging | no_room | fine."""
        code = self.reason.code.removeprefix("share.")
        return code if code in ("full", "bridging", "no_room") else "fine"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLook:
    """One site that the instruction rules."""

    id: SiteId
    linked: bool
    alone: bool
    """It is not linked, and its agent is taken to carry on by itself."""
    trouble: str
    """Why it is not linked, in English; empty when it is."""
    meter: str
    """"" | lost | stuck | reversed | check (the check meter counts instead) | apart (the two differ)."""
    baseline_w: float | None
    import_w: float | None
    delivered_w: float
    cap_w: float
    """The most that its grid connection passes of what batteries give in this direction, W (>= 0)."""
    battery_w: float = 0.0
    """What its batteries give, W, signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLook:
    """One order to a plug-in that was made for the instruction."""

    id: OrderId
    name: str
    state: str
    """ordered | prepared | ramping | active | returning | returned | failed."""
    share: float
    """Of the offer, 0..1."""
    cost: float
    regulation_w: float
    """What it gives at the ruled sites once it is real, W, signed."""
    committed: bool
    taken_back: bool
    late_s: float | None = None
    """It was late, and taken back so long after it was ordered; None = it was not."""
    reason: str = ""
    """Why it failed, in English."""
    made_for: InstructionId | None = None
    """Another instruction, for which it was made; None: for this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One second."""

    at: float
    """UTC, Unix s."""
    phase: Phase | None
    """In force; None: nothing is asked now."""
    sites: tuple[SiteLook, ...] = ()
    """Those that it rules."""
    lost: tuple[tuple[SiteId, InstructionId], ...] = ()
    """Those of its scope that another one rules, and which."""
    order_of: tuple[tuple[InstructionId, str], ...] = ()
    """Why each of these goes before it: urgent | earlier | received | named; one that is not named is more urgent."""
    idle: bool = False
    """Others rule all of it: nothing is asked of anything, and the second does not count."""
    asked_w: float = 0.0
    """Regulation against the baseline, W, signed."""
    delivered_w: float = 0.0
    """At the meters against the baseline, W, signed."""
    battery_w: float = 0.0
    """What of it the batteries give, W, signed; the rest is workload and noise."""
    short_w: float = 0.0
    """What the batteries cannot give of what is asked of them, W, signed like it; 0 = nothing."""
    binding: tuple[Reason, ...] = ()
    """What bound."""
    batteries: tuple[BatteryLook, ...] = ()
    orders: tuple[OrderLook, ...] = ()
    called: tuple[Reason, ...] = ()
    """Levers that the plan in force calls or holds."""
    rejected: tuple[Reason, ...] = ()
    """Offers and parts of offers that it leaves, with their price."""
    plugins: tuple[tuple[str, str], ...] = ()
    """Plug-ins that offer nothing or are not called, and why in English."""

    @property
    def sign(self) -> float:
        """1 down, -1 up."""
        return -1.0 if self.asked_w < 0.0 else 1.0

    @property
    def limit(self) -> Limit | None:
        """The limit that is in force; None: it asks for something else, or for nothing."""
        demand = None if self.phase is None else self.phase.demand
        return demand if isinstance(demand, Limit) else None

    @property
    def works(self) -> bool:
        """Whether work that was ordered may show at the meters."""
        return any(order.committed and order.state not in ("failed", "returned") for order in self.orders)

    @property
    def workload_w(self) -> float:
        """Delivered less batteries, W, signed: shifts that are real, and the rest (noise); the rest alone without `works`."""
        return self.delivered_w - self.battery_w
