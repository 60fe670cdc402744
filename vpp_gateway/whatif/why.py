"""Why an event went as it did: its journal folded again by the real gateway, and each second of it looked at.

    records --verified--> facts --Gateway.step--> look --> Chronicle: rows
                            |                       `----> the second that was asked for
                            `-- what the facts prove of the run's decisions is compared, as `replay` does

Readings of times in which nothing was known or asked are left out: what they leave behind is forgotten within
`LOOK_BACK_S`. The journal is only read, also while a gateway writes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vpp_gateway.catalogue import Told
from vpp_gateway.chronicle.look import Look
from vpp_gateway.chronicle.observe import look
from vpp_gateway.chronicle.precedence import holders
from vpp_gateway.chronicle.rows import Chronicle, Row
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.fact import Concluded, Fact, Instructed, Tick, Withdrawn
from vpp_gateway.domain.instruction import Instruction, InstructionId, Limit
from vpp_gateway.domain.plan import Reason
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.store import Entry, Journal
from vpp_gateway.whatif.keep import Ground
from vpp_gateway.whatif.reading import Damaged, damage_of, journal_copy
from vpp_gateway.whatif.replay import KINDS, Proven, step_known, steps_w

LOOK_BACK_S = 1000.0
"""Readings so long before an instruction leave nothing behind: the longest memory is that of a load unseen."""
AFTER_S = 180.0
"""So long after its end an event is looked at: work returns."""
SETTLE_S = 30.0
"""So long after a start or a link the readings count also when nothing is asked."""
SECOND_S = 1.5
"""A second that was asked for is found so far off."""
JOIN_S = 30.0
"""Gaps that lie no further apart are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Otherwise:
    """From here on the replay does not decide what the run decided."""

    seq: int
    at: float


@dataclass(slots=True, kw_only=True)
class Why:
    """What can be told of one event."""

    instruction: Instruction
    """As last received."""
    rows: tuple[Row, ...] = ()
    record: DeliveryRecord | None = None
    """What came of it; None while it is not over."""
    second: Look | None = None
    """The second that was asked for."""
    seen: tuple[float, float] | None = None
    """First and last second in force of which there is a reading."""
    gaps: tuple[tuple[float, float], ...] = ()
    """Times in its life of which there are no readings any more."""
    facts: int = 0
    compared: int = 0
    """Decisions of the run that the facts prove."""
    otherwise: Otherwise | None = None
    problem: str = ""
    """What is wrong with the journal; empty: it is whole."""
    target_w: float | None = None
    """What was asked, mean over the seconds that counted, W; None: not known."""
    limited: bool = False
    """It is a limit."""
    limit_held: bool | None = None
    """Of a limit: whether every site has kept it; None while that cannot be said."""

    @property
    def whole(self) -> bool:
        """Whether everything could be told."""
        return not self.problem and not self.gaps and self.otherwise is None


def why_of(path: Path, ground: Ground, wanted: str, at: Callable[[Instruction], float] | None = None) -> Why:
    """Explain one event of the journal at `path`.

    Args:
        ground: On what the run was made.
        wanted: `<room>/<event id>`, or the utility's id where only one event has it.
        at: The second that is asked for, UTC (Unix s), of the instruction that was found.

    Raises:
        Told: It is no journal, there is no such event or several, or `ground` lacks what the journal speaks of.
        Damaged: There is no such event in the part of the journal that can be read.
        JournalError: The journal cannot be read.
    """
    with journal_copy(path) as journal:
        known = _Known.of(journal)
        try:
            instruction = known.chosen(wanted)
        except Told as unknown:
            if damage := damage_of(journal):
                raise Damaged(path, damage, unknown) from None
            raise
        asked_at = None if at is None else at(instruction)
        return _Fold(journal, ground, known, instruction, asked_at).run()


@dataclass(slots=True)
class _Known:
    """One pass over the journal: which events there are, when readings count, and where they are missing."""

    instructions: dict[InstructionId, Instruction] = field(default_factory=dict)
    lives: dict[InstructionId, tuple[float, float]] = field(default_factory=dict)
    """From the first word of it to its record."""
    spans: list[tuple[float, float]] = field(default_factory=list)
    """Times whose readings are folded."""
    gaps: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def of(cls, journal: Journal) -> _Known:
        known, seq, before_at = cls(), 0, -math.inf
        for entry in journal.entries():
            if entry.seq != seq + 1:
                known._gap(before_at, entry.at)
            seq, before_at = entry.seq, entry.at
            known._take(journal, entry)
        known.spans += [(life[0] - LOOK_BACK_S, life[1] + AFTER_S) for life in known.lives.values()]
        known.spans.sort()
        return known

    def _gap(self, since: float, until: float) -> None:
        if self.gaps and since - self.gaps[-1][1] <= JOIN_S:
            since = self.gaps.pop()[0]
        self.gaps.append((since, until))

    def _take(self, journal: Journal, entry: Entry) -> None:
        if entry.kind in ("Started", "Linked"):
            self.spans.append((entry.at, entry.at + SETTLE_S))
        if entry.kind not in ("Instructed", "Concluded"):
            return
        match journal.decode(entry):
            case Instructed() as fact:
                id = fact.instruction.id
                self.instructions[id] = fact.instruction
                self.lives[id] = (min(self.lives.get(id, (math.inf,))[0], fact.at), math.inf)
            case Concluded() as fact if fact.record.instruction in self.lives:
                since = self.lives[fact.record.instruction][0]
                self.lives[fact.record.instruction] = (since, fact.at)

    def chosen(self, wanted: str) -> Instruction:
        """The event called `wanted`. Raises Told."""
        exact = self.instructions.get(InstructionId(wanted))
        if exact is not None:
            return exact
        same = [one for one in self.instructions.values() if one.event_id == wanted]
        if len(same) == 1:
            return same[0]
        names = ", ".join(one.id for one in same or self.instructions.values()) or "-"
        raise Told("events.ambiguous" if same else "events.unknown", found=wanted, known=names)


class _Fold:
    """The second pass: facts into the gateway, seconds into the chronicle."""

    def __init__(
        self,
        journal: Journal,
        ground: Ground,
        known: _Known,
        instruction: Instruction,
        asked_at: float | None,
    ) -> None:
        self._journal, self._known, self._asked_at = journal, known, asked_at
        self._id = instruction.id
        self._life = known.lives[instruction.id]
        self._gateway = Gateway(ground.fleet, ground.policy, ground.hosts)
        self._chronicle = Chronicle()
        self._proven = Proven(steps_w(ground))
        gaps = tuple(gap for gap in known.gaps if gap[1] >= self._life[0] and gap[0] <= self._life[1])
        limited = any(isinstance(phase.demand, Limit) for phase in instruction.phases)
        self._found = Why(instruction=instruction, gaps=gaps, problem=damage_of(journal), limited=limited)
        ended = max((until for _, until in known.gaps), default=-math.inf)
        self._sure_at = ended + ground.policy.baseline_window_s
        """Before it the facts prove nothing: what was decided in a gap cannot be decided again."""
        self._span = 0

    def run(self) -> Why:
        """Fold until the event is over and its work is back."""
        for entry in self._journal.entries():
            if entry.at > self._life[1] + AFTER_S:
                break
            if entry.kind in KINDS and (entry.kind != "Tick" or self._counts(entry.at)):
                self._take(entry)
        self._found.rows = self._chronicle.rows()
        self._found.limit_held = self._chronicle.limit_held
        self._found.compared = self._proven.compared
        return self._found

    def _counts(self, at: float) -> bool:
        """Whether the reading of this moment is needed."""
        spans = self._known.spans
        while self._span < len(spans) and spans[self._span][1] < at:
            self._span += 1
        return any(since <= at <= until for since, until in spans[self._span :])

    def _take(self, entry: Entry) -> None:
        fact: Fact = self._journal.decode(entry)  # type: ignore[assignment]  # its kind is one of FACT_TYPES
        commands = step_known(self._gateway, fact)
        self._found.facts += 1
        wrong = self._proven.differs(fact, commands)
        if fact.at < self._sure_at:
            self._proven.compared = 0
        elif wrong is not None and self._found.otherwise is None:
            self._found.otherwise = Otherwise(seq=entry.seq, at=entry.at)
        self._tell(fact)

    def _tell(self, fact: Fact) -> None:
        match fact:
            case Instructed() if fact.instruction.id == self._id:
                delivery = self._gateway.account.delivery(self._id)
                opt, why = ("in", None) if delivery is None else (delivery.opt or "in", delivery.opt_reason)
                least = self._gateway.policy.opt_in_at_least
                held_by = holders(self._gateway.timeline, fact.instruction) if _too_little(why) else ()
                self._chronicle.answered(fact.at, fact.instruction, opt, why, least, held_by)
            case Withdrawn() if fact.instruction == self._id:
                self._chronicle.withdrawn(fact)
            case Concluded() if fact.record.instruction == self._id:
                self._found.record = fact.record
                self._found.target_w = self._chronicle.target_w(fact.record)
                self._chronicle.concluded(fact.at, fact.record)
            case Tick() if fact.at >= self._life[0]:
                self._second(look(self._gateway, self._id, fact.at))

    def _second(self, seen: Look) -> None:
        self._chronicle.see(seen)
        if seen.phase is None:
            return
        first = seen.at if self._found.seen is None else self._found.seen[0]
        self._found.seen = (first, seen.at)
        if self._asked_at is not None and abs(seen.at - self._asked_at) <= SECOND_S:
            best = self._found.second
            if best is None or (best.at < self._asked_at <= seen.at):
                self._found.second = seen


def _too_little(why: object) -> bool:
    """Whether an instruction was refused because too little is left for it."""
    return isinstance(why, Reason) and why.code.startswith("opt.short_")
