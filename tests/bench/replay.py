"""Rows `replay_day` and `replay_day_decode`: a day's facts once more, with the same commands."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from tests.bench.children import Answer, Child, number
from tests.bench.report import Check, Figure, Goal, Row, row

SEED = 1
DAY_S = 86_400


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """Measure; both rows come from one run."""
    yield from measure(DAY_S)


def measure(seconds: int) -> Iterator[Row]:
    """Live `seconds` of the eventful day and replay them."""
    answer = Child("eventful_day", SEED, seconds).answer()
    kinds = answer["kinds"]
    assert isinstance(kinds, dict)
    checks = [
        Check(what="commands and facts are identical to the first pass", true=answer["same"] is True),
        Check(what="the engine names no trouble", true=answer["trouble"] == ""),
    ]
    if seconds == DAY_S:
        checks += [
            Check(what="at least 20 events", true=kinds["Concluded"] >= 20),
            Check(what="at least 2000 facts that are no readings", true=number(answer, "others") >= 2000),
        ]
    day = (
        f"{seconds} s of three sites with six batteries: {kinds['Tick']} readings and "
        + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()) if kind != "Tick")
        + f"; seed {SEED}"
    )
    yield _row(
        "replay_day",
        answer,
        "folded_s",
        f"{day}. Facts are decoded beforehand; timed is gateway.step alone.",
        "perf_counter around the folds, 2000 facts at a time; median of three replays",
        tuple(checks),
    )
    yield _row(
        "replay_day_decode",
        answer,
        "decoded_s",
        f"{day}. From the journal on disk: hash chain checked, decoded, folded; as a start after a crash does it.",
        "monotonic clock from the first record to the last; median of three replays, in turn with replay_day",
        (),
    )


def _row(name: str, answer: Answer, key: str, note: str, origin: str, checks: tuple[Check, ...]) -> Row:
    times = answer[key]
    assert isinstance(times, list)
    took_s, virtual_s = median(times), number(answer, "virtual_s")
    return row(
        name,
        quantity="replayed seconds per second",
        ours=virtual_s / took_s,
        unit="s/s",
        better="higher",
        against="real time",
        theirs=1.0,
        goal=(Goal(of="ours", at_least=2000.0),),
        note=note,
        origin=origin,
        figures=(
            Figure(name="replay", value=took_s, unit="s"),
            Figure(name="per fact", value=1e6 * took_s / number(answer, "facts"), unit="us"),
            Figure(name="facts", value=number(answer, "facts"), unit="1"),
            Figure(name="journal", value=number(answer, "journal_bytes"), unit="byte"),
        ),
        checks=checks,
    )
