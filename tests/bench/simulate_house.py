"""Rows `simulate_modbus` and `simulate_repeat`: the whole house in virtual time, how fast and how repeatable."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.children import Answer, Child, number
from tests.bench.report import Check, Figure, Goal, Row, row

SEED = 1
HOUR_S = 3600
REPEAT_S = 400
HASH_SEEDS = ("1", "4242")


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """Measure what is wanted."""
    if "simulate_modbus" in wanted:
        yield measure_speed(HOUR_S)
    if "simulate_repeat" in wanted:
        yield measure_repeat(REPEAT_S)


def measure_speed(seconds: int) -> Row:
    """How fast `seconds` pass on one core."""
    answer = Child("house_hour", seconds, SEED).answer()
    virtual_s, wall_s = number(answer, "virtual_s"), number(answer, "wall_s")
    return row(
        "simulate_modbus",
        quantity="simulated seconds per second",
        ours=virtual_s / wall_s,
        unit="s/s",
        better="higher",
        against="real time",
        theirs=1.0,
        goal=(Goal(of="ours", at_least=40.0),),
        note=(
            f"{seconds} s in virtual time, one process on one core: six batteries and three meters behind real Modbus/TCP "
            "sockets at 1 Hz, a VTN behind mutual TLS polled each 10 s with signed messages and a report each 300 s, "
            "engine, journal on disk, three agents, two events by the VTN. Both ends of every connection are in the "
            "figure, and so is the writing of the trace."
        ),
        origin="perf_counter of that process, from the open house to the last simulated second",
        figures=(
            Figure(name="real time", value=wall_s, unit="s"),
            Figure(name="processor time", value=number(answer, "cpu_s"), unit="s"),
            Figure(name="Modbus requests", value=number(answer, "modbus") / virtual_s, unit="1/s simulated"),
            Figure(name="HTTPS requests", value=number(answer, "https") / virtual_s, unit="1/s simulated"),
            Figure(name="requests", value=_requests(answer) / virtual_s, unit="1/s simulated"),
            Figure(name="requests in real time", value=_requests(answer) / wall_s, unit="1/s"),
        ),
        checks=(
            Check(what="both events were completed", true=answer["completed"] == 2),
            Check(
                what="99 % of the samples of each event are within 10 %",
                true=number(answer, "within") >= 0.99,
            ),
            Check(what="the VTN refused no message", true=answer["refused"] == 0),
            Check(what="polled as asked", true=number(answer, "polls") >= 0.9 * virtual_s / 10),
            Check(what="the engine names no trouble", true=answer["trouble"] == ""),
        ),
    )


def _requests(answer: Answer) -> float:
    return number(answer, "modbus") + number(answer, "https")


def measure_repeat(seconds: int) -> Row:
    """Two processes, one seed: what differs."""
    children = [
        Child("house_hour", seconds, SEED, env={"PYTHONHASHSEED": hash_seed}) for hash_seed in HASH_SEEDS
    ]
    first, second = (child.answer() for child in children)
    same = first["digest"] == second["digest"]
    return row(
        "simulate_repeat",
        quantity="different traces of one seed",
        ours=1.0 if same else 2.0,
        unit="1",
        better="lower",
        against="a second process",
        goal=(Goal(of="ours", at_most=1.0),),
        note=(
            f"{seconds} s of the house of simulate_modbus, twice at the same time, with PYTHONHASHSEED "
            f"{' and '.join(HASH_SEEDS)}. The trace holds every fact, command and register write with its virtual time."
        ),
        origin="no time is measured",
        figures=(
            Figure(name="facts, commands and writes in the trace", value=number(first, "records"), unit="1"),
            Figure(name="of these register writes", value=number(first, "writes"), unit="1"),
        ),
        checks=(
            Check(what="the digests are the same", true=same),
            Check(what="both events were completed", true=first["completed"] == 2 == second["completed"]),
        ),
    )
