"""What the author of a site plug-in writes: one object with these async methods, and an entry point that makes it.

    [project.entry-points."vpp_gateway.site_plugins"]
    my-scheduler = "my_package.vpp:plugin"         # plugin() -> SitePlugin

The runner (`serve.py`) loads it in its own process, speaks the wire and calls the methods. Rules of the house:

* Answer at once, work afterwards: `prepare`, `commit` and `rollback` take the order over and return; how it goes
  is said with `desk.shifted(...)`. The host kills what does not answer within its deadline.
* Repeating an order changes nothing. An order with a lower fence than seen before is refused.
* Offer only what can be kept, all offers together; call `desk.offer(...)` whenever that changes, and before the
  offers expire.
* You may be killed at any moment. `recover` is called after every start and says what is true, not what was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from vpp_gateway.clock import Clock
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Offer, OrderId, PluginName, ShiftOrder, ShiftState
from vpp_gateway.southbound.workload.contract import OrderStatus, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """What a plug-in is told first."""

    name: PluginName
    sites: tuple[SiteId, ...]
    config: dict[str, Any]
    state_dir: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a plug-in says of itself."""

    sites: tuple[SiteId, ...]
    fail_state: Literal["hold", "revert"]
    revert_after_s: float | None = None
    config_schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Order taken over, or refused and why."""

    accepted: bool
    reason: str = ""


class Desk(Protocol):
    """The plug-in's line to the host, for everything it says unasked. Nothing here blocks."""

    @property
    def clock(self) -> Clock:
        """Time, also virtual time; ask no other clock."""
        ...

    def offer(self, offers: Sequence[Offer]) -> None:
        """Publish all offers that stand now; they replace the earlier ones."""
        ...

    def shifted(self, order: OrderId, state: ShiftState, reason: str = "") -> None:
        """An order changed its state."""
        ...

    def measured(self, samples: Sequence[Sample]) -> None:
        """Newest power of the workload, at most one sample a site."""
        ...


class SitePlugin(Protocol):
    """A site plug-in."""

    async def hello(self, briefing: Briefing, desk: Desk) -> Profile:
        """Take the configuration over. Raise ConfigError when it is wrong: the text reaches the operator."""
        ...

    async def run(self) -> None:
        """Work until cancelled: watch the workload, publish offers and samples. Starts after `recover`."""
        ...

    async def prepare(self, order: ShiftOrder) -> Answer:
        """Get ready, cancellably: warm up, copy ahead. Ends in PREPARED or FAILED."""
        ...

    async def commit(self, order: ShiftOrder) -> Answer:
        """Shift now. Ends in ACTIVE or FAILED; FAILED means that nothing of it remains."""
        ...

    async def rollback(self, order: ShiftOrder) -> Answer:
        """Give back what the order did, or drop what was prepared. Ends in RETURNED."""
        ...

    async def status(self, order: OrderId) -> OrderStatus | None:
        """Where an order stands; None = not known."""
        ...

    async def recover(self, orders: Sequence[ShiftOrder], fence: int) -> Sequence[OrderStatus]:
        """The host's open orders; says the true state of these and of any other order still held."""
        ...

    async def estop(self) -> Answer:
        """Give every order back, begin nothing until the next hello. Answers within 1 s, repeatable."""
        ...


PluginFactory = Callable[[], SitePlugin]
"""What an entry point names: a class or function without arguments."""
