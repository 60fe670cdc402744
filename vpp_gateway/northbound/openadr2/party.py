"""Who we are in one room, and how the small hands of the mapping refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vpp_gateway.domain.instruction import DeviceId, RoomName, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an event cannot be taken."""

    code: str
    """453 market context, 454 data, 460 signal, 462 target."""
    reason: str
    """What was expected, what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDevice:
    """A device that the utility knows by a name of its own."""

    id: DeviceId
    site: SiteId
    level_base_w: float
    """W that a share of 1 means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Who we are in one northbound room."""

    room: RoomName
    ven_id: str
    resources: Mapping[str, SiteId]
    """resourceID -> site; a site may have several names."""
    level_base_w: Mapping[SiteId, float]
    """W that a share of 1 means, per site."""
    groups: frozenset[str] = frozenset()
    """groupIDs that we belong to, with all our sites."""
    parties: frozenset[str] = frozenset()
    """partyIDs that we are."""
    capacity_w: Mapping[SiteId, float] = field(default_factory=dict)
    """Contracted import per site, W: what a capacity of 100 % means."""
    areas: Mapping[str, tuple[SiteId, ...]] = field(default_factory=dict)
    """resourceID -> the sites of an area."""
    devices: Mapping[str, NamedDevice] = field(default_factory=dict)
    """resourceID -> a single device."""


class Refused(Exception):
    """Carries a `Refusal` out of the small hands of the mapping; never leaves it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.refusal = Refusal(code=code, reason=reason)


def first_names(resources: Mapping[str, SiteId]) -> dict[str, SiteId]:
    """One name for each site, for reports."""
    first: dict[SiteId, str] = {}
    for name, site in resources.items():
        first.setdefault(site, name)
    return {name: site for site, name in first.items()}
