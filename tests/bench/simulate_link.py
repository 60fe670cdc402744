"""Row `simulate_link`: the centre in simulated time, with a plant model at the site link instead of Modbus."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.children import Child, number
from tests.bench.report import Check, Figure, Goal, Row, row

HOURS = 4
SEED = 1


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """Measure."""
    yield measure(HOURS)


def measure(hours: float) -> Row:
    """Simulate `hours` and say how fast it went."""
    answer = Child("link_hours", hours, SEED).answer()
    virtual_s, wall_s = number(answer, "virtual_s"), number(answer, "wall_s")
    completed, events = number(answer, "completed"), number(answer, "events")
    return row(
        "simulate_link",
        quantity="simulated seconds per second",
        ours=virtual_s / wall_s,
        unit="s/s",
        better="higher",
        against="real time",
        theirs=1.0,
        goal=(Goal(of="ours", at_least=1000.0),),
        note=(
            f"{virtual_s / 3600:g} h of three sites with six batteries at 1 Hz, two events of 15 min an hour, load with "
            "noise of 2 kW per site. Real: engine, gateway, journal on disk with its syncs, words of the link encoded "
            "and decoded both ways. Modelled: agents, devices and load. One core."
        ),
        origin="perf_counter of the simulating process, from the first simulated second to the last flush",
        figures=(
            Figure(name="real time", value=wall_s, unit="s"),
            Figure(name="processor time", value=number(answer, "cpu_s"), unit="s"),
            Figure(name="per simulated second", value=1e6 * wall_s / virtual_s, unit="us"),
            Figure(name="facts", value=number(answer, "facts"), unit="1"),
            Figure(name="commands", value=number(answer, "commands"), unit="1"),
        ),
        checks=(
            Check(what="every event was completed", true=completed == events),
            Check(
                what="99 % of the samples of every event are within 10 %",
                true=number(answer, "within") >= 0.99,
            ),
            Check(what="the engine names no trouble", true=answer["trouble"] == ""),
        ),
    )
