"""Jobs on disk: one folder a job, in the folder of the site where the job is.

    <root>/<site>/<job>/job.json      what the job is: written by its owner, never by the lever
                       /run.json      what it does: written by whoever starts, stops or moves it
                       /checkpoint    its program's state (name from job.json)
                       /...           the program's working directory: it names its files relatively
    <root>/.locks/<job>.lock          held (flock) by the running program itself, see gate.py

Moving a job renames its folder from one site to the other: that is atomic, so a job is always at exactly one site.
Open files and the working directory follow. All sites' folders must be on one file system.

A bad file costs its own job and no other: `Roll` says so once, offers nothing of it, and goes on knowing the job as it
was last good, so that what orders hold of it can be held and given back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import ConfigError
from vpp_gateway.southbound.workload.levers import JobId
from vpp_gateway.southbound.workload.process_lever import proc
from vpp_gateway.southbound.workload.records import replace_file

log = structlog.get_logger(__name__)

JOB_FILE = "job.json"
RUN_FILE = "run.json"
LOCKS = ".locks"
_Model = TypeVar("_Model", bound=BaseModel)


class JobFile(BaseModel):
    """What a job is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    job: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """Name, unique over all sites; the folder's name."""
    declared_w: float = Field(gt=0, le=1e8)
    """What it takes while it runs at its usual duty; declared by its owner."""
    movable: bool = False
    """May run at another site."""
    deferrable: bool = False
    """May be paused, and may be resumed early."""
    throttlable: bool = False
    """May be held to a share of its duty; needs `duty`."""
    argv: tuple[str, ...] = Field(min_length=1)
    """Command line, absolute program. Continues from the checkpoint when there is one; on SIGTERM writes the
    checkpoint (temporary file, fsync, rename) and exits."""
    standby_argv: tuple[str, ...] = ()
    """Added to `argv`: start up, then wait for a line on standard input before touching any file; end without it.
    Empty: the program cannot; it is started only when the job has left its source."""
    checkpoint: str = "checkpoint.json"
    output: str | None = None
    """File that grows while the job works, for the lever's confirmation; without it CPU time is looked at."""
    duty: float | None = Field(default=None, gt=0, le=64)
    """Cores it uses at `declared_w`; lets the lever model its power, and throttle it."""

    @model_validator(mode="after")
    def _a_share_of_something(self) -> JobFile:
        if self.throttlable and self.duty is None:
            raise ValueError("throttlable needs duty: a job is throttled to a share of its duty")
        return self


class RunFile(BaseModel):
    """What a job does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["running", "paused", "queued"]
    pid: int | None = None
    start_time: int | None = None
    leaving: bool = False
    """Told to checkpoint and exit: whether or not it is still there, it will not stay."""
    share: float | None = Field(default=None, gt=0, lt=1)
    """Held to this share of its duty while it runs; None: not throttled. See caps.py."""

    @property
    def throttled(self) -> bool:
        """Whether it is to run at a share of its duty."""
        return self.state == "running" and self.share is not None

    @property
    def who(self) -> proc.Ident | None:
        """The process; None when none was started."""
        if self.pid is None or self.start_time is None:
            return None
        return proc.Ident(self.pid, self.start_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A job where it is now."""

    site: SiteId
    path: Path
    job: JobFile
    sound: bool = True
    """False: its job file is bad now, and `job` is what it last said."""

    @property
    def run(self) -> RunFile:
        """What it does; queued when nobody has ever started it."""
        try:
            return _read(self.path / RUN_FILE, RunFile)
        except FileNotFoundError:
            return RunFile(state="queued")

    def write_run(self, run: RunFile) -> None:
        """Record what it does. Survives a kill of the writer; after a power loss no process is left anyway."""
        replace_file(self.path / RUN_FILE, run.model_dump_json().encode(), durable=False)

    def lock_path(self, root: Path) -> Path:
        return root / LOCKS / f"{self.job.job}.lock"


def folders(root: Path, sites: Sequence[SiteId]) -> Iterator[Folder]:
    """All jobs at `sites`, by name. Raises ConfigError, naming file and field, on a bad job file."""
    for site, path in _listed(root, sites):
        try:
            yield Folder(site=site, path=path, job=_job(path))
        except FileNotFoundError:
            continue  # moved away between listing and reading; it is found at its new site


class Roll:
    """The jobs, looked at again and again."""

    def __init__(self, root: Path, sites: Sequence[SiteId]) -> None:
        self._root = root
        self._sites = tuple(sites)
        self._good: dict[str, JobFile] = {}
        self._bad: dict[str, str] = {}

    def call(self) -> list[Folder]:
        """All jobs of which something is known, by site and name."""
        here: list[Folder] = []
        faults: dict[str, str] = {}
        for site, path in _listed(self._root, self._sites):
            try:
                folder, fault = self._known(site, path)
                _ = folder.run  # a bad one is found here, not by whoever works with the job
            except FileNotFoundError:
                continue  # as in `folders`
            except ConfigError as error:
                faults[path.name] = str(error)
                continue
            if fault:
                faults[path.name] = fault
            here.append(folder)
        self._tell(faults)
        self._good = {folder.job.job: folder.job for folder in here}
        return here

    def find(self, job: JobId) -> Folder | None:
        """Where a job is; None when it is nowhere. Raises ConfigError when it is bad and never was good."""
        for site in self._sites:
            try:
                return self._known(site, self._root / site / job)[0]
            except FileNotFoundError:
                continue
        return None

    def _known(self, site: SiteId, path: Path) -> tuple[Folder, str]:
        """The job, and what is wrong with its file."""
        try:
            job = self._good[path.name] = _job(path)
        except ConfigError as error:
            if path.name not in self._good:
                raise
            return Folder(site=site, path=path, job=self._good[path.name], sound=False), str(error)
        return Folder(site=site, path=path, job=job), ""

    def _tell(self, faults: dict[str, str]) -> None:
        """Each job once when it is lost, once when it is back."""
        for job, why in faults.items():
            if job not in self._bad:
                log.warning("job not offered", job=job, reason=why)
        for job in self._bad:
            if job not in faults:
                log.info("job good again", job=job)
        self._bad = faults


def _listed(root: Path, sites: Sequence[SiteId]) -> Iterator[tuple[SiteId, Path]]:
    for site in sites:
        for path in sorted((root / site).glob(f"*/{JOB_FILE}")):
            yield site, path.parent


def _job(folder: Path) -> JobFile:
    job = _read(folder / JOB_FILE, JobFile)
    if job.job != folder.name:
        raise ConfigError(
            f"{folder / JOB_FILE}: job is {job.job!r}, expected its folder's name {folder.name!r}"
        )
    return job


def _read(path: Path, model: type[_Model]) -> _Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "file"
        raise ConfigError(f"{path}: {where}: {fault['msg']}") from error
