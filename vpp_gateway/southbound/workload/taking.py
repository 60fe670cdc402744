"""From an order and the offer it calls to the record of what will be done. Pure; says in words why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import ShiftOrder, ShiftState
from vpp_gateway.errors import MisuseError
from vpp_gateway.southbound.workload.levers import Job, JobState, Promise, Terms, free_slots
from vpp_gateway.southbound.workload.records import Part, Record


def draft(
    order: ShiftOrder, state: ShiftState, promise: Promise, jobs: Sequence[Job], terms: Terms
) -> Record:
    """The record of a new order, if every job it calls is still as offered. Raises MisuseError when it is not."""
    offer = promise.offer
    try:
        called = promise.jobs_of(order.step)
    except IndexError as error:
        raise MisuseError(f"offer {offer.id}: {error}") from error
    source = offer.legs[0].site
    destination = offer.legs[1].site if offer.kind == "move" else None
    now_by_id = {job.id: job for job in jobs}
    changed = [id for id in called if not _still_so(now_by_id.get(id), offer.kind, source)]
    if changed:
        raise MisuseError(f"offer {offer.id}: {', '.join(changed)} changed since it was made")
    chosen = [now_by_id[id] for id in called]
    slots_needed = len([job for job in chosen if destination or job.state is JobState.QUEUED])
    _check_room(destination or source, slots_needed, jobs, terms, offer.id)
    return Record(
        order=order,
        kind=offer.kind,
        source=source,
        destination=destination,
        parts=tuple(Part(job=job.id, was=job.state) for job in chosen),
        state=state,
        begun=state is ShiftState.RAMPING,
        share=terms.cap_share if offer.kind == "cap" else None,
    )


def committed(record: Record, order: ShiftOrder) -> Record:
    """A prepared record, to be carried out up to the order's step. Raises MisuseError when that was not prepared."""
    if order.offer != record.order.offer:
        raise MisuseError(f"order {order.id} was prepared for offer {record.order.offer}, not {order.offer}")
    if not 0 <= order.step < len(record.parts):
        raise MisuseError(f"step {order.step} was not prepared, steps 0 to {len(record.parts) - 1} were")
    parts = record.parts[: order.step + 1]
    return replace(record, order=order, state=ShiftState.RAMPING, begun=True, parts=parts, reason="")


def _still_so(job: Job | None, kind: str, site: SiteId) -> bool:
    if job is None or job.held or job.site != site:
        return False
    if kind in ("cap", "pause", "move"):
        return job.state is JobState.RUNNING and not job.capped
    return job.state is not JobState.RUNNING


def _check_room(site: SiteId, needed: int, jobs: Sequence[Job], terms: Terms, offer: str) -> None:
    free = free_slots(jobs, terms.slots).get(site, 0)
    if needed > free:
        raise MisuseError(f"offer {offer}: {site} has {free} free slots, {needed} are needed")
