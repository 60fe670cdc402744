"""A plug-in that throttles, pauses, resumes, starts and moves jobs, whatever the jobs are.

Offer arithmetic is in `levers.py`, memory in `records.py`; this file turns orders into acts, in order and
repeatably, and `Hands` do them: on processes (`process_lever/`), on objects in virtual time (`sim`), on whatever a
site's scheduler manages. Every hand is repeatable: asked for what already is, it does nothing.

Each order has its own task, one act after the other: a rollback that arrives while the order still ramps waits
until the ramp has ended, then undoes it. Jobs of one order are handled at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from vpp_gateway.domain.order import OfferId, OrderId, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.errors import DeviceError, MisuseError
from vpp_gateway.southbound.workload.contract import OrderStatus
from vpp_gateway.southbound.workload.hands import Hands
from vpp_gateway.southbound.workload.levers import Job, JobId, JobState, Pace, Promise, Terms, promises
from vpp_gateway.southbound.workload.plugin import Answer, Desk
from vpp_gateway.southbound.workload.records import Ledger, Part, Record
from vpp_gateway.southbound.workload.taking import committed, draft

log = structlog.get_logger(__name__)

_UNDO_ATTEMPTS = 5
_UNDO_PAUSE_S = 0.5
_SLIPPED_MAX_S = 2.0
"""A cap that does not hold for longer fails its order: the batteries fill in, and the next plan looks further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often a lever looks around, seconds."""

    watch_s: float = 0.5
    measure_s: float = 1.0


class Lever:
    """Orders, offers and memory of one lever; the acts are its hands'."""

    def __init__(
        self,
        *,
        hands: Hands,
        terms: Terms,
        pace: Pace,
        ledger: Ledger,
        desk: Desk,
        cadence: Cadence,
        fence: int,
    ) -> None:
        self._hands = hands
        self._terms = terms
        self._pace = pace
        self._ledger = ledger
        self._desk = desk
        self._cadence = cadence
        book = ledger.load()
        self._book = replace(book, fence=max(book.fence, fence))
        self._published: dict[OfferId, Promise] = {}
        self._edition = 0
        self._seen: tuple[object, ...] | None = None
        self._renew_at = 0.0
        self._slipped: dict[JobId, float] = {}
        """Jobs that are not held as ordered, and since when."""
        self._stirred = asyncio.Event()
        self._locks: dict[OrderId, asyncio.Lock] = {}
        self._group: asyncio.TaskGroup | None = None
        self._waiting: list[OrderId] = []
        self._stopped = False

    # --- orders -----------------------------------------------------------------------------------------

    async def prepare(self, order: ShiftOrder) -> Answer:
        """Keep the jobs for this order and warm them."""
        return self._take(order, ShiftState.PREPARED)

    async def commit(self, order: ShiftOrder) -> Answer:
        """Carry a prepared order out, or an offer without preparation."""
        return self._take(order, ShiftState.RAMPING)

    def _take(self, order: ShiftOrder, state: ShiftState) -> Answer:
        record = self._book.records.get(order.id)
        if record is not None and (
            record.order.verb is order.verb or record.state is not ShiftState.PREPARED
        ):
            self._tell(record)
            return Answer(accepted=True, reason="known already")
        refusal = self._refusal(order)
        if refusal:
            return Answer(accepted=False, reason=refusal)
        try:
            drafted = self._draft(order, state) if record is None else committed(record, order)
        except MisuseError as error:
            return Answer(accepted=False, reason=str(error))
        for part in () if record is None else record.parts[len(drafted.parts) :]:
            self._hands.cool(part.job)
        self._keep(drafted)
        if state is ShiftState.RAMPING:
            self._tell(drafted)
        self._begin(order.id)
        return Answer(accepted=True)

    def _refusal(self, order: ShiftOrder) -> str:
        if self._stopped:
            return "emergency stop"
        if order.fence < self._book.fence:
            return f"fence {order.fence} is lower than {self._book.fence}, which was seen before"
        late_s = self._desk.clock.utc() - order.deadline_at
        return f"deadline passed {late_s:.1f} s ago, not begun" if late_s >= 0 else ""

    def _draft(self, order: ShiftOrder, state: ShiftState) -> Record:
        promise = self._published.get(order.offer)
        if promise is None or promise.offer.valid_until <= self._desk.clock.utc():
            raise MisuseError(f"offer {order.offer} does not stand (any more)")
        return draft(order, state, promise, self._jobs(), self._terms)

    async def rollback(self, order: ShiftOrder) -> Answer:
        """Give back; an order never begun has nothing to give back, and says so."""
        record = self._book.records.get(order.id)
        if record is None:
            self._desk.shifted(order.id, ShiftState.RETURNED, "nothing of it was begun")
            return Answer(accepted=True, reason="nothing of it was begun")
        if not record.open or record.state is ShiftState.RETURNING:
            self._tell(record)
            return Answer(accepted=True, reason="known already")
        if order.fence < self._book.fence:
            return Answer(
                accepted=False, reason=f"fence {order.fence} is lower than {self._book.fence}, seen before"
            )
        self._give_back(replace(record, order=order))
        return Answer(accepted=True)

    def _give_back(self, record: Record) -> None:
        record = replace(record, state=ShiftState.RETURNING, reason="")
        self._keep(record)
        self._tell(record)
        self._begin(record.order.id)

    async def status(self, order: OrderId) -> OrderStatus | None:
        """Where an order stands."""
        record = self._book.records.get(order)
        return None if record is None else _status(record)

    async def recover(self, orders: Sequence[ShiftOrder], fence: int) -> Sequence[OrderStatus]:
        """What the book says, which is what the hands will go on to make true."""
        self._book = replace(self._book, fence=max(self._book.fence, fence))
        asked = {order.id for order in orders}
        records = list(self._book.records.values())
        self._waiting += [record.order.id for record in records if record.open]
        return [_status(record) for record in records if record.open or record.order.id in asked]

    async def estop(self) -> Answer:
        """Give every order back and begin nothing more."""
        self._stopped = True
        for record in list(self._book.records.values()):
            if record.open and record.state is not ShiftState.RETURNING:
                self._give_back(replace(record, failure="emergency stop"))
        self._stir()
        return Answer(accepted=True)

    # --- acts -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Finish what was begun, then watch, publish and measure until cancelled."""
        measure_at = self._desk.clock.monotonic()
        async with asyncio.TaskGroup() as group:
            self._group = group
            for id in self._waiting:
                group.create_task(self._act(id))
            self._waiting.clear()
            await self._release_strays()
            while True:
                jobs = self._jobs()
                self._watch_caps(jobs)
                self._publish(jobs)
                if self._desk.clock.monotonic() >= measure_at:
                    measure_at = self._desk.clock.monotonic() + self._cadence.measure_s
                    self._measure()
                await self._stirred_or(self._cadence.watch_s)

    async def _release_strays(self) -> None:
        """A cap that no open order holds (it could not be given back, or the book was lost) is lifted."""
        for job in self._jobs():
            if job.capped and not job.held:
                try:
                    await self._hands.release(job.id)
                except DeviceError as error:
                    log.warning("job stays throttled by no order", job=job.id, reason=str(error))

    def _watch_caps(self, jobs: Sequence[Job]) -> None:
        """An order whose cap has slipped for too long is given back, and fails: nothing of it remains."""
        now = self._desk.clock.monotonic()
        why = {job.id: job.slipped for job in jobs if job.slipped}
        self._slipped = {id: self._slipped.get(id, now) for id in why}
        lost = {id for id, since in self._slipped.items() if now - since >= _SLIPPED_MAX_S}
        for record in list(self._book.records.values()):
            faults = [why[part.job] for part in record.parts if part.job in lost]
            if faults and record.state is ShiftState.ACTIVE:
                self._give_back(replace(record, failure=f"no longer throttled: {'; '.join(faults)}"))

    async def _stirred_or(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        except TimeoutError:
            return
        finally:
            self._stirred.clear()

    def _begin(self, order: OrderId) -> None:
        self._stir()
        if self._group is None:
            self._waiting.append(order)
        else:
            self._group.create_task(self._act(order))

    async def _act(self, order: OrderId) -> None:
        """Make true what the record of `order` says; acts of one order follow each other."""
        async with self._locks.setdefault(order, asyncio.Lock()):
            record = self._book.records[order]
            match record.state:
                case ShiftState.PREPARED:
                    await self._warm(record)
                case ShiftState.RAMPING:
                    await self._ramp(record)
                case ShiftState.RETURNING:
                    await self._undo(record)
                case ShiftState.ACTIVE | ShiftState.RETURNED | ShiftState.FAILED:
                    pass
            kept = self._book.records.get(order)
        if kept is None or not kept.open:
            self._locks.pop(order, None)

    async def _warm(self, record: Record) -> None:
        destination = record.destination
        if destination is not None:
            faults = await self._each(record, lambda part: self._hands.warm(part.job, destination))
            if faults:
                self._fail(record.order.id, faults)
                return
        if self._book.records[record.order.id].state is ShiftState.PREPARED:
            self._tell(record)

    async def _ramp(self, record: Record) -> None:
        began = self._desk.clock.monotonic()
        faults = await self._each(record, lambda part: self._do(record, part))
        if faults:
            self._fail(record.order.id, faults)
            await self._undo(self._book.records[record.order.id])
            return
        self._book = self._book.with_time(_clocked(record), self._desk.clock.monotonic() - began)
        current = self._book.records[record.order.id]
        if current.state is ShiftState.RAMPING:  # else a rollback has come meanwhile, and acts next
            self._close(replace(current, state=ShiftState.ACTIVE))

    def _fail(self, order: OrderId, faults: str) -> None:
        record = replace(self._book.records[order], state=ShiftState.RETURNING, failure=faults)
        self._keep(record)
        if record.order.verb is ShiftVerb.PREPARE:
            self._begin(order)

    async def _undo(self, record: Record) -> None:
        faults = ""
        for _ in range(_UNDO_ATTEMPTS):
            faults = await self._each(record, lambda part: self._do_back(record, part))
            if not faults:
                break
            await asyncio.sleep(_UNDO_PAUSE_S)
        why = "; ".join(text for text in (record.failure, faults and f"not given back: {faults}") if text)
        state = ShiftState.FAILED if why else ShiftState.RETURNED
        self._close(replace(self._book.records[record.order.id], state=state, reason=why))

    async def _each(self, record: Record, act: Callable[[Part], Awaitable[None]]) -> str:
        """Do `act` for all jobs at once; the faults in words, empty when there are none."""
        faults: list[str] = []

        async def one(part: Part) -> None:
            try:
                await act(part)
            except DeviceError as error:
                faults.append(str(error))

        async with asyncio.TaskGroup() as group:
            for part in record.parts:
                group.create_task(one(part))
        return "; ".join(faults)

    async def _do(self, record: Record, part: Part) -> None:
        if record.destination is not None:
            moved = await self._hands.move(part.job, record.destination)
            if moved.downtime_s > 0:
                self._book = self._book.with_time("leave", moved.leave_s)
                self._book = self._book.with_time("downtime", moved.downtime_s)
        elif record.share is not None:
            await self._hands.throttle(part.job, record.share)
        elif record.kind == "pause":
            await self._hands.pause(part.job)
        elif part.was is JobState.QUEUED:
            await self._hands.start(part.job)
        else:
            await self._hands.resume(part.job)

    async def _do_back(self, record: Record, part: Part) -> None:
        self._hands.cool(part.job)
        if not record.begun:
            return
        if record.destination is not None:
            await self._hands.move(part.job, record.source)
        elif record.share is not None:
            await self._hands.release(part.job)
        elif record.kind == "pause":
            await self._hands.resume(part.job)
        elif part.was is JobState.QUEUED:
            await self._hands.stop(part.job)
        else:
            await self._hands.pause(part.job)

    # --- words ------------------------------------------------------------------------------------------

    def _keep(self, record: Record) -> None:
        book = self._book.with_record(record)
        self._ledger.save(book)
        self._book = book

    def _close(self, record: Record) -> None:
        self._keep(record)
        self._tell(record)
        self._stir()

    def _tell(self, record: Record) -> None:
        self._desk.shifted(record.order.id, record.state, record.reason)

    def _stir(self) -> None:
        self._stirred.set()

    def _jobs(self) -> tuple[Job, ...]:
        """The jobs with what orders hold of them."""
        holds = {
            part.job: tuple(site for site in (record.source, record.destination) if site is not None)
            for record in self._book.records.values()
            if record.open
            for part in record.parts
        }
        return tuple(
            replace(job, held=True, keeps=holds[job.id]) if job.id in holds else job
            for job in self._hands.jobs()
        )

    def _publish(self, jobs: tuple[Job, ...]) -> None:
        """New offers when anything has changed, or when the old ones come of age."""
        now = self._desk.clock.utc()
        seen = (jobs, self._stopped)
        if seen == self._seen and now < self._renew_at:
            return
        self._seen, self._renew_at = seen, now + self._terms.valid_s / 3
        self._edition = max(self._edition + 1, int(now * 1000))
        fresh = (
            ()
            if self._stopped
            else promises(jobs, self._terms, self._paced(), now=now, edition=self._edition)
        )
        standing = {id: old for id, old in self._published.items() if old.offer.valid_until > now}
        self._published = standing | {promise.offer.id: promise for promise in fresh}
        self._desk.offer([promise.offer for promise in fresh])

    def _paced(self) -> Pace:
        book, pace = self._book, self._pace
        return Pace(
            pause_s=book.median_s("pause", pace.pause_s),
            resume_s=book.median_s("resume", pace.resume_s),
            start_s=book.median_s("start", pace.start_s),
            move_s=book.median_s("move", pace.move_s),
            leave_s=book.median_s("leave", pace.leave_s),
            downtime_s=book.median_s("downtime", pace.downtime_s),
            cap_s=book.median_s("cap", pace.cap_s),
        )

    def _measure(self) -> None:
        samples = self._hands.samples(self._desk.clock.utc())
        if samples:
            self._desk.measured(samples)


def _clocked(record: Record) -> str:
    if record.kind != "absorb":
        return record.kind
    return "start" if any(part.was is JobState.QUEUED for part in record.parts) else "resume"


def _status(record: Record) -> OrderStatus:
    return OrderStatus(order=record.order.id, state=record.state, reason=record.reason)
