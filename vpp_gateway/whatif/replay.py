"""A journal folded again by the real gateway, and its decisions compared with those of the run.

    records --verified--> facts --Gateway.step--> commands
                            |                        |
                            |   what the run decided | decisions.jsonl beside the journal, when it was simulated;
                            +--- compared with ------+ else what the facts prove of it:

    Obeyed     device, value (as far as a register holds it) and schedule    Shifted   there was such an order
    Solved, Planned   this very problem was asked                            Concluded   the same record of delivery

The journal itself is not touched (see `reading`). Of one that is damaged, what can be read is folded and compared.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vpp_gateway.catalogue import Told
from vpp_gateway.domain.command import Arrange, Command, Conclude, Plan, Shift, Solve
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.fact import (
    FACT_TYPES,
    Concluded,
    Fact,
    Linked,
    Obeyed,
    Planned,
    Shifted,
    Solved,
    Started,
    Tick,
)
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.order import OrderId, SiteSchedule
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.store import Journal
from vpp_gateway.site.alone import rules
from vpp_gateway.whatif.differ import SHORT, Differs, first_field, is_decision
from vpp_gateway.whatif.keep import Ground, spell
from vpp_gateway.whatif.reading import damage_of, journal_copy

KINDS = frozenset(kind.__name__ for kind in FACT_TYPES)
REGISTER_SHARE = 0.001
"""Of a battery's rating: so far off may be what it confirms, for a register holds whole steps."""
SCHEDULES_KEPT = 500
"""Per site: an outcome of an older schedule proves nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first decision that is not the same."""

    seq: int
    """Record in the journal whose fact led to it."""
    kind: str
    at: float
    was: str
    """What the run decided; empty: nothing."""
    now: str
    """What the replay decides; empty: nothing."""
    field: Differs | None = None
    """Where the two differ, when they are of one kind."""
    torn: int = 0
    """The line of the decisions of the run that cannot be read, from 1; 0: it can."""


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What a replay found."""

    facts: int = 0
    first_at: float | None = None
    last_at: float | None = None
    decisions: int = 0
    """Commands of the replay."""
    compared: int = 0
    missing: int = 0
    """Records that are not in the journal any more."""
    resumed_seq: int = 0
    """Decisions count from this record on."""
    problem: str = ""
    """What is wrong with the journal; empty: it is whole."""
    beyond: int = 0
    """Decisions of the run that follow from records that cannot be read."""
    difference: Difference | None = None


def replay_journal(path: Path, ground: Ground, decided: list[str] | None) -> Replayed:
    """Fold the journal at `path` and compare.

    Args:
        ground: On what the run was made.
        decided: What the run decided, in order, when it was written down.

    Raises:
        JournalError: It cannot be read.
        Told: It is no journal, or `ground` lacks what it speaks of.
    """
    with journal_copy(path) as journal:
        return _fold(journal, ground, decided)


def _fold(journal: Journal, ground: Ground, decided: list[str] | None) -> Replayed:
    gateway = Gateway(ground.fleet, ground.policy, ground.hosts)
    found = Replayed(problem=damage_of(journal))
    from_at = _gaps(journal, found) + ground.policy.baseline_window_s if decided is None else -math.inf
    judge: _Written | Proven = Proven(steps_w(ground)) if decided is None else _Written(deque(decided))
    seq = 0
    for entry in journal.entries():
        seq = entry.seq
        if entry.kind not in KINDS:
            continue
        fact = journal.decode(entry)
        found.facts += 1
        found.first_at = fact.at if found.first_at is None else found.first_at
        found.last_at = fact.at
        commands = step_known(gateway, fact)  # type: ignore[arg-type]  # its kind is one of FACT_TYPES
        found.decisions += len(commands)
        wrong = judge.differs(fact, commands)  # type: ignore[arg-type]  # as above
        if fact.at < from_at:
            judge.compared = 0
        elif wrong is not None:
            found.compared = judge.compared
            line = 0 if decided is None else found.compared + 1
            found.difference = _difference(seq, entry.kind, entry.at, *wrong, line)
            return found
    found.compared = judge.compared
    if found.problem:
        found.beyond = len(judge.left())
    elif left := judge.left():
        found.difference = _difference(seq, "", found.last_at or 0.0, left[0], "", found.compared + 1)
    return found


def step_known(gateway: Gateway, fact: Fact) -> list[Command]:
    """Fold one fact of a journal in.

    Raises:
        Told: The configuration lacks a site, battery or plug-in that the fact speaks of: it is not that of the run.
    """
    try:
        return gateway.step(fact, fact.at)
    except KeyError as unknown:
        raise Told("replay.other_config", name=unknown.args[0]) from unknown


def _difference(seq: int, kind: str, at: float, was: str, now: str, line: int) -> Difference:
    """As it is shown; `line` is that of the run's decision, 0 where none was written down."""
    return Difference(
        seq=seq,
        kind=kind,
        at=at,
        was=was[:SHORT],
        now=now[:SHORT],
        field=first_field(was, now),
        torn=line if was and not is_decision(was) else 0,
    )


def _gaps(journal: Journal, found: Replayed) -> float:
    """When the last gap in the readings ended: what was decided in it cannot be decided again; -inf without one."""
    seq, ended_at = 0, -math.inf
    for entry in journal.entries():
        if entry.seq != seq + 1:
            found.missing += entry.seq - seq - 1
            found.resumed_seq, ended_at = entry.seq, entry.at
        seq = entry.seq
    return ended_at


def steps_w(ground: Ground) -> dict[DeviceId, float]:
    """How coarse each battery's setpoint may be, W."""
    return {
        battery.id: REGISTER_SHARE * max(battery.discharge_max_w, battery.charge_max_w)
        for battery in ground.fleet.batteries
    }


class _Written:
    """The decisions of the run were written down: all of them must come again, in order."""

    def __init__(self, decided: deque[str]) -> None:
        self.compared = 0
        self._decided = decided

    def differs(self, fact: Fact, commands: Iterable[Command]) -> tuple[str, str] | None:
        for command in commands:
            now = spell(command)
            was = self._decided.popleft() if self._decided else ""
            if was != now:
                return was, now
            self.compared += 1
        return None

    def left(self) -> Sequence[str]:
        """What was decided and has not come again."""
        return self._decided


@dataclass(slots=True)
class Proven:
    """Only the facts are there: what they prove of the run's decisions must be what the replay decides.

    Args:
        steps_w: How coarse each battery's setpoint may be, W.
    """

    steps_w: Mapping[DeviceId, float]
    compared: int = 0
    _schedules: dict[SiteId, deque[Arrange]] = field(default_factory=dict)
    _away_at: dict[SiteId, float] = field(default_factory=dict)
    """When a site was last without the centre, or not heard."""
    _orders: set[OrderId] = field(default_factory=set)
    _problems: set[str] = field(default_factory=set)
    _records: list[DeliveryRecord] = field(default_factory=list)

    def differs(self, fact: Fact, commands: Iterable[Command]) -> tuple[str, str] | None:
        """What the run did and the replay does where the fact proves them different; else None."""
        wrong = self._against(fact)
        for command in commands:
            match command:
                case Arrange():
                    kept = self._schedules.setdefault(command.schedule.site, deque(maxlen=SCHEDULES_KEPT))
                    kept.append(command)
                case Shift():
                    self._orders.add(command.order.id)
                case Solve() | Plan():
                    self._problems.add(command.problem.id)
                case Conclude():
                    self._records.append(command.record)
        return wrong

    def left(self) -> Sequence[str]:
        """Nothing: no fact is left over."""
        return ()

    def _against(self, fact: Fact) -> tuple[str, str] | None:
        match fact:
            case Obeyed() if fact.instruction is not None:
                return self._obeyed(fact)
            case Shifted():
                return self._known(fact.order in self._orders, f"order {fact.order}")
            case Solved() | Planned():
                return self._known(fact.problem in self._problems, f"problem {fact.problem}")
            case Started():
                self._away_at.update(dict.fromkeys(self._schedules, fact.at))
            case Linked() if not fact.up:
                self._away_at[fact.site] = fact.at
            case Tick():
                there = {reading.site for reading in fact.snapshot.sites}
                self._away_at.update((site, fact.at) for site in self._schedules if site not in there)
            case Concluded():
                return self._concluded(fact.record)
        return None

    def _known(self, known: bool, what: str) -> tuple[str, str] | None:
        self.compared += 1
        return None if known else (what, "")

    def _obeyed(self, fact: Obeyed) -> tuple[str, str] | None:
        for command in self._schedules.get(fact.site, ()):
            schedule = command.schedule
            if (schedule.epoch, schedule.seq) != (fact.epoch, fact.seq):
                continue
            self.compared += 1
            values = [step.discharge_w for step in schedule.steps if step.device == fact.device]
            step_w = self.steps_w.get(fact.device, 0.0)
            if any(abs(fact.discharge_w - w) <= step_w for w in values) or self._may_be_its_own(
                schedule, fact
            ):
                return None
            was = f"{fact.device} {fact.discharge_w:.3f} W (schedule {fact.epoch}-{fact.seq})"
            now = f"{fact.device} {', '.join(f'{w:.3f} W' for w in values) or '-'}"
            return was, now
        if not self._schedules.get(fact.site):
            return f"{fact.site} schedule {fact.epoch}-{fact.seq}", ""
        newest = self._schedules[fact.site][-1].schedule
        if (fact.epoch, fact.seq) > (newest.epoch, newest.seq):
            return (
                f"{fact.site} schedule {fact.epoch}-{fact.seq}",
                f"{fact.site} schedule {newest.epoch}-{newest.seq}",
            )
        return None

    def _may_be_its_own(self, schedule: SiteSchedule, fact: Obeyed) -> bool:
        """An agent that was without the centre since the schedule went out may have kept its import by itself."""
        own = any(rules(schedule, step) for step in schedule.steps if step.device == fact.device)
        return own and schedule.issued_at <= self._away_at.get(fact.site, -math.inf) <= fact.at

    def _concluded(self, record: DeliveryRecord) -> tuple[str, str] | None:
        self.compared += 1
        if record in self._records:
            self._records.remove(record)
            return None
        same = next((r for r in self._records if r.instruction == record.instruction), None)
        return f"{record}", "" if same is None else f"{same}"
