"""The hands on real processes: SIGSTOP and SIGCONT, a brake, checkpoint and continue elsewhere.

A move, with what a SIGKILL of the lever leaves at each step (the order's record makes the next life finish it):

    warm:    spawn up to the gate at the source's folder        gated process ends by itself; source runs
    leave:   run.json leaving, SIGTERM, wait until gone         source runs or has left its checkpoint
    lock:    take the job's lock for the gated process          the lock goes with the gated process
    cross:   rename the folder to the destination               job is at the destination, nothing runs
    write:   run.json with the new pid                          pid of a gated process that ends by itself
    go:      let it run; wait until it is seen to work          runs at the destination

A throttled job is written down first (`share` in run.json), then braked; every look renews a brake that is gone, so
neither the death of a guard nor of the lever undoes an order (see brake.py).

Every act looks at what is before it does anything, so repeating one after any interruption completes it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from vpp_gateway.clock import Clock
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import Rejected, Unreachable
from vpp_gateway.southbound.workload.contract import Sample
from vpp_gateway.southbound.workload.hands import Moved
from vpp_gateway.southbound.workload.levers import Job, JobId, JobState
from vpp_gateway.southbound.workload.process_lever import gate, proc
from vpp_gateway.southbound.workload.process_lever.brake import Brake
from vpp_gateway.southbound.workload.process_lever.jobs import Folder, RunFile, find, folders
from vpp_gateway.southbound.workload.process_lever.model import DutyModel

log = structlog.get_logger(__name__)

_LOOK_S = 0.003
_HELD_OVER_S = 0.3
"""Over how long a throttled job is watched before it is believed to be held."""
_HELD_WITHIN = 1.25
"""How far over its share a held job may be in that short time: guards work in bursts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each act may take, seconds."""

    signal_s: float = 2.0
    """SIGSTOP or SIGCONT until the kernel shows it."""
    held_s: float = 3.0
    """Throttled until seen to keep to its share."""
    checkpoint_s: float = 5.0
    """SIGTERM until gone."""
    lock_s: float = 2.0
    work_s: float = 5.0
    """Let go until seen to work."""
    warm_s: float = 5.0
    """Spawn until it waits at the gate."""


class ProcessHands:
    """Hands on the jobs in the sites' folders."""

    def __init__(
        self, root: Path, sites: Sequence[SiteId], clock: Clock, patience: Patience, brake: Brake
    ) -> None:
        self._root = root
        self._sites = tuple(sites)
        self._clock = clock
        self._patience = patience
        self._brake = brake
        self._warm: dict[JobId, gate.Gated] = {}
        self._children: set[int] = set()
        self._model = DutyModel()

    # --- seeing -----------------------------------------------------------------------------------------

    def jobs(self) -> tuple[Job, ...]:
        self._reap()
        here = list(folders(self._root, self._sites))
        self._renew_brakes(here)
        seen = [_job(folder) for folder in here]
        return tuple(job for job in seen if job is not None)

    def samples(self, now: float) -> tuple[Sample, ...]:
        return self._model.samples(list(folders(self._root, self._sites)), self._sites, now)

    def _reap(self) -> None:
        for pid in list(self._children):
            done, _ = os.waitpid(pid, os.WNOHANG)
            if done:
                self._children.discard(pid)

    def _renew_brakes(self, here: Sequence[Folder]) -> None:
        """Brake what is written down as throttled, and nothing else: also after a death, ours or a guard's."""
        wanted: dict[JobId, tuple[proc.Ident, float]] = {}
        for folder in here:
            run, duty = folder.run, folder.job.duty
            if run.throttled and run.share is not None and duty is not None and proc.alive(run.who):
                assert run.who is not None
                wanted[JobId(folder.job.job)] = (run.who, run.share * duty)
        try:
            self._brake.keep_only(wanted)
            for job, (who, cores) in wanted.items():
                self._brake.hold(job, who, cores)
        except Rejected as error:
            log.warning("not throttled as ordered", reason=str(error))

    # --- throttle and release ---------------------------------------------------------------------------

    async def throttle(self, job: JobId, share: float) -> None:
        folder = self._folder(job)
        who = self._process(folder)
        if folder.job.duty is None:
            raise Rejected(f"job {job} declares no duty that it could be held to a share of")
        cores = share * folder.job.duty
        folder.write_run(RunFile(state="running", pid=who.pid, start_time=who.start_time, share=share))
        self._brake.hold(job, who, cores)
        told = f"job {job} does not keep to {cores:g} core"
        await self._until(self._keeps_to(who, cores), self._patience.held_s, told)

    def _keeps_to(self, who: proc.Ident, cores: float) -> Callable[[], bool]:
        """A question that is true once the process has used no more than `cores` for a short while."""
        looks: deque[tuple[float, int]] = deque()

        def keeps() -> bool:
            used_ns = proc.cpu_ns(who)
            if used_ns is None:
                raise Rejected(f"pid {who.pid} ended while it was being throttled")
            now = self._clock.monotonic()
            looks.append((now, used_ns))
            while len(looks) > 2 and looks[1][0] <= now - _HELD_OVER_S:
                looks.popleft()
            since, used_before_ns = looks[0]
            passed_s = now - since
            return (
                passed_s >= _HELD_OVER_S
                and (used_ns - used_before_ns) / 1e9 <= _HELD_WITHIN * cores * passed_s
            )

        return keeps

    async def release(self, job: JobId) -> None:
        folder = self._folder(job)
        run = folder.run
        if run.share is not None:
            folder.write_run(run.model_copy(update={"share": None}))
        await self._until(
            lambda: self._brake.released(job),
            self._patience.signal_s,
            f"job {job}: its brake does not let go",
        )
        who = run.who
        if run.state == "running" and who is not None and proc.alive(who):
            _signal(who, signal.SIGCONT, group=True)  # a guard that was killed may have left it stopped
            await self._until(
                lambda: not proc.stopped(who), self._patience.signal_s, f"job {job} does not go on"
            )

    # --- pause and resume -------------------------------------------------------------------------------

    async def pause(self, job: JobId) -> None:
        folder = self._folder(job)
        who = self._process(folder)
        _signal(who, signal.SIGSTOP, group=True)
        folder.write_run(RunFile(state="paused", pid=who.pid, start_time=who.start_time))
        await self._until(lambda: proc.stopped(who), self._patience.signal_s, f"job {job} does not stop")

    async def resume(self, job: JobId) -> None:
        folder = self._folder(job)
        who = folder.run.who
        if who is None or not proc.alive(who):
            await self._start_here(folder)  # it died in our custody
            return
        folder.write_run(RunFile(state="running", pid=who.pid, start_time=who.start_time))
        _signal(who, signal.SIGCONT, group=True)
        await self._until(lambda: not proc.stopped(who), self._patience.signal_s, f"job {job} does not go on")

    # --- start and stop ---------------------------------------------------------------------------------

    async def start(self, job: JobId) -> None:
        folder = self._folder(job)
        if not (folder.run.state == "running" and await self._works(folder)):
            await self._start_here(folder)

    async def stop(self, job: JobId) -> None:
        folder = self._folder(job)
        await self._leave(folder)
        folder.write_run(RunFile(state="queued"))

    # --- move -------------------------------------------------------------------------------------------

    async def warm(self, job: JobId, destination: SiteId) -> None:
        folder = self._folder(job)
        gated = self._spawn(folder)
        self._warm[job] = gated
        if folder.job.standby_argv:
            await self._until_asleep(gated)

    def cool(self, job: JobId) -> None:
        gated = self._warm.pop(job, None)
        if gated is not None:
            gated.close()

    async def move(self, job: JobId, destination: SiteId) -> Moved:
        folder = self._folder(job)
        if folder.site == destination and not folder.run.leaving and await self._works(folder):
            return Moved()
        gated = self._take_warm(folder) or self._spawn(folder)
        began = self._clock.monotonic()
        try:
            await self._leave(folder, patient=folder.site != destination)
            leave_s = self._clock.monotonic() - began
            folder = await self._cross(folder, destination, gated)
        finally:
            gated.close()
        await self._seen_to_work(folder, gated.who)
        downtime_s = self._clock.monotonic() - began
        log.info(
            "job moved", job=job, site=destination, leave_s=round(leave_s, 4), downtime_s=round(downtime_s, 4)
        )
        return Moved(leave_s=leave_s, downtime_s=downtime_s)

    async def _leave(self, folder: Folder, *, patient: bool = True) -> None:
        """Have the job write its checkpoint and exit.

        Raises Unreachable when it does not in time. Not patient: then it is killed and continues from its last
        checkpoint, because it has been told to go and must not go later, when nobody waits for it.
        """
        run = folder.run
        who = run.who
        if who is None or not proc.alive(who):
            return
        folder.write_run(run.model_copy(update={"leaving": True, "share": None}))
        _signal(who, signal.SIGTERM)
        _signal(who, signal.SIGCONT)  # a stopped process takes no SIGTERM
        told = f"job {folder.job.job} (pid {who.pid}) did not checkpoint and exit"
        try:
            await self._until(lambda: not proc.alive(who), self._patience.checkpoint_s, told)
        except Unreachable:
            if patient:
                raise
            log.warning("job killed", job=folder.job.job, pid=who.pid, reason="neither left nor stayed")
            _signal(who, signal.SIGKILL, group=True)
            await self._until(lambda: not proc.alive(who), self._patience.signal_s, told)

    async def _cross(self, folder: Folder, destination: SiteId, gated: gate.Gated) -> Folder:
        """Lock, rename, write down, go: in this order (see gate.py)."""
        await self._until(gated.lock, self._patience.lock_s, f"job {folder.job.job}: somebody else runs it")
        if folder.site != destination:
            target = self._root / destination / folder.path.name
            try:
                folder.path.rename(target)
            except OSError as error:
                raise Rejected(f"job {folder.job.job}: cannot go to {destination}: {error}") from error
            folder = Folder(site=destination, path=target, job=folder.job)
        folder.write_run(RunFile(state="running", pid=gated.who.pid, start_time=gated.who.start_time))
        gated.go()
        return folder

    async def _start_here(self, folder: Folder) -> None:
        """Continue the job where it is, from its checkpoint."""
        gated = self._take_warm(folder) or self._spawn(folder)
        try:
            folder = await self._cross(folder, folder.site, gated)
        finally:
            gated.close()
        await self._seen_to_work(folder, gated.who)

    async def _works(self, folder: Folder) -> bool:
        """Whether its process is there and works; it may just be ending at the gate of a lever that was killed."""
        who = folder.run.who
        if who is None or not proc.alive(who):
            return False
        if proc.stopped(who):
            return True
        try:
            await self._seen_to_work(folder, who)
        except (Rejected, Unreachable):
            return False
        return True

    async def _seen_to_work(self, folder: Folder, who: proc.Ident) -> None:
        """Wait until the output grows (or CPU time passes). Raises Rejected when it ends, Unreachable in vain."""
        before = _progress(folder, who)

        def works() -> bool:
            if not proc.alive(who):
                raise Rejected(f"job {folder.job.job} ended at once; see {folder.path / 'console.log'}")
            return _progress(folder, who) > before

        told = f"job {folder.job.job} runs but does not work"
        try:
            await self._until(works, self._patience.work_s, told)
        except Unreachable:
            _signal(who, signal.SIGKILL, group=True)
            raise

    # --- small hands ------------------------------------------------------------------------------------

    def _folder(self, job: JobId) -> Folder:
        folder = find(self._root, self._sites, job)
        if folder is None:
            raise Rejected(f"job {job} is at none of {', '.join(self._sites)}")
        return folder

    def _process(self, folder: Folder) -> proc.Ident:
        who = folder.run.who
        if who is None or not proc.alive(who):
            raise Rejected(f"job {folder.job.job} at {folder.site} is not running any more")
        return who

    def _spawn(self, folder: Folder) -> gate.Gated:
        gated = gate.spawn(folder, self._root)
        self._children.add(gated.who.pid)
        return gated

    def _take_warm(self, folder: Folder) -> gate.Gated | None:
        gated = self._warm.pop(JobId(folder.job.job), None)
        if gated is not None and not proc.alive(gated.who):
            gated.close()
            return None
        return gated

    async def _until_asleep(self, gated: gate.Gated) -> None:
        """Warm is a program that has used CPU and now sleeps, twice in a row: it waits at the gate."""
        asleep = 0

        def waits() -> bool:
            nonlocal asleep
            letter = proc.letter(gated.who)
            if letter is None:
                raise Rejected(f"job {gated.job}: its standby ended at once")
            asleep = asleep + 1 if letter == "S" else 0
            return asleep >= 5

        await self._until(waits, self._patience.warm_s, f"job {gated.job}: its standby does not get ready")

    async def _until(self, true: Callable[[], bool], seconds: float, told: str) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not true():  # noqa: ASYNC110 - what is waited for happens in other processes, without an event
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError as error:
            raise Unreachable(f"{told} within {seconds:g} s") from error


def _job(folder: Folder) -> Job | None:
    """The job as it really is; None when it should run and its process is gone."""
    run = folder.run
    if run.state == "queued":
        state = JobState.QUEUED
    else:
        letter = None if run.who is None else proc.letter(run.who)
        if letter is None:
            return None
        # A throttled job stands still for moments, and is not paused.
        stands = letter in ("T", "t") and not run.throttled
        state = JobState.PAUSED if stands else JobState.RUNNING
    return Job(
        id=JobId(folder.job.job),
        site=folder.site,
        declared_w=folder.job.declared_w,
        state=state,
        movable=folder.job.movable,
        deferrable=folder.job.deferrable,
        throttlable=folder.job.throttlable,
        capped=run.throttled,
    )


def _progress(folder: Folder, who: proc.Ident) -> int:
    """A number that grows while the job works: bytes of output, or 10 ms of CPU."""
    if folder.job.output is not None:
        try:
            return (folder.path / folder.job.output).stat().st_size
        except FileNotFoundError:
            return 0
    return (proc.cpu_ns(who) or 0) // 10_000_000


def _signal(who: proc.Ident, number: signal.Signals, *, group: bool = False) -> None:
    """Signal the process, or its whole group if it leads one; one that is gone needs no signal."""
    try:
        if group and os.getpgid(who.pid) == who.pid:
            os.killpg(who.pid, number)
        else:
            os.kill(who.pid, number)
    except ProcessLookupError:
        log.debug("signal to a process that is gone", pid=who.pid, signal=number.name)
