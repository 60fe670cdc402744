"""Health of a parent: the worst of its children, with the reason of that child.

    meter good        \\
    battery-1 good     >  site refusing, "battery-2: local control is on"
    battery-2 refusing/

A device that another one stands in for costs a warning, whatever is wrong with it:

    meter lost, the check meter is followed      site warning, "meter: no connection; its check meter is followed"

Never green over a fault: `status.SiteView` refuses a health that is better than its children's. And the question
of `/readyz`: could this gateway deliver if an event started now? `status.Status` is all that it looks at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

from vpp_gateway.domain.reading import Health

WORSE: tuple[Health, ...] = (Health.GOOD, Health.STALE, Health.REFUSING, Health.IMPLAUSIBLE, Health.LOST)
"""From best to worst: what still speaks truth and obeys comes before what does not."""
SiteHealth = Health | Literal["warning"]
"""warning = delivers in full, but a device that another one stands in for has failed."""


class Child(Protocol):
    """A meter or battery as the roll-up sees it."""

    @property
    def id(self) -> str: ...
    @property
    def health(self) -> Health: ...
    @property
    def reason(self) -> str: ...


def severity(health: SiteHealth) -> int:
    """Rank of a health, 0 = good; larger is worse, and a warning is the least bad."""
    return 1 if health == "warning" else 2 * WORSE.index(health)


def worst(children: Iterable[Child], replaced: Iterable[Child] = ()) -> tuple[SiteHealth, str]:
    """Worst health of `children` and its reason, which names the child; good and "" for none.

    Of equally bad children the first one speaks.

    Args:
        children: Devices that count in full.
        replaced: Devices that another one stands in for: whatever their state, a warning at most.
    """
    health: SiteHealth = Health.GOOD
    reason = ""
    for child in children:
        if severity(child.health) > severity(health):
            health, reason = child.health, f"{child.id}: {child.reason or child.health}"
    for child in replaced:
        if health is Health.GOOD and child.health is not Health.GOOD:
            health, reason = "warning", f"{child.id}: {child.reason or child.health}"
    return health, reason


def site_health(
    *, linked: bool, link_reason: str, children: Iterable[Child], replaced: Iterable[Child] = ()
) -> tuple[SiteHealth, str]:
    """Health of a site: lost without its agent (devices cannot be judged then), else the worst of its devices."""
    if not linked:
        return Health.LOST, link_reason or "the site agent is not connected"
    return worst(children, replaced)
