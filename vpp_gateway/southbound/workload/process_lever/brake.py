"""What holds a throttled job to its cores: a guard process, or the kernel where the plug-in was given a cgroup.

                  by                                  the lever dies                  given back
    GuardBrake    SIGSTOP and SIGCONT (guard.py)      guard ends, job runs freely     end of the guard's input
    GroupBrake    CPU quota of a cgroup               quota stays                     quota without limit

Neither remembers anything that matters: what is to be throttled stands in the jobs' run.json, and the hands ask for
it again at every look. So after a SIGKILL of the lever its next life throttles again what its orders still hold, and
a guard that was killed over a stopped job is replaced by one that first lets the job go on. What an earlier life left
behind (a quota that nobody wants any more) is lifted by the first look.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Container
from contextlib import suppress
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
_PREFIX = "job-"


class Brake(Protocol):
    """Holds processes to a number of cores."""

    def hold(self, job: JobId, who: proc.Ident, cores: float) -> None:
        """Hold the process from now on; repeated, it makes sure of it. Raises Rejected when it cannot."""
        ...

    def released(self, job: JobId) -> bool:
        """Let the job go; True once that is done. To be asked until then. Raises Rejected when it cannot."""
        ...

    def keep_only(self, jobs: Container[JobId]) -> dict[JobId, str]:
        """Let all others go, also those of an earlier life; which of them could not be let go, and why."""
        ...


class GuardBrake:
    """A guard process for each throttled job."""

    def __init__(self) -> None:
        self._guards: dict[JobId, tuple[_Grip, subprocess.Popen[bytes]]] = {}
        self._leaving: dict[JobId, list[subprocess.Popen[bytes]]] = {}
        """Told to end: each lets its job go on once more, so the job is not let go before they are gone."""

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
        if job in self._guards:
            self._dismiss(job)
        self._bury()
        return job not in self._leaving

    def keep_only(self, jobs: Container[JobId]) -> dict[JobId, str]:
        for job in [job for job in self._guards if job not in jobs]:
            self._dismiss(job)
        self._bury()
        return {}

    def _dismiss(self, job: JobId) -> None:
        process = self._guards.pop(job)[1]
        self._end(process)
        self._leaving.setdefault(job, []).append(process)

    def _bury(self) -> None:
        still = {job: [one for one in ones if one.poll() is None] for job, ones in self._leaving.items()}
        self._leaving = {job: ones for job, ones in still.items() if ones}

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.send_signal(signal.SIGCONT)  # a guard that somebody stopped would not notice


class GroupBrake:
    """A cgroup for each throttled job, below one that was handed over to this plug-in.

    The job's process goes into its group when it is throttled first, with what it starts from then on, and stays
    there, without a quota, when it is given back. The group is removed when nothing lives in it any more.

    Args:
        root: folder of the cgroup, version 2 with `cpu` in its cgroup.subtree_control, or of version 1's `cpu`.

    Raises:
        Rejected: it is none, or may not be written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
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
        self._limited = {JobId(path.name.removeprefix(_PREFIX)) for path in root.glob(f"{_PREFIX}*")}
        """Whose group may have a quota; of an earlier life all."""
        self._idle: set[JobId] = set()
        """Whose group has none, and is removed once it is empty."""

    def hold(self, job: JobId, who: proc.Ident, cores: float) -> None:
        group = self._group(job)
        quota = _quota(cores)
        self._limited.add(job)
        self._idle.discard(job)
        try:
            group.mkdir(exist_ok=True)
            if not self._stands(group, *quota):
                self._limit(group, *quota)
            if str(who.pid) not in _found(group / "cgroup.procs"):
                (group / "cgroup.procs").write_text(str(who.pid))
        except OSError as error:
            raise Rejected(f"job {job}: cannot be held in {group}: {error}") from error

    def released(self, job: JobId) -> bool:
        group = self._group(job)
        try:
            if group.exists():
                self._limit(group, None, _PERIOD_US)
                self._idle.add(job)
        except OSError as error:
            raise Rejected(f"job {job}: its quota in {group} cannot be lifted: {error}") from error
        self._limited.discard(job)
        return True

    def keep_only(self, jobs: Container[JobId]) -> dict[JobId, str]:
        stuck: dict[JobId, str] = {}
        for job in [job for job in self._limited if job not in jobs]:
            try:
                self.released(job)
            except Rejected as error:
                stuck[job] = str(error)
        for job in list(self._idle):
            with suppress(OSError):  # something lives in it
                self._group(job).rmdir()
                self._idle.discard(job)
        return stuck

    def _group(self, job: JobId) -> Path:
        return self._root / f"{_PREFIX}{job}"

    def _stands(self, group: Path, quota_us: int, period_us: int) -> bool:
        """Whether the kernel has this quota and period now: somebody else may have changed them."""
        if self._unified:
            return _found(group / "cpu.max") == [str(quota_us), str(period_us)]
        found = _found(group / "cpu.cfs_quota_us") + _found(group / "cpu.cfs_period_us")
        return found == [str(quota_us), str(period_us)]

    def _limit(self, group: Path, quota_us: int | None, period_us: int) -> None:
        """Set the quota; None is none."""
        if self._unified:
            (group / "cpu.max").write_text(f"{'max' if quota_us is None else quota_us} {period_us}")
            return
        (group / "cpu.cfs_quota_us").write_text("-1")  # so that quota and period may change in this order
        (group / "cpu.cfs_period_us").write_text(str(period_us))
        (group / "cpu.cfs_quota_us").write_text("-1" if quota_us is None else str(quota_us))


def _quota(cores: float) -> tuple[int, int]:
    """Quota and period (us). Raises Rejected for less than the kernel knows."""
    for period_us in (_PERIOD_US, 10 * _PERIOD_US):
        quota_us = round(cores * period_us)
        if quota_us >= _QUOTA_MIN_US:
            return quota_us, period_us
    raise Rejected(f"{cores:g} core is less than the kernel can hold a group to")


def _found(path: Path) -> list[str]:
    """Words of a file; none when it cannot be read: it is written then, and what is wrong shows there."""
    try:
        return path.read_text("ascii").split()
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError as error:
        raise Rejected(f"{path} cannot be read: {error}") from error
