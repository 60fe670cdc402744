"""What holds a throttled job to its cores: a guard process, or the kernel where the plug-in was given a cgroup.

                  by                                  the lever dies                  given back
    GuardBrake    SIGSTOP and SIGCONT (guard.py)      guard ends, job runs freely     end of the guard's input
    GroupBrake    CPU quota of a cgroup               quota stays                     quota without limit

Neither remembers anything that matters: what is to be throttled stands in the jobs' run.json, and the hands ask for
it again at every look. So after a SIGKILL of the lever its next life throttles again what its orders still hold, and
a guard that was killed over a stopped job is replaced by one that first lets the job go on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Container
from pathlib import Path
from typing import Protocol

from vpp_gateway.errors import Rejected
from vpp_gateway.southbound.workload.levers import JobId
from vpp_gateway.southbound.workload.process_lever import guard, proc

_Grip = tuple[proc.Ident, float]
"""Who is held, to how many cores."""
_PERIOD_US = 100_000
_QUOTA_MIN_US = 1_000
"""The kernel's own."""


class Brake(Protocol):
    """Holds processes to a number of cores."""

    def hold(self, job: JobId, who: proc.Ident, cores: float) -> None:
        """Hold the process from now on; repeated, it makes sure of it. Raises Rejected when it cannot."""
        ...

    def released(self, job: JobId) -> bool:
        """Let the job go; True once that is done. To be asked until then."""
        ...

    def keep_only(self, jobs: Container[JobId]) -> None:
        """Let all others go."""
        ...


class GuardBrake:
    """A guard process for each throttled job."""

    def __init__(self) -> None:
        self._guards: dict[JobId, tuple[_Grip, subprocess.Popen[bytes]]] = {}
        self._leaving: list[subprocess.Popen[bytes]] = []

    def hold(self, job: JobId, who: proc.Ident, cores: float) -> None:
        grip = (who, cores)
        known = self._guards.get(job)
        if known is not None:
            if known[0] == grip and known[1].poll() is None:
                return
            self._dismiss(job)
        command = [sys.executable, "-I", "-S", str(Path(guard.__file__).resolve())]
        words = [str(who.pid), str(who.start_time), repr(cores)]
        try:
            # In a session of its own: the host kills the lever's group, and the guard must outlive that to let go.
            process = subprocess.Popen(
                [*command, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={},
            )
        except OSError as error:
            raise Rejected(f"job {job}: no guard can be started: {error}") from error
        self._guards[job] = (grip, process)

    def released(self, job: JobId) -> bool:
        known = self._guards.get(job)
        if known is None:
            return True
        self._end(known[1])
        if known[1].poll() is None:
            return False
        del self._guards[job]
        return True

    def keep_only(self, jobs: Container[JobId]) -> None:
        for job in [job for job in self._guards if job not in jobs]:
            self._dismiss(job)
        self._leaving = [process for process in self._leaving if process.poll() is None]

    def _dismiss(self, job: JobId) -> None:
        process = self._guards.pop(job)[1]
        self._end(process)
        self._leaving.append(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.send_signal(signal.SIGCONT)  # a guard that somebody stopped would not notice


class GroupBrake:
    """A cgroup for each throttled job, below one that was handed over to this plug-in.

    The job's process goes into its group when it is throttled first, with what it starts from then on, and stays
    there, without a quota, when it is given back.

    Args:
        root: folder of the cgroup, version 2 with `cpu` in its cgroup.subtree_control, or of version 1's `cpu`.

    Raises:
        Rejected: it is none, or may not be written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[JobId, _Grip] = {}
        self._unified = (root / "cgroup.controllers").exists()
        if self._unified:
            if "cpu" not in _read(root / "cgroup.subtree_control").split():
                raise Rejected(
                    f"{root} gives its groups no CPU controller; write +cpu to cgroup.subtree_control"
                )
        elif not (root / "cpu.cfs_quota_us").exists():
            raise Rejected(f"{root} is no cgroup with the CPU controller")
        if not os.access(root, os.W_OK | os.X_OK):
            raise Rejected(f"{root} may not be written by this user")

    def hold(self, job: JobId, who: proc.Ident, cores: float) -> None:
        if self._held.get(job) == (who, cores):
            return
        group = self._group(job)
        try:
            group.mkdir(exist_ok=True)
            self._limit(group, cores)
            (group / "cgroup.procs").write_text(str(who.pid))
        except OSError as error:
            raise Rejected(f"job {job}: cannot be held in {group}: {error}") from error
        self._held[job] = (who, cores)

    def released(self, job: JobId) -> bool:
        group = self._group(job)
        try:
            if group.exists():
                self._limit(group, None)
        except OSError as error:
            raise Rejected(f"job {job}: its quota in {group} cannot be lifted: {error}") from error
        self._held.pop(job, None)
        return True

    def keep_only(self, jobs: Container[JobId]) -> None:
        for job in [job for job in self._held if job not in jobs]:
            self.released(job)

    def _group(self, job: JobId) -> Path:
        return self._root / f"job-{job}"

    def _limit(self, group: Path, cores: float | None) -> None:
        """Set the quota; None is none."""
        period_us = _PERIOD_US
        quota_us = None if cores is None else round(cores * period_us)
        if cores is not None and quota_us is not None and quota_us < _QUOTA_MIN_US:
            period_us *= 10
            quota_us = round(cores * period_us)
        if quota_us is not None and quota_us < _QUOTA_MIN_US:
            raise Rejected(f"{cores:g} core is less than the kernel can hold a group to")
        if self._unified:
            (group / "cpu.max").write_text(f"{'max' if quota_us is None else quota_us} {period_us}")
            return
        (group / "cpu.cfs_quota_us").write_text("-1")  # so that quota and period may change in this order
        (group / "cpu.cfs_period_us").write_text(str(period_us))
        (group / "cpu.cfs_quota_us").write_text("-1" if quota_us is None else str(quota_us))


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError as error:
        raise Rejected(f"{path} cannot be read: {error}") from error
