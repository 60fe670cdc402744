"""Reference plug-in `process-lever`: throttles, pauses, starts and moves real processes that live in site folders.

Entry point `process-lever`. What a job is, and what its program must be able to do, stands in `jobs.py`; how it
is kept from running twice, in `gate.py`; how a move goes, in `hands.py`; how one is throttled, in `caps.py`.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vpp_gateway.errors import ConfigError, Rejected
from vpp_gateway.southbound.workload.lever import Cadence, Lever
from vpp_gateway.southbound.workload.lever_plugin import LeverPlugin
from vpp_gateway.southbound.workload.levers import Pace, Terms
from vpp_gateway.southbound.workload.plugin import Briefing, Desk, Profile
from vpp_gateway.southbound.workload.process_lever.brake import Brake, GroupBrake, GuardBrake
from vpp_gateway.southbound.workload.process_lever.hands import ProcessHands
from vpp_gateway.southbound.workload.process_lever.jobs import folders
from vpp_gateway.southbound.workload.process_lever.patience import Patience
from vpp_gateway.southbound.workload.records import FileLedger

FIRST_PACE = Pace(pause_s=0.05, resume_s=0.05, start_s=0.5, move_s=0.5, leave_s=0.1, downtime_s=0.3)
"""Promised before anything has been measured; replaced by medians of the lever's own acts."""


class Throttle(BaseModel):
    """How jobs that say `throttlable` are throttled."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    share: float = Field(ge=0.05, le=0.95)
    """What is left to each of its duty."""
    cgroup: str | None = None
    """Absolute folder of a cgroup with the CPU controller that this plug-in may write: the kernel throttles.
    None: a guard process throttles with SIGSTOP and SIGCONT. Change it while nothing is throttled."""
    cost: float = Field(default=1.5, ge=0)


class Config(BaseModel):
    """Settings of the plug-in, `config:` in the site file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    root: str
    """Absolute folder that holds one folder a site."""
    slots: dict[str, int] = Field(default_factory=dict)
    """Most jobs at a site, running or paused; a site not named takes `slots_default`."""
    slots_default: int = Field(default=8, ge=0, le=10_000)
    valid_s: float = Field(default=300.0, ge=1, le=86_400)
    """How long an offer stands."""
    sustain_s: float = Field(default=4 * 3600.0, gt=0)
    min_dwell_s: float = Field(default=0.0, ge=0)
    sla_tier: int = Field(default=0, ge=0, le=9)
    """How much was promised to the owners of these jobs: 0 is called first."""
    pause_cost: float = Field(default=2.0, ge=0)
    move_cost: float = Field(default=1.0, ge=0)
    absorb_cost: float = Field(default=1.0, ge=0)
    throttle: Throttle | None = None
    """None: jobs are paused and moved, never throttled."""
    checkpoint_s: float = Field(default=5.0, gt=0, le=600)
    """Most time for a job to write its checkpoint and exit."""
    watch_s: float = Field(default=0.5, gt=0, le=60)
    """How often the jobs are looked at."""


def build(briefing: Briefing, desk: Desk) -> tuple[Lever, Profile]:
    """The lever on real processes, as configured. Raises ConfigError."""
    config = _config(briefing)
    _check_folders(config, briefing)
    ledger = FileLedger(Path(briefing.state_dir) / "orders.json")
    if not any(record.open for record in ledger.load().records.values()):
        _check_jobs(
            config, briefing
        )  # a life that has orders to give back begins with whatever jobs are good
    patience = Patience(checkpoint_s=config.checkpoint_s)
    throttle = config.throttle
    lever = Lever(
        hands=ProcessHands(Path(config.root), briefing.sites, desk.clock, patience, _brake(config)),
        terms=Terms(
            plugin=briefing.name,
            slots={site: config.slots.get(site, config.slots_default) for site in briefing.sites},
            valid_s=config.valid_s,
            sustain_s=config.sustain_s,
            min_dwell_s=config.min_dwell_s,
            sla_tier=config.sla_tier,
            pause_cost=config.pause_cost,
            move_cost=config.move_cost,
            absorb_cost=config.absorb_cost,
            cap_share=None if throttle is None else throttle.share,
            cap_cost=0.0 if throttle is None else throttle.cost,
        ),
        pace=FIRST_PACE,
        ledger=ledger,
        desk=desk,
        cadence=Cadence(watch_s=config.watch_s),
        fence=briefing.fence,
    )
    schema = Config.model_json_schema()
    return lever, Profile(sites=briefing.sites, fail_state="hold", config_schema=schema)


def _brake(config: Config) -> Brake:
    """What throttles. Raises ConfigError when the cgroup is not one or may not be written."""
    if config.throttle is None or config.throttle.cgroup is None:
        return GuardBrake()
    try:
        return GroupBrake(Path(config.throttle.cgroup))
    except Rejected as error:
        raise ConfigError(f"config.throttle.cgroup: {error}") from error


def _config(briefing: Briefing) -> Config:
    try:
        config = Config.model_validate(briefing.config)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(["config", *(str(part) for part in fault["loc"])])
        raise ConfigError(f"{where}: {fault['msg']}, found {fault['input']!r}") from error
    unknown = set(config.slots) - set(briefing.sites)
    if unknown:
        raise ConfigError(
            f"config.slots: {', '.join(sorted(unknown))} is no site of this plug-in; allowed are "
            f"{', '.join(briefing.sites)}"
        )
    negative = [site for site, count in config.slots.items() if count < 0]
    if negative or not Path(config.root).is_absolute():
        raise ConfigError(
            f"config.slots.{negative[0]}: must be 0 or more"
            if negative
            else f"config.root: {config.root!r} is not an absolute path"
        )
    return config


def _check_folders(config: Config, briefing: Briefing) -> None:
    for site in briefing.sites:
        folder = Path(config.root) / site
        if not folder.is_dir():
            raise ConfigError(f"config.root: {folder} is not a folder; one is needed for each site")
    if not briefing.state_dir or not Path(briefing.state_dir).is_dir():
        raise ConfigError(f"state_dir: {briefing.state_dir!r} is not a folder")


def _check_jobs(config: Config, briefing: Briefing) -> None:
    """Raises ConfigError on the first bad job."""
    for folder in folders(Path(config.root), briefing.sites):
        _ = folder.run


def plugin() -> LeverPlugin:
    """The entry point."""
    return LeverPlugin(build)


__all__ = ["Config", "build", "plugin"]
