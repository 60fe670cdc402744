"""What is worth saying of an event beside its figures, as reasons: who else ruled its sites, how its limit was held,
why nothing of it can be judged. `events why` says the same with the same sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from vpp_gateway.chronicle.telling import elsewhere, limit_kept
from vpp_gateway.domain.instruction import Limit, SiteId
from vpp_gateway.domain.plan import Reason
from vpp_gateway.metering.delivery import SETTLE_S
from vpp_gateway.whatif.judge import EventResult


def ruled_elsewhere(row: EventResult) -> dict[tuple[SiteId, str], int]:
    """(Site, the event that ruled it) -> for how many seconds."""
    return dict(Counter(lost for sample in row.samples for lost in sample.elsewhere.items()))


def elsewhere_s(row: EventResult) -> int:
    """Seconds in which others ruled all of its sites."""
    return sum(bool(sample.elsewhere) and not sample.rules for sample in row.samples)


def held_by(rows: Iterable[tuple[str, Sequence[SiteId]]]) -> Iterator[Reason]:
    """Which events hold the sites of one that was refused."""
    for other, sites in rows:
        yield Reason(code="opt.held", values=(("other", other), ("sites", ", ".join(sites))))


def remarks_on(row: EventResult) -> Iterator[Reason]:
    """What is said of an event that was taken."""
    if row.opt != "in":
        return
    yield from elsewhere(ruled_elsewhere(row), elsewhere_s(row))
    for other, sites in row.limited_by:
        yield Reason(code="over.limited", values=(("other", other), ("sites", ", ".join(sites))))
    for site, account in row.limits.items():
        yield from limit_kept(site, account)
    counted = any(a.samples for a in row.limits.values()) if row.limits else row.counted
    if counted:
        return
    too_short = row.asked.duration_s <= SETTLE_S or isinstance(row.asked.demand, Limit)
    yield Reason(code="over.too_short" if too_short else "over.none_counted")
