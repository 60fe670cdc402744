"""The work of the simulated data centres, real: processes that burn CPU, their load, and the proof of downtime.

    WorkFloor          starts the jobs of every site (folders as `southbound/workload/process_lever/jobs.py` has them)
    load_factory(...)  what a site's meter would see of them: base + sum of declared_w x own duty / nominal duty
    downtime(...)      longest gap, lost and repeated steps, from the workers' own output and nothing else

The load is modelled from CPU time that really was used in the last seconds, and is always labelled so.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import ConfigError, MisuseError
from vpp_gateway.sim import worker_program
from vpp_gateway.southbound.workload.process_lever import gate, proc
from vpp_gateway.southbound.workload.process_lever.jobs import JOB_FILE, Folder, JobFile, RunFile, folders

CORES_MAX = 0.5
"""All workers together, also those still queued."""
RISE_S = 1.0
"""In which the modelled power of a new process comes up."""
_DUTY_SHARE_MAX = 1.5
_LEASH = ".floor.lock"


class Downtime(NamedTuple):
    """What the workers' own output says about a move or a pause."""

    longest_gap_s: float
    """Longest time between two lines of output."""
    lost_steps: int
    repeated_steps: int


def downtime(*outputs: Path | str, since: float = 0.0, until: float | None = None) -> Downtime:
    """Gaps and broken steps in the output of one job, which may be in several files (oldest first).

    Args:
        outputs: output files of the job.
        since: only lines written after this, UTC (Unix s); the last line before it opens the first gap.
        until: only lines written until then, UTC (Unix s); the time since the last of them counts as a gap. None = all
            lines, and no gap after the last.

    Raises:
        ValueError: a line is not one of a worker's; names file and line.
    """
    gap_s, lost, repeated = 0.0, 0, 0
    before: tuple[int, float] | None = None
    written_at = since
    for first, last, utc, monotonic in _lines(outputs):
        if until is not None and utc > until:
            break
        written_at = utc
        if before is not None and utc >= since:
            gap_s = max(gap_s, monotonic - before[1])
            lost += max(first - before[0], 0)
            repeated += max(before[0] - first, 0)
        before = (last, monotonic)
    if until is not None:
        gap_s = max(gap_s, until - written_at)
    return Downtime(gap_s, lost, repeated)


def proven(*outputs: Path | str, seed: int) -> bool:
    """Whether every state in the output is the one that so many steps make: the work was really done, once."""
    states = [
        (int(words[1]), int(words[4], 16))
        for output in outputs
        for words in (line.split() for line in Path(output).read_text("ascii").splitlines())
    ]
    return all(worker_program.state_after(steps, seed) == state for steps, state in states)


def _lines(outputs: Sequence[Path | str]) -> list[tuple[int, int, float, float]]:
    lines = []
    for output in outputs:
        for number, line in enumerate(Path(output).read_text("ascii").splitlines(), start=1):
            words = line.split()
            if len(words) != 5:
                raise ValueError(
                    f"{output}:{number}: {line[:80]!r} is not '<from> <to> <utc> <monotonic> <state>'"
                )
            lines.append((int(words[0]), int(words[1]), float(words[2]), float(words[3])))
    return lines


class Processes(Protocol):
    """What the load asks about processes; `proc` answers from the kernel."""

    def cpu_ns(self, who: proc.Ident) -> int | None: ...

    def stopped(self, who: proc.Ident) -> bool: ...


class SiteLoad:
    """Import of one site: a constant base and its workers, modelled from the CPU time they use.

    Args:
        root: folder of the floor.
        site: whose.
        base_w: everything that is not a worker: cooling, rigid IT.
        window_s: over how long the duty is read; a process that has just appeared is read over its own time, from
            1 s on. A longer window keeps it out of the power that this machine, not the worker, was busy.
        processes: who is asked about them.
    """

    def __init__(
        self, root: Path, site: SiteId, base_w: float, window_s: float = 1.0, processes: Processes = proc
    ) -> None:
        self._root = root
        self._site = site
        self._base_w = base_w
        self._window_s = window_s
        self._processes = processes
        self._used: dict[proc.Ident, deque[tuple[float, int]]] = {}
        self._fresh = True

    def import_w(self, now: float) -> float:
        """Modelled import now (W). `now` is UTC (Unix s), not before the last call's."""
        seen: dict[proc.Ident, deque[tuple[float, int]]] = {}
        total_w = self._base_w
        for folder in folders(self._root, [self._site]):
            run, duty = folder.run, folder.job.duty
            who = run.who
            used_ns = None if who is None else self._processes.cpu_ns(who)
            if who is None or used_ns is None or duty is None:
                continue
            past = seen[who] = self._past(who, now, used_ns, duty)
            if run.state == "paused" and self._processes.stopped(who):
                # Seen at once; when it goes on, it comes up like a new one. A throttled job stands still too, but is
                # to run.
                past.clear()
                past.append((now, used_ns))
            total_w += folder.job.declared_w * min(self._duty(past, now) / duty, _DUTY_SHARE_MAX)
        self._used, self._fresh = seen, False
        return total_w

    def _past(self, who: proc.Ident, now: float, used_ns: int, duty: float) -> deque[tuple[float, int]]:
        past = self._used.get(who)
        if past is None:
            past = deque()
            if self._fresh:  # worked before the first look; a process that appears later did not
                past.append((now - self._window_s, used_ns - int(duty * self._window_s * 1e9)))
        past.append((now, used_ns))
        while len(past) > 1 and past[1][0] <= now - self._window_s:
            past.popleft()
        return past

    def _duty(self, past: deque[tuple[float, int]], now: float) -> float:
        """Cores used over the window; of the first second of a process, what was not seen yet counts as idle."""
        return (past[-1][1] - past[0][1]) / 1e9 / max(now - past[0][0], min(self._window_s, RISE_S))


def load_factory(root: str, site: str, base_w: float, window_s: float = 1.0) -> SiteLoad:
    """The load of one site for another process, by dotted path `vpp_gateway.sim.workers:load_factory`."""
    return SiteLoad(Path(root), SiteId(site), base_w, window_s)


def field_load(site: str, config: Mapping[str, object]) -> SiteLoad:
    """The same as a further load of `sim.field`: `load_module: vpp_gateway.sim.workers:field_load`.

    Args:
        site: whose load.
        config: `root` (folder of the floor), optionally `base_w` (W) and `window_s` (s).

    Raises:
        ConfigError: a key is missing, unknown or of the wrong type.
    """
    try:
        found = _FieldLoad.model_validate(config)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(["load_config", *(str(part) for part in fault["loc"])])
        raise ConfigError(f"{where}: {fault['msg']}; allowed are root, base_w, window_s") from error
    return load_factory(found.root, site, found.base_w, found.window_s)


class _FieldLoad(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    root: str
    base_w: float = 0.0
    window_s: float = Field(default=1.0, gt=0)


class WorkFloor:
    """The jobs of all simulated data centres.

    Odd jobs of a site can be paused, even ones can be moved; the queued ones wait for cheap hours.
    Every worker ends with the floor, also when its process is killed: they hang on the lock of a file.

    Args:
        root: empty or missing folder.
        sites: data centres.
        jobs_per_site: jobs running from the start.
        queued_per_site: jobs that wait.
        declared_w: what one job takes at its nominal duty, one number or by site.
        duty: share of a core that each job burns.
        spare_slots: free slots at each site besides those of its own jobs.
        throttlable: whether the running odd jobs may be throttled too.
    """

    def __init__(
        self,
        root: Path,
        sites: Sequence[str],
        *,
        jobs_per_site: int = 4,
        queued_per_site: int = 1,
        declared_w: float | Mapping[str, float] = 100_000.0,
        duty: float = 0.03,
        spare_slots: int = 4,
        throttlable: bool = False,
    ) -> None:
        count = len(sites) * (jobs_per_site + queued_per_site)
        if count * duty > CORES_MAX:
            raise MisuseError(f"{count} workers of {duty} core are over {CORES_MAX} core together")
        self.root = root
        self.sites = tuple(SiteId(site) for site in sites)
        self._jobs_per_site = jobs_per_site
        self._queued_per_site = queued_per_site
        self._declared_w = declared_w
        self._duty = duty
        self._spare_slots = spare_slots
        self._throttlable = throttlable
        self._leash = -1
        self._children: list[int] = []
        self._loads: dict[SiteId, SiteLoad] = {}

    def __enter__(self) -> WorkFloor:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Write all job files and start the running ones. Raises MisuseError when the folder is not empty."""
        if self.root.exists() and any(self.root.iterdir()):
            raise MisuseError(f"{self.root}: a floor starts in an empty folder")
        self.root.mkdir(parents=True, exist_ok=True)
        self._leash = os.open(self.root / _LEASH, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._leash, fcntl.LOCK_EX)
        for site in self.sites:
            (self.root / site).mkdir()
            for number in range(1, self._jobs_per_site + self._queued_per_site + 1):
                folder = self._furnish(site, number)
                if number <= self._jobs_per_site:
                    self._start(folder)

    def close(self) -> None:
        """End all workers, whoever started them and wherever they are."""
        for folder in folders(self.root, self.sites):
            who = folder.run.who
            if who is not None and proc.alive(who):
                os.kill(who.pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)
        self._children.clear()
        if self._leash >= 0:
            os.close(self._leash)
            self._leash = -1

    def reap(self) -> None:
        """Bury workers that left their place (moved, stopped); call it now and then."""
        for pid in list(self._children):
            done, _ = os.waitpid(pid, os.WNOHANG)
            if done:
                self._children.remove(pid)

    def jobs(self) -> list[Folder]:
        """All jobs where they are now."""
        return list(folders(self.root, self.sites))

    def outputs(self, job: str) -> list[Path]:
        """Output files of one job, oldest first, wherever it is now."""
        here = next(folder.path for folder in self.jobs() if folder.job.job == job)
        return [path for path in (here / "output.log.1", here / "output.log") if path.exists()]

    def seed(self, job: str) -> int:
        """Seed of a job's chain."""
        return sum(job.encode())

    def modelled_load_w(self, site: str, now: float) -> float:
        """What the workers at `site` take now (W), modelled from CPU time; without any base."""
        name = SiteId(site)
        if name not in self._loads:
            self._loads[name] = SiteLoad(self.root, name, 0.0)
        return self._loads[name].import_w(now)

    def plugin_config(self) -> dict[str, object]:
        """`config:` of the plug-in `process-lever` for this floor."""
        slots = self._jobs_per_site + self._spare_slots
        return {"root": str(self.root.resolve()), "slots": {str(site): slots for site in self.sites}}

    def _furnish(self, site: SiteId, number: int) -> Folder:
        name = f"{site}-job{number}"
        queued = number > self._jobs_per_site
        watts = self._declared_w if isinstance(self._declared_w, float | int) else self._declared_w[site]
        job = JobFile(
            job=name,
            declared_w=watts,
            movable=not queued and number % 2 == 0,
            deferrable=queued or number % 2 == 1,
            throttlable=self._throttlable and not queued and number % 2 == 1,
            argv=self._argv(name),
            standby_argv=("--standby",),
            output="output.log",
            duty=self._duty,
        )
        folder = Folder(site=site, path=self.root / site / name, job=job)
        folder.path.mkdir()
        (folder.path / JOB_FILE).write_text(job.model_dump_json(indent=1), "utf-8")
        return folder

    def _argv(self, name: str) -> tuple[str, ...]:
        program = str(Path(worker_program.__file__).resolve())
        leash = str((self.root / _LEASH).resolve())
        options = ("--duty", str(self._duty), "--seed", str(self.seed(name)), "--leash", leash)
        return (sys.executable, "-I", "-S", program, *options)

    def _start(self, folder: Folder) -> None:
        gated = gate.spawn(folder, self.root)
        self._children.append(gated.who.pid)
        if not gated.lock():
            raise MisuseError(f"{folder.path}: its job runs already")
        folder.write_run(RunFile(state="running", pid=gated.who.pid, start_time=gated.who.start_time))
        gated.go()
