"""Throttled jobs: written down, braked, looked after, let go.

    throttle:   share into run.json -> brake -> seen to keep to it
    each look:  brake what is written down, let go what is not
    release:    let go -> seen to run -> share out of run.json

What is written down stands until it is really so no more: a job whose brake does not let go stays throttled on paper
too, and so in no offer. Neither the death of a guard nor of the lever undoes an order.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from vpp_gateway.clock import Clock
from vpp_gateway.errors import Rejected
from vpp_gateway.southbound.workload.levers import JobId
from vpp_gateway.southbound.workload.process_lever import proc
from vpp_gateway.southbound.workload.process_lever.brake import Brake
from vpp_gateway.southbound.workload.process_lever.jobs import Folder, RunFile
from vpp_gateway.southbound.workload.process_lever.patience import Patience, send, until

log = structlog.get_logger(__name__)

_HELD_OVER_S = 0.3
"""Over how long a throttled job is watched before it is believed to be held."""
_HELD_WITHIN = 1.25
"""How far over its share a held job may be in that short time: guards work in bursts."""


class Caps:
    """The caps of one lever, by one brake."""

    def __init__(self, brake: Brake, clock: Clock, patience: Patience) -> None:
        self._brake = brake
        self._clock = clock
        self._patience = patience
        self._releasing: set[JobId] = set()
        self._faults: dict[JobId, str] = {}

    def fault(self, job: JobId) -> str:
        """Why the job is not throttled as it should be, or not let go; empty when all is well."""
        return self._faults.get(job, "")

    def renew(self, here: Sequence[Folder]) -> None:
        """Brake what is written down as throttled, and nothing else: also after a death, ours or a guard's."""
        wanted: dict[JobId, tuple[proc.Ident, float]] = {}
        faults: dict[JobId, str] = {}
        for folder in here:
            run, duty = folder.run, folder.job.duty
            if not run.throttled or run.share is None or run.who is None or not proc.alive(run.who):
                continue
            job = JobId(folder.job.job)
            if duty is None:
                faults[job] = f"job {job} no longer declares a duty that it could be held to a share of"
            else:
                wanted[job] = (run.who, run.share * duty)
        faults = self._brake.keep_only(wanted.keys() | self._releasing) | faults
        for job, (who, cores) in wanted.items():
            if job in self._releasing:
                continue
            try:
                self._brake.hold(job, who, cores)
            except Rejected as error:
                faults[job] = str(error)
        self._tell(faults)

    def _tell(self, faults: dict[JobId, str]) -> None:
        """Each job once when its brake fails, once when it works again."""
        for job, why in faults.items():
            if job not in self._faults:
                log.warning("brake fails", job=job, reason=why)
        for job in self._faults:
            if job not in faults:
                log.info("brake works again", job=job)
        self._faults = faults

    async def throttle(self, folder: Folder, who: proc.Ident, share: float) -> None:
        """Hold a running job to a share of its duty. Raises DeviceError when it cannot be seen to be held."""
        job, duty = JobId(folder.job.job), folder.job.duty
        if duty is None:
            raise Rejected(f"job {job} declares no duty that it could be held to a share of")
        cores = share * duty
        folder.write_run(RunFile(state="running", pid=who.pid, start_time=who.start_time, share=share))
        self._brake.hold(job, who, cores)
        told = f"job {job} does not keep to {cores:g} core"
        await until(self._keeps_to(who, cores), self._patience.held_s, told)

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

    async def release(self, folder: Folder) -> None:
        """Let it run freely. Raises DeviceError when it cannot be: then it stays throttled, and says so."""
        job = JobId(folder.job.job)
        self._releasing.add(job)  # no look brakes it again meanwhile
        try:
            told = f"job {job}: its brake does not let go"
            await until(lambda: self._brake.released(job), self._patience.signal_s, told)
            run = folder.run
            who = run.who
            if run.state == "running" and who is not None and proc.alive(who):
                send(who, signal.SIGCONT, group=True)  # a guard that was killed may have left it stopped
                await until(
                    lambda: not proc.stopped(who), self._patience.signal_s, f"job {job} does not go on"
                )
            run = folder.run
            if run.share is not None:
                folder.write_run(run.model_copy(update={"share": None}))
        finally:
            self._releasing.discard(job)
