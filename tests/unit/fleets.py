"""Small portfolios for tests."""

from __future__ import annotations

from vpp_gateway.domain.fleet import Battery, Fleet, Site
from vpp_gateway.domain.instruction import (
    Delta,
    Demand,
    DeviceId,
    EventId,
    Instruction,
    InstructionId,
    Phase,
    Priority,
    RoomName,
    SiteId,
)

SITES = (SiteId("tokyo-1"), SiteId("tokyo-2"), SiteId("kanagawa-1"))


def fleet(batteries: int = 2, power_w: float = 50_000.0, energy_wh: float = 100_000.0) -> Fleet:
    """Three sites with `batteries` each."""
    return Fleet(
        sites=tuple(
            Site(
                id=id,
                name=id,
                name_ja=id,
                area="tokyo",
                meter=DeviceId(f"{id}/meter"),
                batteries=tuple(
                    Battery(
                        id=DeviceId(f"{id}/b{n}"),
                        site=id,
                        discharge_max_w=power_w,
                        charge_max_w=power_w,
                        energy_wh=energy_wh,
                    )
                    for n in range(1, batteries + 1)
                ),
                import_max_w=2_000_000.0,
                export_max_w=0.0,
            )
            for id in SITES
        )
    )


def instruction(
    name: str = "EV-1",
    *,
    demand: Demand | None = None,
    start_at: float = 1000.0,
    duration_s: float | None = 600.0,
    scope: tuple[SiteId, ...] = (),
    modification: int = 0,
    rank: int = 100,
    received_at: float = 900.0,
) -> Instruction:
    """One instruction with one phase."""
    return Instruction(
        id=InstructionId(f"tso/{name}"),
        room=RoomName("tso"),
        event_id=EventId(name),
        modification=modification,
        program="generic",
        received_at=received_at,
        phases=(
            Phase(
                start_at=start_at,
                end_at=None if duration_s is None else start_at + duration_s,
                demand=demand or Delta(regulation_w=90_000.0),
            ),
        ),
        scope=scope,
        priority=Priority(rank=rank),
    )
