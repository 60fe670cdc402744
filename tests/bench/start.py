"""Rows `start_help` and `start_status`: the command line must be there at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.children import environment
from tests.bench.report import Check, Figure, Goal, Row, row
from tests.bench.samples import interleaved, median
from tests.unit.console_fake import FakeSource, World
from tests.unit.control_thread import answering
from vpp_gateway.clock import SystemClock

RUNS = 20
GOAL_MS = 150.0
ORIGIN = 1_790_000_000.0
BARE = (sys.executable, "-c", "pass")


class LateClock(SystemClock):
    """The middle of the made-up event."""

    def utc(self) -> float:
        """UTC (Unix s), standing still."""
        return ORIGIN + 300.0


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """Measure what is wanted."""
    gateway = (str(Path(sys.executable).with_name("vpp-gateway")),)
    if "start_help" in wanted:
        yield measure("start_help", (*gateway, "--help"), "`vpp-gateway --help`")
    if "start_status" in wanted:
        source = FakeSource(World(ORIGIN), LateClock())
        with TemporaryDirectory() as folder, answering(source, Path(folder)):
            command = (*gateway, "status", "--state-dir", folder)
            yield measure(
                "start_status", command, "`vpp-gateway status`, tables, from a control socket that answers"
            )


def measure(name: str, command: Sequence[str], what: str) -> Row:
    """Whole processes, in turn with an interpreter that does nothing."""
    codes: list[int] = []

    def run(arguments: Sequence[str]) -> float:
        began = time.perf_counter()
        done = subprocess.run(arguments, stdout=subprocess.DEVNULL, env=environment(), check=False)
        codes.append(done.returncode)
        return 1000.0 * (time.perf_counter() - began)

    run(command)
    ours, bare = interleaved(lambda: run(command), lambda: run(BARE), RUNS)
    return row(
        name,
        quantity=f"{what}: start to end, median of {RUNS}",
        ours=median(ours),
        unit="ms",
        better="lower",
        against="`python -c pass`",
        theirs=median(bare),
        goal=(Goal(of="ours", at_most=GOAL_MS),),
        note=f"{RUNS} runs of each in turn, after one that is not counted; the interpreter is in the figure.",
        origin="perf_counter of the calling process, from spawn to exit",
        figures=(Figure(name="slowest", value=max(ours), unit="ms"),),
        checks=(Check(what="every run ended well", true=set(codes) <= {0, 6}),),
    )
