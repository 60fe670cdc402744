"""What the virtual house stands in: three sites with their devices and their work, and the operator's settings for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.settings import Settings
from vpp_gateway.sim.field import BatterySpec, FieldSpec, MeterSpec, PvSpec, SimField, SiteSpec
from vpp_gateway.southbound.workload.levers import Job, JobId, JobState

SITES = ("tokyo-1", "tokyo-2", "kanagawa-1")
LOAD_W = 400_000.0
POWER_W = 50_000.0
ENERGY_WH = 100_000.0
PV_PEAK_W, PV_LONGITUDE_DEG = 200_000.0, -33.0
"""There it is about noon when the days of `tests.house.day` begin."""
JOBS, JOB_W, SLOTS = 6, 10_000.0, 10
"""Per site: jobs that run, W of each, and how many fit."""


def field_spec(
    seed: int,
    sigma_w: float = 0.0,
    batteries: int = 2,
    work: bool = False,
    tau_s: float = 60.0,
    checked: bool = False,
    sunny: bool = False,
) -> FieldSpec:
    """Three sites with their devices, with check meters or without; of the load, the jobs bring their own part.

    Args:
        sunny: the first site has a PV plant, with a meter of its own.
    """
    return FieldSpec(
        seed=seed,
        sites=tuple(
            SiteSpec(
                id=site,
                load_w=LOAD_W - (JOBS * JOB_W if work else 0.0),
                sigma_w=sigma_w,
                tau_s=tau_s,
                meter=MeterSpec(id=f"{site}-meter"),
                check_meter=MeterSpec(id=f"{site}-check") if checked else None,
                pv=_pv(site) if sunny and site == SITES[0] else None,
                batteries=tuple(
                    BatterySpec(
                        id=f"{site}-b{n}",
                        discharge_max_w=POWER_W,
                        charge_max_w=POWER_W,
                        energy_wh=ENERGY_WH,
                        ramp_w_per_s=2 * POWER_W,
                    )
                    for n in range(1, batteries + 1)
                ),
            )
            for site in SITES
        ),
    )


def _pv(site: str) -> PvSpec:
    return PvSpec(peak_w=PV_PEAK_W, longitude_deg=PV_LONGITUDE_DEG, meter=MeterSpec(id=f"{site}-pv"))


def jobs() -> list[Job]:
    """The work: six jobs at each site that run and may be moved or paused, one that waits."""
    return [
        Job(
            id=JobId(f"{site}-job-{n}"),
            site=SiteId(site),
            declared_w=JOB_W,
            state=JobState.RUNNING if n < JOBS else JobState.QUEUED,
            movable=True,
            deferrable=True,
        )
        for site in SITES
        for n in range(JOBS + 1)
    ]


def settings_of(
    field: SimField,
    spec: FieldSpec,
    state_dir: Path,
    feeders: Mapping[str, object] | None = None,
    pv_profile: str = "",
    **more: object,
) -> Settings:
    """The operator's settings for a simulated field; a check meter is read by the agent of the next site.

    Args:
        feeders: of a site, by its id.
        pv_profile: by which a PV meter is read; "" = none is.
    """

    def device(id: str, profile: str) -> dict[str, object]:
        host, port = field.address(id)
        return {"id": id, "profile": profile, "host": host, "port": port}

    return Settings.model_validate(
        {
            "gateway": {"name": "house", "state_dir": state_dir, "simulated": True},
            "sites": [
                {
                    "id": site.id,
                    "name": site.id,
                    "name_ja": site.id,
                    "area": "tokyo",
                    "import_max_kw": 2000.0,
                    "export_max_kw": 0.0,
                    "feeders": (feeders or {}).get(site.id, []),
                    "meter": device(site.meter.id, "sunspec-meter"),
                    "check_meter": None
                    if site.check_meter is None
                    else {**device(site.check_meter.id, "sunspec-meter"), "read_by": reader.id},
                    "pv_meter": device(site.pv.meter.id, pv_profile)
                    if pv_profile and site.pv is not None and site.pv.meter is not None
                    else None,
                    "batteries": [
                        {
                            **device(battery.id, "sunspec-700-battery"),
                            "discharge_max_kw": battery.discharge_max_w / 1000,
                            "charge_max_kw": battery.charge_max_w / 1000,
                            "energy_kwh": battery.energy_wh / 1000,
                        }
                        for battery in site.batteries
                    ],
                }
                for site, reader in zip(spec.sites, (*spec.sites[1:], spec.sites[0]), strict=True)
            ],
            "dispatch": {"baseline_window_s": 60.0},
            **more,
        }
    )
