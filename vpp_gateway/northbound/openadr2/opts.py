"""The opts of one connection: a projection of their facts.

    pending --OptTaken--> taken --OptCancelWanted--> cancelling --OptCancelled--> gone (an event's: kept as a mark)
       |                    |
       +--OptRefused--> refused        Registered: taken -> pending, so that a new registration hears of it again

An event's opt that was cancelled stays as a mark until the event goes: it says by which path the event's opt is told
(rule 206).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, assert_never

from vpp_gateway.northbound.openadr2.opt_facts import (
    OptCancelled,
    OptCancelWanted,
    OptCreated,
    OptFact,
    OptOver,
    OptRefused,
    OptTaken,
)

KEEP_REFUSED = 50
"""Refused opts that stay visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOpt:
    """One opt and where it stands."""

    created: OptCreated
    standing: Literal["pending", "taken", "refused", "cancelling", "cancelled"] = "pending"
    detail: str = ""

    @property
    def live(self) -> bool:
        """It counts, or will as soon as the VTN has heard of it."""
        return self.standing in ("pending", "taken")

    @property
    def end_at(self) -> float | None:
        """End of its last interval (UTC, Unix s); None for an event's."""
        return max((one.end_at for one in self.created.available), default=None)


@dataclass(slots=True)
class Opts:
    """All opts by id, in the order of their making."""

    held: dict[str, HeldOpt] = field(default_factory=dict)

    def apply(self, fact: OptFact) -> None:
        """Take one fact over."""
        match fact:
            case OptCreated():
                self.held[fact.opt_id] = HeldOpt(created=fact)
                return
            case OptOver():
                self.held.pop(fact.opt_id, None)
                return
        known = self.held.get(fact.opt_id)
        if known is None:
            return
        match fact:
            case OptTaken():
                if known.standing == "pending":
                    self.held[fact.opt_id] = replace(known, standing="taken", detail="")
            case OptRefused():
                self.held[fact.opt_id] = replace(known, standing="refused", detail=fact.detail)
                self._forget_refused()
            case OptCancelWanted():
                if known.standing == "refused":
                    del self.held[fact.opt_id]
                elif known.standing != "cancelled":
                    self.held[fact.opt_id] = replace(known, standing="cancelling")
            case OptCancelled():
                if known.created.event_id is None:
                    del self.held[fact.opt_id]
                else:
                    self.held[fact.opt_id] = replace(known, standing="cancelled", detail=fact.detail)
            case _:
                assert_never(fact)

    def registered(self) -> None:
        """A new registration has not heard of anything yet."""
        for opt_id, known in self.held.items():
            if known.standing == "taken":
                self.held[opt_id] = replace(known, standing="pending")

    def drop_event(self, event_id: str) -> None:
        """The event is gone, and with it what was said of it."""
        self.held = {id: known for id, known in self.held.items() if known.created.event_id != event_id}

    def drop_events(self) -> None:
        """All events are gone."""
        self.held = {id: known for id, known in self.held.items() if known.created.event_id is None}

    def of_event(self, event_id: str) -> tuple[HeldOpt, ...]:
        """What was said of an event by oadrCreateOpt, oldest first; refused ones were never said."""
        return tuple(
            known
            for known in self.held.values()
            if known.created.event_id == event_id and known.standing != "refused"
        )

    def from_capacity(self) -> HeldOpt | None:
        """The live schedule that the gateway made by itself."""
        return next(
            (known for known in self.held.values() if known.live and known.created.origin == "capacity"), None
        )

    def over(self, now: float) -> tuple[str, ...]:
        """Ids of schedules whose last interval has ended."""
        return tuple(
            id for id, known in self.held.items() if (end := known.end_at) is not None and end <= now
        )

    def to_say(self) -> HeldOpt | None:
        """What the VTN is to hear next: cancellations first, so that a new schedule meets no old one."""
        waiting = [known for known in self.held.values() if known.standing in ("pending", "cancelling")]
        return next((known for known in waiting if known.standing == "cancelling"), None) or next(
            iter(waiting), None
        )

    def _forget_refused(self) -> None:
        refused = [id for id, known in self.held.items() if known.standing == "refused"]
        for id in refused[:-KEEP_REFUSED]:
            del self.held[id]
