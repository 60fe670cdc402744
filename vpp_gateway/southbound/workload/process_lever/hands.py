"""The hands on real processes: SIGSTOP and SIGCONT, caps, checkpoint and continue elsewhere.

A move, with what a SIGKILL of the lever leaves at each step (the order's record makes the next life finish it):

    warm:    spawn up to the gate at the source's folder        gated process ends by itself; source runs
    leave:   run.json leaving, SIGTERM, wait until gone         source runs or has left its checkpoint
    lock:    take the job's lock for the gated process          the lock goes with the gated process
    cross:   rename the folder to the destination               job is at the destination, nothing runs
    write:   run.json with the new pid                          pid of a gated process that ends by itself
    go:      let it run; wait until it is seen to work          runs at the destination

How a job is throttled stands in `caps.py`.

Every act looks at what is before it does anything, so repeating one after any interruption completes it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import structlog

from vpp_gateway.clock import Clock
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import ConfigError, Rejected, Unreachable
from vpp_gateway.southbound.workload.contract import Sample
from vpp_gateway.southbound.workload.hands import Moved
from vpp_gateway.southbound.workload.levers import Job, JobId, JobState
from vpp_gateway.southbound.workload.process_lever import gate, proc
from vpp_gateway.southbound.workload.process_lever.brake import Brake
from vpp_gateway.southbound.workload.process_lever.caps import Caps
from vpp_gateway.southbound.workload.process_lever.jobs import Folder, Roll, RunFile
from vpp_gateway.southbound.workload.process_lever.model import DutyModel
from vpp_gateway.southbound.workload.process_lever.patience import Patience, send, until

log = structlog.get_logger(__name__)


class ProcessHands:
    """Hands on the jobs in the sites' folders."""

    def __init__(
        self, root: Path, sites: Sequence[SiteId], clock: Clock, patience: Patience, brake: Brake
    ) -> None:
        self._root = root
        self._sites = tuple(sites)
        self._clock = clock
        self._patience = patience
        self._caps = Caps(brake, clock, patience)
        self._roll = Roll(root, sites)
        self._warm: dict[JobId, gate.Gated] = {}
        self._children: set[int] = set()
        self._model = DutyModel()

    # --- seeing -----------------------------------------------------------------------------------------

    def jobs(self) -> tuple[Job, ...]:
        self._reap()
        here = self._roll.call()
        self._caps.renew(here)
        seen = [_job(folder, self._caps.fault(JobId(folder.job.job))) for folder in here]
        return tuple(job for job in seen if job is not None)

    def samples(self, now: float) -> tuple[Sample, ...]:
        return self._model.samples(self._roll.call(), self._sites, now)

    def _reap(self) -> None:
        for pid in list(self._children):
            done, _ = os.waitpid(pid, os.WNOHANG)
            if done:
                self._children.discard(pid)

    # --- throttle and release ---------------------------------------------------------------------------

    async def throttle(self, job: JobId, share: float) -> None:
        folder = self._folder(job)
        await self._caps.throttle(folder, self._process(folder), share)

    async def release(self, job: JobId) -> None:
        await self._caps.release(self._folder(job))

    # --- pause and resume -------------------------------------------------------------------------------

    async def pause(self, job: JobId) -> None:
        folder = self._folder(job)
        who = self._process(folder)
        send(who, signal.SIGSTOP, group=True)
        folder.write_run(RunFile(state="paused", pid=who.pid, start_time=who.start_time))
        await until(lambda: proc.stopped(who), self._patience.signal_s, f"job {job} does not stop")

    async def resume(self, job: JobId) -> None:
        folder = self._folder(job)
        who = folder.run.who
        if who is None or not proc.alive(who):
            await self._start_here(folder)  # it died in our custody
            return
        folder.write_run(RunFile(state="running", pid=who.pid, start_time=who.start_time))
        send(who, signal.SIGCONT, group=True)
        await until(lambda: not proc.stopped(who), self._patience.signal_s, f"job {job} does not go on")

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
        send(who, signal.SIGTERM)
        send(who, signal.SIGCONT)  # a stopped process takes no SIGTERM
        told = f"job {folder.job.job} (pid {who.pid}) did not checkpoint and exit"
        try:
            await until(lambda: not proc.alive(who), self._patience.checkpoint_s, told)
        except Unreachable:
            if patient:
                raise
            log.warning("job killed", job=folder.job.job, pid=who.pid, reason="neither left nor stayed")
            send(who, signal.SIGKILL, group=True)
            await until(lambda: not proc.alive(who), self._patience.signal_s, told)

    async def _cross(self, folder: Folder, destination: SiteId, gated: gate.Gated) -> Folder:
        """Lock, rename, write down, go: in this order (see gate.py)."""
        await until(gated.lock, self._patience.lock_s, f"job {folder.job.job}: somebody else runs it")
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
            await until(works, self._patience.work_s, told)
        except Unreachable:
            send(who, signal.SIGKILL, group=True)
            raise

    # --- small hands ------------------------------------------------------------------------------------

    def _folder(self, job: JobId) -> Folder:
        try:
            folder = self._roll.find(job)
        except ConfigError as error:
            raise Rejected(f"job {job}: {error}") from error
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

        await until(waits, self._patience.warm_s, f"job {gated.job}: its standby does not get ready")


def _job(folder: Folder, fault: str) -> Job | None:
    """The job as it really is; None when it should run and its process is gone.

    Args:
        folder: where it is.
        fault: why it is not throttled as written down, or is throttled beyond that.
    """
    run = folder.run
    if run.state == "queued":
        state = JobState.QUEUED
        if not folder.sound:
            return None
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
        movable=folder.sound and folder.job.movable,
        deferrable=folder.sound and folder.job.deferrable,
        throttlable=folder.sound and folder.job.throttlable,
        capped=run.throttled or fault != "",
        slipped=fault if run.throttled else "",
    )


def _progress(folder: Folder, who: proc.Ident) -> int:
    """A number that grows while the job works: bytes of output, or 10 ms of CPU."""
    if folder.job.output is not None:
        try:
            return (folder.path / folder.job.output).stat().st_size
        except FileNotFoundError:
            return 0
    return (proc.cpu_ns(who) or 0) // 10_000_000
