"""The answers of the timeline: who rules what, which limits bind, and for how long nothing changes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from vpp_gateway.domain.instruction import DeviceId, Instruction, InstructionId, Phase, SiteId
from vpp_gateway.portfolio.sweep import Sweep, Taken


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One instruction that rules some sites or devices at a moment."""

    instruction: Instruction
    phase: Phase
    sites: tuple[SiteId, ...]
    """Sites it rules from the grid connection on; a part of its scope where a more urgent one took the others."""
    lost: tuple[tuple[SiteId, InstructionId], ...]
    """Sites of its scope that another instruction took, and which one."""
    devices: tuple[DeviceId, ...] = ()
    """Devices it rules alone, at other sites than `sites`."""
    lost_devices: tuple[tuple[DeviceId, InstructionId], ...] = ()
    """Devices of its scope that another instruction took, alone or with their site, and which one."""

    @property
    def without(self) -> tuple[DeviceId, ...]:
        """Devices that give for somebody else, also where the site is ours."""
        return tuple(device for device, _ in self.lost_devices)

    def has(self, device: DeviceId, site: SiteId) -> bool:
        """Whether it rules this device, alone or with its site."""
        return device in self.devices or (site in self.sites and device not in self.without)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The tightest limits in force at one place."""

    site: SiteId
    device: DeviceId | None = None
    """None = at the grid connection; else import is what this device charges, export what it discharges."""
    import_max_w: float | None
    export_max_w: float | None
    import_by: InstructionId | None
    """Whose limit it is."""
    export_by: InstructionId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of time in which nothing changes about who rules what, nor about a limit that binds."""

    start_at: float
    end_at: float | None
    """None = never, as far as is known."""
    rows: tuple[InForce, ...]
    bounds: tuple[Bound, ...]


def rules(sweep: Sweep) -> tuple[InForce, ...]:
    """Who rules what where a sweep stands, the most urgent first."""
    return tuple(map(in_force, sweep.ruling()))


def in_force(taken: Taken) -> InForce:
    """One row in the words of the portfolio."""
    row, mine, lost = taken
    return InForce(
        instruction=row.instruction,
        phase=row.phase,
        sites=tuple(site for site, device in mine if device is None),
        lost=tuple((site, by) for (site, device), by in lost if device is None),
        devices=tuple(device for _, device in mine if device is not None),
        lost_devices=tuple((device, by) for (_, device), by in lost if device is not None),
    )


def limits(sweep: Sweep) -> tuple[Bound, ...]:
    """What binds where a sweep stands, in the order of places."""
    rows = []
    bounded = {place for bounds in (sweep.imports, sweep.exports) for place, found in bounds.items() if found}
    for place in sorted(bounded, key=lambda one: (one[0], one[1] or "")):
        import_max_w, import_by = (sweep.imports.get(place) or _OPEN)[0]
        export_max_w, export_by = (sweep.exports.get(place) or _OPEN)[0]
        rows.append(
            Bound(
                site=place[0],
                device=place[1],
                import_max_w=import_max_w,
                export_max_w=export_max_w,
                import_by=import_by,
                export_by=export_by,
            )
        )
    return tuple(rows)


_OPEN: list[tuple[float | None, InstructionId | None]] = [(None, None)]


def ends_of(rows: Iterable[InForce]) -> dict[SiteId, float]:
    """When what rules a site is over, UTC (Unix s); inf = open."""
    return {
        site: math.inf if row.instruction.end_at is None else row.instruction.end_at
        for row in rows
        for site in row.sites
    }
