"""First code of a plug-in's process: fence it in, then become the runner.

    python -I launch.py --parent PID --path DIR --memory BYTES --files N -- ENTRYPOINT_NAME

Run by path, so that it works before the package is importable. Order: die with the parent, limit memory, open
files and core dumps, then load `serve`. A tiny launcher is preferred to `preexec_fn`, which is not safe in a
process with threads. Its own session (process group) comes from the host, which kills the group as a whole.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def die_with(parent: int) -> None:
    """SIGKILL for this process when its parent dies, and no new privileges by exec."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) refused")
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS) refused")
    if os.getppid() != parent:  # it died before the signal was armed
        sys.exit(1)


def limit(kind: int, value: int) -> None:
    """Lower the soft limit of a resource.

    The hard limit stays: the fence is against faults, not against intent, and a lever that starts a site's real
    jobs must be able to start them without it.
    """
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, hard))


def main() -> int:
    """Fence this process in and run the plug-in."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--path", action="append", default=[])
    parser.add_argument("--memory", type=int, required=True)
    parser.add_argument("--files", type=int, required=True)
    parser.add_argument("entry_point")
    arguments = parser.parse_args()
    die_with(arguments.parent)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, arguments.files)
    limit(resource.RLIMIT_AS, arguments.memory)
    # `python -I launch.py` puts no folder of ours on the path; an installed package needs none.
    sys.path.extend(path for path in arguments.path if path not in sys.path)
    from vpp_gateway.southbound.workload import serve

    return serve.main([arguments.entry_point])


if __name__ == "__main__":
    sys.exit(main())
