"""How a job's process is started so that it never runs twice, and never unknown to the lever.

    spawn --> waits at the gate (its standard input)  --go-->  runs, holding the job's lock for life
                     |
                     +-- the lever dies: end of input --> exits, having done nothing

1. The process is started with a descriptor of the job's lock file and stops at the gate: either the program itself,
   warm, in its standby mode, or a shell that will `exec` it.
2. When the job has left its source, the lever takes the lock (flock). It does so on the *same open file description*
   that the child has inherited: from now on the child holds it, for as long as it lives, and the kernel gives it
   back whatever way it ends. Nobody else can have it, so nobody else runs this job.
3. Its pid is written down (run.json), and only then "go" is written.

So a lever killed at any moment leaves either a process that is written down and holds the lock, or none.
"""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

from vpp_gateway.errors import Rejected
from vpp_gateway.southbound.workload.process_lever import proc
from vpp_gateway.southbound.workload.process_lever.jobs import Folder

_FOLDER_FD = 8
_LOCK_FD = 9
_SHELL = "/bin/sh"
# `ulimit`: what fences the lever in must not fence the site's work in. The folder is entered by descriptor, because
# its path may have changed before the shell gets there.
_ENTER = 'ulimit -S -v "$(ulimit -H -v)"; cd -P /proc/self/fd/8 && exec 8<&- && '
_WARM = _ENTER + 'exec "$@"'
_COLD = _ENTER + 'read -r go && exec "$@" </dev/null'
_GO = b"go\n"


class Gated:
    """A process at the gate."""

    def __init__(self, job: str, who: proc.Ident, lock_fd: int, gate_fd: int) -> None:
        self.job = job
        self.who = who
        self._lock_fd = lock_fd
        self._gate_fd = gate_fd
        self._open = True

    def lock(self) -> bool:
        """Take the job's lock for the process; False while somebody else holds it."""
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def go(self) -> None:
        """Let it run. Raises Rejected when it has ended at the gate."""
        try:
            os.write(self._gate_fd, _GO)
        except BrokenPipeError as error:
            raise Rejected(f"job {self.job}: its process ended before it was let go") from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the gate; a process still waiting there ends. The lock stays with a process that runs."""
        if self._open:
            self._open = False
            os.close(self._gate_fd)
            os.close(self._lock_fd)


def spawn(folder: Folder, root: Path) -> Gated:
    """Start the job's program up to the gate. Raises Rejected when it cannot be started."""
    lock_path = folder.lock_path(root)
    lock_path.parent.mkdir(exist_ok=True)
    job = folder.job
    if job.standby_argv:
        argv = [_SHELL, "-c", _WARM, job.job, *job.argv, *job.standby_argv]
    else:
        argv = [_SHELL, "-c", _COLD, job.job, *job.argv]
    try:
        folder_fd = _high(os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except FileNotFoundError as error:
        raise Rejected(f"job {job.job}: its folder {folder.path} is gone") from error
    lock_fd = _high(os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    gate_out, gate_in = os.pipe2(os.O_CLOEXEC)
    console = str(folder.path / "console.log")
    try:
        pid = os.posix_spawn(
            _SHELL,
            argv,
            {"PATH": "/usr/bin:/bin"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, gate_out, 0),
                (os.POSIX_SPAWN_OPEN, 1, console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                (os.POSIX_SPAWN_DUP2, folder_fd, _FOLDER_FD),
                (os.POSIX_SPAWN_DUP2, lock_fd, _LOCK_FD),
            ],
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGTERM, signal.SIGINT],
            setsigmask=[],
        )
    except OSError as error:
        os.close(lock_fd)
        os.close(gate_in)
        raise Rejected(f"job {job.job}: cannot be started: {error}") from error
    finally:
        os.close(gate_out)
        os.close(folder_fd)
    who = proc.ident(pid)
    assert who is not None  # our own child, not yet waited for: at least a zombie
    return Gated(job.job, who, lock_fd, gate_in)


def _high(fd: int) -> int:
    """The same descriptor beyond those that the child is given by number."""
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(fd)
    return high


def locked(folder: Folder, root: Path) -> bool:
    """Whether a process holds the job's lock now."""
    try:
        fd = os.open(folder.lock_path(root), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
