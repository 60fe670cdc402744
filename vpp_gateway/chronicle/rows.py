"""From one second to the next: rows where something that mattered changed, each with its reasons.

What a battery has left, which limits bind, and that a shortfall is over, must last for `LASTS_S` before it is told,
dated with its first second: noise around a limit is no news. What is lost or missing is told at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vpp_gateway.chronicle import telling
from vpp_gateway.chronicle.hand_over import HandOverWatch
from vpp_gateway.chronicle.look import Look, OrderLook
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.fact import Withdrawn
from vpp_gateway.domain.instruction import Instruction, Limit, SiteId
from vpp_gateway.domain.order import OrderId
from vpp_gateway.domain.plan import Reason
from vpp_gateway.metering.delivery import SETTLE_S, within
from vpp_gateway.metering.limit import LimitAccount, breaks

LASTS_S = 3.0
MISSED_SHARE = 0.02
"""Of the seconds that counted: with more of them unseen, what was asked on the average is not known."""
TOLD_STATES = ("prepared", "active", "failed", "returned")
"""Of an order; between them it is on its way."""
KINDS = (
    "answer",
    "failure",
    "phase",
    "shares",
    "shortfall",
    "plan",
    "order",
    "hand_over",
    "limit",
    "battery",
    "over",
)
"""In this order within a second: cause before consequence."""
SHORT_SHARE, SHORT_MIN_W = 0.02, 1.0
"""Of what is asked, and W: less that cannot be had is noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A second at which something that mattered changed."""

    at: float
    """UTC, Unix s."""
    kind: str
    """One of `KINDS`."""
    why: tuple[Reason, ...]
    """One sentence each."""


@dataclass(slots=True)
class _Told:
    """One subject: what was told of it last, and what it has been since."""

    told: str
    now: str
    since: Look


@dataclass(slots=True)
class Chronicle:
    """The rows of one instruction; show it every second with `see`."""

    _rows: list[Row] = field(default_factory=list)
    _subjects: dict[str, _Told] = field(default_factory=dict)
    _last: Look | None = None
    _started_at: float | None = None
    _plan_key: frozenset[Reason] = frozenset()
    _worst_w: float = 0.0
    """The most that has been missing since the last shortfall began, W."""
    _limits: dict[SiteId, LimitAccount] = field(default_factory=dict)
    """Of a limit: how each of its sites keeps it."""
    _limited: bool = False
    """It is a limit."""
    _elsewhere_s: Counter[tuple[SiteId, str]] = field(default_factory=Counter)
    """Seconds in which others ruled a site of it."""
    _asked_w: list[float] = field(default_factory=list)
    """What was asked in each second that counts, W."""
    _idle_s: int = 0
    """Seconds in which others ruled all of it."""
    _hand_overs: HandOverWatch = field(default_factory=HandOverWatch)
    _orders_w: dict[OrderId, float] = field(default_factory=dict)
    """What an order gives at the sites of the instruction, W: afterwards they are no longer known."""

    def rows(self) -> tuple[Row, ...]:
        """All rows so far, in order of time; one per second and kind, each sentence once, orders alike counted."""
        why: dict[tuple[float, int], list[Reason]] = {}
        for row in self._rows:
            why.setdefault((row.at, KINDS.index(row.kind)), []).extend(row.why)
        return tuple(Row(at=at, kind=KINDS[kind], why=_each_once(why[at, kind])) for at, kind in sorted(why))

    @property
    def limit_held(self) -> bool | None:
        """Of a limit: whether every site has kept it; None while that cannot be said."""
        found = [account.held for account in self._limits.values()]
        return False if False in found else True if found and None not in found else None

    def target_w(self, record: DeliveryRecord) -> float | None:
        """Mean of what was asked in the seconds that counted, W; None where they were not all seen.

        A setpoint asks for another change when a site of it comes or goes, an event with phases in each of them.
        """
        seen = len(self._asked_w)
        whole = record.samples and abs(seen - record.samples) <= MISSED_SHARE * record.samples + 1
        return math.fsum(self._asked_w) / seen if seen and whole else None

    def answered(
        self,
        at: float,
        instruction: Instruction,
        opt: str,
        why: Reason | None,
        least: float,
        held_by: Iterable[Reason] = (),
    ) -> None:
        """The instruction, or a new modification, was judged.

        Args:
            least: Share of the order that must be deliverable for an opt in.
            held_by: Who rules its sites in its time, where that is why not.
        """
        self._limited = any(isinstance(phase.demand, Limit) for phase in instruction.phases)
        values = (("modification", str(instruction.modification)), ("percent", f"{least:.0%}"))
        again = "" if instruction.modification == 0 else "_again"
        reason = Reason(code=f"answer.{opt}{again}", values=values)
        self._add(at, "answer", reason, *(() if why is None else (why, *held_by)))

    def withdrawn(self, fact: Withdrawn) -> None:
        """It was taken back."""
        self._add(fact.at, "over", Reason(code=f"withdrawn.{fact.cause}"))

    def concluded(self, at: float, record: DeliveryRecord) -> None:
        """It is over, and what came of it."""
        if record.state == "refused":
            return
        told = (
            telling.limit_over(record, self._limits)
            if self._limited
            else (telling.result(record, self.target_w(record)),)
        )
        more = telling.elsewhere(self._elsewhere_s, self._idle_s)
        self._add(record.stopwatch.ended_at or at, "over", *told, *more)

    def see(self, look: Look) -> None:
        """One second more."""
        last, self._last = self._last, look
        self._phases(last, look)
        self._count(look)
        self._plans(look)
        self._worst_w = max(abs(look.short_w), self._worst_w if self._told("short") else 0.0)
        if look.phase is not None:
            gone = {name: ("", 0.0) for name in self._subjects if name.startswith("plugin ")}
            states = {**gone, **_states(look, self._settled(look))}
            for subject, (state, lasts_s) in states.items():
                self._subject(last, look, subject, state, lasts_s)
        over = self._hand_overs.see(look)
        if over is not None:
            self._add(look.at, "hand_over", telling.hand_over(over))
        self._orders(last, look)

    # -- what follows one from the other ------------------------------------------------------------------------

    def _add(self, at: float, kind: str, *why: Reason) -> None:
        if why:
            self._rows.append(Row(at=at, kind=kind, why=why))

    def _count(self, look: Look) -> None:
        """Keep account of what others rule, and of how a limit is kept."""
        if look.phase is None:
            return
        self._elsewhere_s.update(look.lost)
        self._idle_s += look.idle
        self._limited = self._limited or look.limit is not None
        if look.limit is None and not look.idle and self._settled(look):
            self._asked_w.append(look.asked_w)
        elif look.limit is not None and self._settled(look):
            for site in look.sites:
                account = self._limits.setdefault(site.id, LimitAccount(limit=look.limit))
                account.add(look.limit, site.import_w)

    def _told(self, subject: str) -> str:
        known = self._subjects.get(subject)
        return "" if known is None else known.told

    def _settled(self, look: Look) -> bool:
        return self._started_at is not None and look.at >= self._started_at + SETTLE_S

    def _phases(self, last: Look | None, look: Look) -> None:
        before = None if last is None else last.phase
        if look.phase is not None and look.phase != before:
            if before is None:
                self._subjects.clear()
                self._started_at = look.phase.start_at if self._started_at is None else self._started_at
            self._add(look.phase.start_at, "phase", *telling.asked(look), *telling.taken(last, look))
            self._add(look.at, "shares", *telling.sites(look))
        elif last is not None and look.phase is not None and look.lost != last.lost:
            self._add(look.at, "phase", *telling.taken(last, look))
        if look.phase is None and before is not None:
            self._add(before.end_at or look.at, "phase", Reason(code="phase.over"))
            self._plan_key = frozenset()

    def _plans(self, look: Look) -> None:
        """What the plan of the workload tier calls and leaves; told where that changes."""
        fresh = [reason for reason in look.called if reason.code not in ("call.held", "call.kept")]
        left = {dict(key.values).get("offer") for key in self._plan_key}
        reasons = {telling.lasting(reason): reason for reason in (*fresh, *look.rejected)}
        if reasons:
            self._add(
                look.at,
                "plan",
                *(
                    r
                    for key, r in reasons.items()
                    if key not in self._plan_key
                    and not (r.code == "offer.slow" and dict(r.values)["offer"] in left)
                ),
            )
        self._plan_key = frozenset(reasons)

    def _orders(self, last: Look | None, look: Look) -> None:
        known = {} if last is None else {order.id: order for order in last.orders}
        for now in look.orders:
            before = known.get(now.id)
            order = replace(now, regulation_w=self._orders_w.setdefault(now.id, now.regulation_w))
            if order.committed and (before is None or not before.committed):
                self._add(look.at, "order", telling.order("ordered", order))
            if order.taken_back and (before is None or not before.taken_back):
                self._back(look, order)
            if order.state in TOLD_STATES and (before is None or order.state != before.state):
                kind = "failure" if order.state == "failed" else "order"
                self._add(look.at, kind, telling.order(order.state, order))
        for id, before in known.items():
            gone = before.taken_back and id not in {order.id for order in look.orders}
            if gone and (before.made_for is None or look.phase is not None):
                order = replace(before, regulation_w=self._orders_w[id])
                self._add(look.at, "order", telling.order("returned", order))

    def _back(self, look: Look, order: OrderLook) -> None:
        late, over = order.late_s is not None, look.phase is None
        code = "late" if late else "back_at_end" if over else "back"
        self._add(look.at, "failure" if late else "order", telling.order(code, order))

    def _subject(self, last: Look | None, look: Look, subject: str, state: str, lasts_s: float) -> None:
        known = self._subjects.get(subject)
        if known is None:
            known = self._subjects[subject] = _Told(told="", now="", since=look)
        if state != known.now:
            known.now, known.since = state, look
        if state == known.told or look.at - known.since.at < lasts_s:
            return
        was, known.told = known.told, state
        kind, why = telling.change(subject, was, state, last, known.since, self._worst_w)
        self._add(known.since.at, kind, *why)


def _each_once(why: Sequence[Reason]) -> tuple[Reason, ...]:
    """Each reason once; orders alike are counted, so that what they stand for adds up."""
    return tuple(
        telling.alike(reason, count) if count > 1 and reason.code.startswith("order.") else reason
        for reason, count in Counter(why).items()
    )


def _states(look: Look, settled: bool) -> Mapping[str, tuple[str, float]]:
    """Subject -> its state ("" = nothing to say) and how long that must last before it is told, s."""
    found: dict[str, tuple[str, float]] = {}
    away = {site.id for site in look.sites if not site.linked}
    for battery in look.batteries:
        if battery.site in away:
            continue  # its site says it
        found[f"device {battery.id}"] = (battery.trouble, 0.0)
        state = "" if battery.trouble or battery.state == "fine" else battery.state
        found[f"battery {battery.id}"] = (state, LASTS_S)
    for site in look.sites:
        found[f"site {site.id}"] = ("" if site.linked else site.trouble or "-", 0.0)
        found[f"meter {site.id}"] = (site.meter, 0.0)
        found[f"limit {site.id}"] = (telling.limit(look, site), LASTS_S)
    for plugin, why in look.plugins:
        found[f"plugin {plugin}"] = (why, 0.0)
    if look.idle:
        return found  # nothing is asked of it: neither missing nor found again
    short = abs(look.short_w) > SHORT_SHARE * abs(look.asked_w) + SHORT_MIN_W
    found["binds"] = (telling.bound(look) if short else "", LASTS_S)
    found["short"] = ("short", 0.0) if short else ("", LASTS_S)
    limit = look.limit
    if limit is not None:
        for site in look.sites:
            gone = settled and site.import_w is not None and breaks(limit, site.import_w)
            found[f"passed {site.id}"] = ("passed", 0.0) if gone else ("", LASTS_S)
        return found
    off = settled and not look.idle and not within(look.delivered_w, look.asked_w)
    found["band"] = ("off", 0.0) if off and not short else ("", LASTS_S)
    return found
