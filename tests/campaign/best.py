"""The best possible controller with the same actuators and a delay of one second, on the same traces.

At each whole second it sets all batteries that can be reached, so that the next second meets the award in the mean:

    battery(k+1) = award - (baseline - E[load(k+1) | what is seen at k]) - what unreachable batteries hold

It knows the load's mean, its noise's memory, and the shifts that the gateway really made. Two of them are played: one
sees every true meter a second late, whatever fails (`all`); one sees only what the gateway's own meters can show
(`seen`): of a site that is lost, cut off or metered wrongly and has no check meter it knows the last noise, which fades. Energy does not bind
in these events, and a battery's full swing takes a second.
"""

from __future__ import annotations

import math
from itertools import pairwise

from tests.campaign.draw import KEPT, LOAD_W, NOTICE_S, SITES, Drawn
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.metering.delivery import SETTLE_S, within
from vpp_gateway.whatif.course import Course, Second


def share_within(
    drawn: Drawn, course: Course, baseline_w: float, excused: tuple[tuple[float, float], ...], *, all: bool
) -> float:
    """Share of the counted samples that this controller keeps within 10 %."""
    seconds = [s for s in course.seconds if NOTICE_S - 1.0 <= s.at_s < drawn.asked.end_s]
    controller = _Best(drawn, baseline_w, all)
    good = count = 0
    for now, then in pairwise(seconds):
        delivered = controller.next(now, then)
        counted = then.at_s >= NOTICE_S + SETTLE_S
        if counted and not any(a <= then.at_s <= b for a, b in excused):
            count += 1
            good += within(delivered, drawn.award_w)
    return good / count


class _Best:
    def __init__(self, drawn: Drawn, baseline_w: float, all: bool) -> None:
        self._drawn, self._baseline_w, self._all = drawn, baseline_w, all
        self._noise: dict[SiteId, float] = dict.fromkeys(SITES, 0.0)
        self._held: dict[str, float] = {}
        """What each battery was told last."""

    def next(self, now: Second, then: Second) -> float:
        """What it delivers at `then`, having seen `now`."""
        known = self._reachable(now.at_s)
        load_w = self._expected_w(now, then)
        held_w = math.fsum(self._lost_w(id, then.at_s) for id in self._all_batteries() if id not in known)
        need_w = self._drawn.award_w - (self._baseline_w - load_w) - held_w
        ratings = {b.id: b.discharge_max_w for b in self._drawn.play.fleet.batteries if b.id in known}
        whole = math.fsum(ratings.values())
        given = max(-whole, min(whole, need_w))
        for id, rating in ratings.items():
            self._held[id] = given * rating / whole if whole else 0.0
        real = math.fsum(self._lost_w(id, then.at_s) for id in self._all_batteries())
        return self._baseline_w - self._true_load_w(then) + real

    def _all_batteries(self) -> list[str]:
        return [battery.id for battery in self._drawn.play.fleet.batteries]

    def _true_load_w(self, second: Second) -> float:
        return math.fsum(row.import_w + row.battery_w for row in second.sites.values())

    def _expected_w(self, now: Second, then: Second) -> float:
        total = 0.0
        for id, row in then.sites.items():
            if self._all or self._sees(id, now.at_s):
                self._noise[id] = now.sites[id].load_w - LOAD_W
            self._noise[id] *= KEPT
            total += LOAD_W + self._noise[id] + row.shift_w + row.rebound_w
        return total

    def _failing(self, at_s: float) -> bool:
        fault = self._drawn.fault
        return fault.at_s <= at_s and (fault.for_s is None or at_s < fault.at_s + fault.for_s)

    def _sees(self, site: SiteId, at_s: float) -> bool:
        if self._drawn.play.fleet.site(site).check_meter is not None:
            return True
        fault = self._drawn.fault
        hit = fault.what in ("meter", "link", "site") and fault.where in (site, f"{site}-meter")
        return not (hit and self._failing(at_s))

    def _reachable(self, at_s: float) -> set[str]:
        fault, ids = self._drawn.fault, set(self._all_batteries())
        if not self._failing(at_s) or fault.what in ("meter", "plug-in"):
            return ids
        if fault.what == "battery":
            return ids - {fault.where}
        return {id for id in ids if not id.startswith(f"{fault.where}-")}

    def _lost_w(self, id: str, at_s: float) -> float:
        """What a battery gives: as told, unless it has failed and fallen back."""
        fault = self._drawn.fault
        hit = fault.where == id or (fault.what == "site" and id.startswith(f"{fault.where}-"))
        if not hit or not self._failing(at_s):
            return self._held.get(id, 0.0)
        lapsed = at_s >= fault.at_s + self._drawn.play.policy.reversion_s
        gone = fault.how == "dead" or (fault.how in ("silent", "agent") and lapsed)
        return 0.0 if gone else self._held.get(id, 0.0)
