"""Accepted limits by place, the tightest first, so that a question about a stretch of time reads few of them.

place A   import   10 kW [====)   50 kW [==========)   900 kW [===)        the first one that meets the stretch is the
          export   ...                                                     tightest, and the rest need not be read
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from vpp_gateway.domain.instruction import DeviceId, InstructionId, Limit, Phase, SiteId
from vpp_gateway.portfolio.sweep import Place, Row, Urgency

Entry = tuple[float, Urgency, Row]


@dataclass(slots=True)
class LimitIndex:
    """Limits of import and of export."""

    _imports: dict[Place, list[Entry]] = field(default_factory=dict)
    _exports: dict[Place, list[Entry]] = field(default_factory=dict)

    def enter(self, row: Row) -> None:
        """A phase that is a limit is accepted; another kind is nothing to this index."""
        for place, entries, entry in self._entries(row):
            insort(entries.setdefault(place, []), entry)

    def leave(self, row: Row) -> None:
        """It is forgotten."""
        for place, entries, entry in self._entries(row):
            found = entries[place]
            del found[bisect_left(found, entry)]
            if not found:
                del entries[place]

    def copy(self) -> LimitIndex:
        return LimitIndex(
            _imports={place: entries.copy() for place, entries in self._imports.items()},
            _exports={place: entries.copy() for place, entries in self._exports.items()},
        )

    def tightest(self, place: Place, since: float, until: float) -> tuple[float | None, float | None]:
        """The least (import, export) limits, W, in some part of [since, until); None = there is none."""
        import_w, export_w = (
            next((w for w, _, row in entries.get(place, ()) if _meets(row, since, until)), None)
            for entries in (self._imports, self._exports)
        )
        return import_w, export_w

    def devices(self, site: SiteId, since: float, until: float) -> frozenset[DeviceId]:
        """Devices of a site that have a limit of their own in some part of [since, until)."""
        return frozenset(
            device
            for entries in (self._imports, self._exports)
            for (home, device), rows in entries.items()
            if home == site and device is not None and any(_meets(row, since, until) for _, _, row in rows)
        )

    def crossed_by(self, phase: Phase, limit: Limit, place: Place, since: float) -> Iterator[InstructionId]:
        """Whose limits at this place no flow keeps together with `limit`, at some moment of its phase after `since`."""
        since, until = max(since, phase.start_at), math.inf if phase.end_at is None else phase.end_at
        ways = (limit.import_max_w, self._exports), (limit.export_max_w, self._imports)
        for most_w, others in ways:
            if most_w is None or since >= until:
                continue
            for w, _, row in others.get(place, ()):
                if not most_w < -w:
                    break
                if _meets(row, since, until):
                    yield row.instruction.id

    def _entries(self, row: Row) -> Iterator[tuple[Place, dict[Place, list[Entry]], Entry]]:
        """The lists that a limit stands in, and its entry. A limit that is no number lets nothing pass."""
        if row.limit is None:
            return
        for most_w, entries in (
            (row.limit.import_max_w, self._imports),
            (row.limit.export_max_w, self._exports),
        ):
            if most_w is not None:
                entry = (0.0 if math.isnan(most_w) else most_w, row.key, row)
                yield from ((place, entries, entry) for place in row.claim)


def _meets(row: Row, since: float, until: float) -> bool:
    return row.phase.start_at < until and row.end_at > since
