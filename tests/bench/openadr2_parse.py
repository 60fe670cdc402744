"""Rows `openadr2_parse_*`: event lists are read beside openleadr's parser; `openadr2_parse_lag`: the loop meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.children import Child, command, environment, number
from tests.bench.openadr2_lists import body, event_list
from tests.bench.report import Check, Figure, Goal, Row, row
from tests.bench.samples import interleaved, median
from tests.repository import ROOT

LISTS = {
    "openadr2_parse_1": (1, 1, 300),
    "openadr2_parse_100": (100, 1, 30),
    "openadr2_parse_1000": (1000, 1, 9),
    "openadr2_parse_intervals_1000": (1, 1000, 30),
}
"""Row -> events, intervals of each, rounds."""
FASTER, FASTER_MIN = "times as fast as openleadr", 20.0
LAG_MS = 20.0
LAG_ROUNDS = 30


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """Measure what is wanted."""
    with TemporaryDirectory() as folder:
        if wanted & LISTS.keys():
            with reader("ours") as we, reader("openleadr") as they:
                for name in LISTS:
                    if name in wanted:
                        yield measure(name, Path(folder), we, they)
        if "openadr2_parse_lag" in wanted:
            yield lag(Path(folder))


class Reader:
    """A process of its own that reads one file when asked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read_ms(self, file: Path) -> float:
        """How long one reading took."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{file}\n")
        self._process.stdin.flush()
        return 1000.0 * float(self._process.stdout.readline())


@contextmanager
def reader(who: str) -> Iterator[Reader]:
    """`ours` or `openleadr`, until the block ends."""
    with subprocess.Popen(
        command("openadr2_reader", who),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=ROOT,
    ) as process:
        yield Reader(process)
        assert process.stdin is not None
        process.stdin.close()


def measure(name: str, folder: Path, we: Reader, they: Reader) -> Row:
    """One list, read in turn."""
    events, intervals, rounds = LISTS[name]
    said = body(event_list(events, intervals))
    file = folder / f"{name}.xml"
    file.write_bytes(said)
    first = we.read_ms(file)
    they.read_ms(file)
    ours, theirs = interleaved(lambda: we.read_ms(file), lambda: they.read_ms(file), rounds)
    goal = (Goal(of=FASTER, at_least=FASTER_MIN),) if events == 1000 else ()
    return row(
        name,
        quantity=f"oadrDistributeEvent with {events} events of {intervals} intervals: bytes to values, median",
        ours=median(ours),
        unit="ms",
        better="lower",
        against="openleadr's parser",
        theirs=median(theirs),
        goal=goal,
        note=(
            f"{len(said)} bytes, {rounds} readings each, in turn, each side in a process of its own. Ours: bounds, "
            "hardened parse, schema, typed values; events that repeat an accepted one but for plain texts are read by "
            "its mould (decision 18). openleadr 0.5.36: validate_xml_schema and parse_message, as its VEN "
            "does with a reply."
        ),
        origin="perf_counter of the reading process",
        figures=(
            Figure(name=FASTER, value=median(theirs) / median(ours), unit="1"),
            Figure(name="first reading, before anything is learnt", value=first, unit="ms"),
            Figure(name="slowest", value=max(ours), unit="ms"),
        ),
    )


def lag(folder: Path) -> Row:
    """The loop of the VEN's client while lists of 1000 events come in."""
    file = folder / "list.xml"
    file.write_bytes(body(event_list(1000)))
    answer = Child("openadr2_lag", file, LAG_ROUNDS).answer()
    return row(
        "openadr2_parse_lag",
        quantity="longest time the loop was not free while 1000 events were received and read",
        ours=1000.0 * number(answer, "busy_s"),
        unit="ms",
        better="lower",
        against="the same probe with an idle client",
        theirs=1000.0 * number(answer, "idle_s"),
        goal=(Goal(of="ours", at_most=LAG_MS),),
        note=(
            f"{LAG_ROUNDS} exchanges of a client with a server in another process, plain HTTP; a task of the same loop "
            "sleeps 1 ms at a time and notes how much later it woke. On a loaded machine this holds the wait for a core "
            "as well: compare with the idle figure."
        ),
        origin="perf_counter of the client's process",
        figures=(
            Figure(name="99 % of the waits are below", value=1000.0 * number(answer, "p99_s"), unit="ms"),
            Figure(name="exchange, median", value=1000.0 * number(answer, "exchange_s"), unit="ms"),
        ),
        checks=(Check(what="every list was read whole", true=answer["events"] == 1000 * LAG_ROUNDS),),
    )
