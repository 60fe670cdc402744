"""Rows `dispatch_N`, `dispatch_arming_N`, `dispatch_readback_N`: from an accepted event to the batteries' answers."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.children import Answer, Child, number
from tests.bench.report import Check, Figure, Goal, Row, row
from tests.bench.samples import median, percentile

ROUNDS = {6: 40, 100: 40, 300: 30}
ARMINGS = 5
P99_MS = {100: 100.0, 300: 250.0}
RATIO, RATIO_MAX = "ratio of medians", 2.0
ORIGIN = (
    "from before engine.take([Instructed]) by the centre's clock to the last answer by the site agent's clock, same "
    "machine; the raw client by its own perf_counter"
)


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """Measure the families of every wanted size."""
    for batteries in ROUNDS:
        names = {f"{name}_{batteries}" for name in ("dispatch", "dispatch_arming", "dispatch_readback")}
        if names & wanted:
            yield from measure(batteries, ROUNDS[batteries])


def measure(batteries: int, rounds: int) -> Iterator[Row]:
    """One world, three rows."""
    answer = Child("dispatch_centre", batteries, rounds, ARMINGS).answer()
    ours, raw = _ms(answer, "ours_s"), _ms(answer, "raw_s")
    note = (
        f"{batteries} armed batteries, each answering after 30 ms, in {answer['processes']} server processes; journal, "
        f"gateway, Unix socket, one site agent, one FC16 write per battery. {rounds} orders, in turn with a raw asyncio "
        "client that does the same writes to the same servers over connections of its own."
    )
    checks = (
        Check(what="every battery acknowledged every order", true=len(ours) == rounds == len(raw)),
        Check(what="no battery refused or lost an order", true=answer["refusing"] == []),
        Check(what="the engine names no trouble", true=answer["trouble"] == ""),
    )
    goal = [Goal(of=RATIO, at_most=RATIO_MAX)]
    if batteries in P99_MS:
        goal.append(Goal(of="ours", at_most=P99_MS[batteries]))
    yield row(
        f"dispatch_{batteries}",
        quantity="event accepted to last Modbus acknowledgement, p99",
        ours=percentile(ours, 99),
        unit="ms",
        better="lower",
        against="raw asyncio client",
        theirs=percentile(raw, 99),
        goal=tuple(goal),
        note=note,
        origin=ORIGIN,
        figures=(
            Figure(name="median", value=median(ours), unit="ms"),
            Figure(name="median of the raw client", value=median(raw), unit="ms"),
            Figure(name=RATIO, value=median(ours) / median(raw), unit="1"),
            Figure(name="orders", value=len(ours), unit="1"),
            Figure(
                name="the agent's clock is behind by at most",
                value=1000.0 * number(answer, "clock_s"),
                unit="ms",
            ),
        ),
        checks=checks,
    )
    readback, arming = _ms(answer, "readback_s"), _ms(answer, "arming_s")
    yield row(
        f"dispatch_readback_{batteries}",
        quantity="event accepted to last setpoint confirmed by read-back, p99",
        ours=percentile(readback, 99),
        unit="ms",
        better="lower",
        against="nothing",
        note=note,
        origin=ORIGIN,
        figures=(Figure(name="median", value=median(readback), unit="ms"),),
        checks=checks,
    )
    yield row(
        f"dispatch_arming_{batteries}",
        quantity="event accepted to last acknowledgement, batteries in local control before, slowest",
        ours=max(arming),
        unit="ms",
        better="lower",
        against="nothing",
        note=f"{ARMINGS} orders to batteries that must first be configured and enabled. " + note,
        origin=ORIGIN,
        figures=(Figure(name="median", value=median(arming), unit="ms"),),
        checks=checks,
    )


def _ms(answer: Answer, key: str) -> list[float]:
    values = answer[key]
    assert isinstance(values, list)
    return [1000.0 * float(value) for value in values]
