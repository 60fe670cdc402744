"""Rows `openadr2_poll_cpu` and `openadr2_poll_signal`: what pulling each second costs, and how old a signal gets by it;
`openadr2_push_signal`: the same VTN, the same way to the journal, without a poll between."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.children import Answer, Child, number
from tests.bench.openadr2_vtn import PERIOD_S
from tests.bench.report import Check, Figure, Goal, Row, row
from tests.bench.samples import median, percentile

SETTLE_S, CPU_S, ROUNDS = 5.0, 60.0, 60
CPU_PERCENT = 2.0
WAY_MS = 50.0


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """One run with pull gives two, one with push the third."""
    answer = Child("openadr2_ven", SETTLE_S, CPU_S, ROUNDS, "pull").answer()
    yield cpu(answer, checks_of(answer))
    yield signal(answer, checks_of(answer))
    answer = Child("openadr2_ven", SETTLE_S, 1.0, ROUNDS, "push").answer()
    yield push(answer, checks_of(answer))


def checks_of(answer: Answer) -> tuple[Check, ...]:
    """What must hold of every run."""
    return (
        Check(what="no exchange failed", true=answer["failures"] == [] == answer["refused"]),
        Check(what="the engine names no trouble", true=answer["trouble"] == ""),
    )


def cpu(answer: Answer, checks: tuple[Check, ...]) -> Row:
    """Share of a core."""
    spent, wall, polls = (number(answer, key) for key in ("cpu_s", "wall_s", "polls"))
    return row(
        "openadr2_poll_cpu",
        quantity="process time of the VEN polling each second, share of one core",
        ours=100.0 * spent / wall,
        unit="%",
        better="lower",
        against="nothing",
        goal=(Goal(of="ours", at_most=CPU_PERCENT),),
        note=(
            f"{wall:.0f} s after registration, {polls:.0f} polls that bring nothing: mutual TLS, P-256 signatures made "
            "and checked, schema both ways; session, client, engine with its ticks and journal in one process, the VTN "
            "in another."
        ),
        origin="process_time of the VEN's process",
        figures=(Figure(name="process time per poll", value=1000.0 * spent / max(polls, 1.0), unit="ms"),),
        checks=(
            *checks,
            Check(what="it polled each second", true=abs(polls * PERIOD_S / wall - 1.0) < 0.05),
        ),
    )


def signal(answer: Answer, checks: tuple[Check, ...]) -> Row:
    """Age of a signal when it is safe."""
    available, durable = answer["available"], answer["durable"]
    assert isinstance(available, dict) and isinstance(durable, dict)
    took = [1000.0 * (durable[event] - at) for event, at in available.items() if event in durable]
    return row(
        "openadr2_poll_signal",
        quantity="event available at the VTN to instruction durable, p99",
        ours=percentile(took, 99),
        unit="ms",
        better="lower",
        against=f"the poll interval of {PERIOD_S:g} s",
        theirs=1000.0 * PERIOD_S,
        goal=(Goal(of="ours", at_most=1000.0 * PERIOD_S + WAY_MS),),
        note=f"{len(took)} events at random moments, each in place of the one before; otherwise as openadr2_poll_cpu.",
        origin="time of the VTN's process to time of the VEN's, same machine",
        figures=(
            Figure(name="median", value=median(took), unit="ms"),
            Figure(name="quickest", value=min(took), unit="ms"),
        ),
        checks=(*checks, Check(what="every event became an instruction", true=len(took) == ROUNDS)),
    )


def push(answer: Answer, checks: tuple[Check, ...]) -> Row:
    """Age of a signal when it is safe, posted to us."""
    available, durable, replies = answer["available"], answer["durable"], answer["reply_s"]
    assert isinstance(available, dict) and isinstance(durable, dict) and isinstance(replies, list)
    took = [1000.0 * (durable[event] - at) for event, at in available.items() if event in durable]
    return row(
        "openadr2_push_signal",
        quantity="event available at the VTN to instruction durable, posted by the VTN, p99",
        ours=percentile(took, 99),
        unit="ms",
        better="lower",
        against="nothing",
        goal=(Goal(of="ours", at_most=WAY_MS),),
        note=(
            f"{len(took)} events at random moments over one connection that stays open; writing and signing by the VTN "
            "included; otherwise as openadr2_poll_signal."
        ),
        origin="time of the VTN's process to time of the VEN's, same machine",
        figures=(
            Figure(name="median", value=median(took), unit="ms"),
            Figure(name="longest reply", value=1000.0 * max(replies), unit="ms"),
        ),
        checks=(*checks, Check(what="every event became an instruction", true=len(took) == ROUNDS)),
    )
