"""A product of a balancing market, as its profile stands at one delivery time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NewType

ProductName = NewType("ProductName", str)
Directions = Literal["each", "down", "up", "symmetric"]
"""In which directions a bid can be: either of them, one alone, or both at once with one quantity. As everywhere, `down`
relieves the grid (regulation_w > 0; the market's 上げ調整力) and `up` takes more from it (下げ調整力)."""
Mark = Literal["primary", "secondary", "unverified"]
MARKS: tuple[Mark, ...] = ("primary", "secondary", "unverified")
"""Best first."""
Trigger = Literal["setpoint", "event", "frequency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a quantity of it asks of whoever sells it. Figures that nobody knows are left at their harmless default."""

    name: ProductName
    title: str
    title_ja: str
    directions: Directions
    trigger: Trigger
    """What calls it: a setpoint or an event of the operator, or the frequency at the site."""
    response_s: float
    """From the call to the full quantity."""
    sustain_s: float
    """How long the full quantity must be held."""
    recovery_s: float = 0.0
    """Rest after a call, before the next one may come."""
    block_s: float = 1800.0
    """Length of the block that is bid for."""
    min_bid_w: float = 0.0
    step_w: float = 0.0
    """Bids are whole multiples of it; 0 = any quantity."""
    price_cap: float | None = None
    price_unit: str = ""
    verified: Mark = "unverified"
    """The worst mark among the figures used."""
    members: tuple[Product, ...] = ()
    """Of a composite: the products that one quantity stands for; it is the greatest of theirs, not their sum."""

    @property
    def sides(self) -> tuple[Literal["down", "up"], ...]:
        """Directions that a call can have."""
        match self.directions:
            case "down":
                return ("down",)
            case "up":
                return ("up",)
            case _:
                return ("down", "up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """A quantity that the market has taken: it must be there whenever it is called in its time."""

    product: ProductName
    area: str
    direction: Literal["down", "up", "both"]
    w: float
    start_at: float
    """UTC (Unix s)."""
    end_at: float


def worst(marks: tuple[Mark, ...]) -> Mark:
    """The least trustworthy of `marks`; without any, unverified."""
    return max(marks, key=MARKS.index, default="unverified")
