"""Power of jobs, modelled from what they do: declared_w x (CPU used / CPU at declared_w).

There is no instrument here. Every sample says `modelled`; modelled watts are never sold as metered.
"""

from __future__ import annotations

from collections.abc import Sequence

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.southbound.workload.contract import Sample
from vpp_gateway.southbound.workload.process_lever import proc
from vpp_gateway.southbound.workload.process_lever.jobs import Folder

_SOURCE = "declared_w x CPU duty of the process, all threads"
_DUTY_MAX = 1.5
"""A job that uses more CPU than this times its declared duty is not believed to take more power."""


class DutyModel:
    """Remembers CPU times between two looks."""

    def __init__(self) -> None:
        self._before: dict[proc.Ident, tuple[float, int]] = {}

    def samples(self, jobs: Sequence[Folder], sites: Sequence[SiteId], now: float) -> tuple[Sample, ...]:
        """Power of every site since the last call; jobs that declare no duty count while their process runs."""
        total = dict.fromkeys(sites, 0.0)
        seen: dict[proc.Ident, tuple[float, int]] = {}
        for folder in jobs:
            who = folder.run.who
            used_ns = None if who is None else proc.cpu_ns(who)
            if who is None or used_ns is None:
                continue
            seen[who] = (now, used_ns)
            total[folder.site] += folder.job.declared_w * self._share(folder, who, now, used_ns)
        self._before = seen
        return tuple(
            Sample(at=now, site=site, w=w, quality="modelled", source=_SOURCE) for site, w in total.items()
        )

    def _share(self, folder: Folder, who: proc.Ident, now: float, used_ns: int) -> float:
        if folder.job.duty is None:
            return 0.0 if proc.stopped(who) else 1.0
        before = self._before.get(who)
        if before is None or now <= before[0]:
            return 0.0
        duty = (used_ns - before[1]) / 1e9 / (now - before[0])
        return min(duty / folder.job.duty, _DUTY_MAX)
