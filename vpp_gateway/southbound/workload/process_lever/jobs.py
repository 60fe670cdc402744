"""Jobs on disk: one folder a job, in the folder of the site where the job is.

    <root>/<site>/<job>/job.json      what the job is: written by its owner, never by the lever
                       /run.json      what it does: written by whoever starts, stops or moves it
                       /checkpoint    its program's state (name from job.json)
                       /...           the program's working directory: it names its files relatively
    <root>/.locks/<job>.lock          held (flock) by the running program itself, see gate.py

Moving a job renames its folder from one site to the other: that is atomic, so a job is always at exactly one site.
Open files and the working directory follow. All sites' folders must be on one file system.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import ConfigError
from vpp_gateway.southbound.workload.levers import JobId
from vpp_gateway.southbound.workload.process_lever import proc
from vpp_gateway.southbound.workload.records import replace_file

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
    """Held to this share of its duty while it runs; None: not throttled. See brake.py."""

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
    for site in sites:
        for path in sorted((root / site).glob(f"*/{JOB_FILE}")):
            try:
                job = _read(path, JobFile)
            except FileNotFoundError:
                continue  # moved away between listing and reading; it is found at its new site
            if job.job != path.parent.name:
                raise ConfigError(
                    f"{path}: job is {job.job!r}, expected its folder's name {path.parent.name!r}"
                )
            yield Folder(site=site, path=path.parent, job=job)


def find(root: Path, sites: Sequence[SiteId], job: JobId) -> Folder | None:
    """Where a job is; None when it is nowhere."""
    for site in sites:
        path = root / site / job
        try:
            return Folder(site=site, path=path, job=_read(path / JOB_FILE, JobFile))
        except FileNotFoundError:
            continue
    return None


def _read(path: Path, model: type[_Model]) -> _Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "file"
        raise ConfigError(f"{path}: {where}: {fault['msg']}") from error
