"""What a site will take and generate: a source of forecasts, and the default one, which knows the past alone.

    quantity   load   what the consumers take without our doing: import + discharge of our batteries + generation
               pv     local generation, >= 0

The seasonal-naive default says: as yesterday at this time, when yesterday was a day of the same kind (working day or
weekend), else as a week ago. Its quantiles are those of its own errors of the last week around this time of day. It
knows no weather and no calendar of holidays; whoever does, hands in another source (`portfolio.forecast_csv`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol, get_args

from vpp_gateway.domain.instruction import SiteId

Quantity = Literal["load", "pv"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
DAY_S = 86400.0
WEEK = 7
KEEP_DAYS = 15
"""Two weeks: errors of the last week are judged by the week before."""
BUCKET_S = 300.0
AROUND_S = 3600.0
"""Errors so near the time of day speak for it."""
ERRORS_LEAST = 8
"""Fewer errors make no quantile: then the forecast is its own quantile."""


class ForecastSource(Protocol):
    """Somebody who knows something about the future."""

    def mean_w(
        self, site: SiteId, quantity: Quantity, since: float, until: float, quantile: float = 0.5
    ) -> float | None:
        """Expected mean in [since, until) (UTC, Unix s), W; None when nothing is known.

        Args:
            quantile: 0.5 is as likely too low as too high; 0.9 is exceeded once in ten times.
        """
        ...


def course_w(
    source: ForecastSource,
    site: SiteId,
    quantity: Quantity,
    at: float,
    lengths_s: Sequence[float],
    quantile: float = 0.5,
) -> tuple[float, ...] | None:
    """One value a step, W; None when the source does not know all of them."""
    found = []
    for length in lengths_s:
        value = source.mean_w(site, quantity, at, at + length, quantile)
        if value is None:
            return None
        found.append(value)
        at += length
    return tuple(found)


class Known:
    """The first source that knows something: a file first, the past behind it.

    Args:
        sources: In the order in which they are asked.
    """

    def __init__(self, *sources: ForecastSource) -> None:
        self._sources = sources

    def mean_w(
        self, site: SiteId, quantity: Quantity, since: float, until: float, quantile: float = 0.5
    ) -> float | None:
        for source in self._sources:
            value = source.mean_w(site, quantity, since, until, quantile)
            if value is not None:
                return value
        return None


UNKNOWN = Known()
"""Nobody knows anything: every site goes on as now."""


class SeasonalNaive:
    """As yesterday, or as a week ago.

    Args:
        utc_offset_s: Local time minus UTC: decides which days are weekends (Japan: 32 400).
    """

    def __init__(self, utc_offset_s: float = 32400.0) -> None:
        self._offset_s = utc_offset_s
        self._sums: dict[tuple[SiteId, Quantity], dict[int, tuple[float, int]]] = {}
        self._errors: dict[tuple[SiteId, Quantity, int, float], float] = {}
        """Quantiles that were asked since the last bucket began: steps near now ask the same again and again."""

    def add(self, site: SiteId, quantity: Quantity, at: float, w: float) -> None:
        """Take one sample (UTC Unix s, W); what is no number is left out."""
        if not (math.isfinite(at) and math.isfinite(w)):
            return
        buckets = self._sums.setdefault((site, quantity), {})
        bucket = math.floor(at / BUCKET_S)
        total, count = buckets.get(bucket, (0.0, 0))
        buckets[bucket] = (total + w, count + 1)
        if count == 0:
            self._errors.clear()
            oldest = bucket - int(KEEP_DAYS * DAY_S / BUCKET_S)
            while (first := next(iter(buckets))) < oldest:
                del buckets[first]

    def feed(self, seconds: Iterable[tuple[float, Mapping[str, float]]], sites: Sequence[SiteId]) -> None:
        """Take stored telemetry, see `samples`."""
        for at, row in seconds:
            for site in sites:
                for quantity, w in samples(row, site):
                    self.add(site, quantity, at, w)

    def mean_w(
        self, site: SiteId, quantity: Quantity, since: float, until: float, quantile: float = 0.5
    ) -> float | None:
        """See `ForecastSource`.

        Raises:
            ValueError: the quantile is not between 0 and 1, or the time makes no sense.
        """
        if not (0.0 < quantile < 1.0 and math.isfinite(since) and since < until < math.inf):
            raise ValueError(f"quantile {quantile!r} of {since!r} to {until!r}")
        buckets = self._sums.get((site, quantity), {})
        first, last = math.floor(since / BUCKET_S), math.ceil(until / BUCKET_S)
        values = [self._naive(buckets, bucket) for bucket in range(first, max(last, first + 1))]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        mean = math.fsum(known) / len(known)
        centre = math.floor((since + until) / 2.0 / BUCKET_S)
        key = (site, quantity, centre, quantile)
        if key not in self._errors:
            self._errors[key] = self._error(buckets, centre, quantile)
        error = self._errors[key]
        return max(0.0, mean + error) if quantity == "pv" else mean + error

    def _naive(self, buckets: Mapping[int, tuple[float, int]], bucket: int) -> float | None:
        """As yesterday or as a week ago; when that is not known, as the other of the two."""
        day = int(DAY_S / BUCKET_S)
        days = (1, WEEK) if self._alike(bucket, bucket - day) else (WEEK, 1)
        for back in days:
            total, count = buckets.get(bucket - back * day, (0.0, 0))
            if count:
                return total / count
        return None

    def _alike(self, a: int, b: int) -> bool:
        return self._weekend(a) == self._weekend(b)

    def _weekend(self, bucket: int) -> bool:
        # 1 January 1970 was a Thursday.
        return int((bucket * BUCKET_S + self._offset_s) // DAY_S + 3) % 7 >= 5

    def _error(self, buckets: Mapping[int, tuple[float, int]], centre: int, quantile: float) -> float:
        """Quantile of what this rule missed in the last week around this time of day; 0 when too little is known."""
        if quantile == 0.5 or not buckets:
            return 0.0
        newest = max(buckets)
        around = int(AROUND_S / BUCKET_S)
        day = int(DAY_S / BUCKET_S)
        back = max(1, math.ceil((centre - newest) / day))
        errors = []
        for days in range(back, back + WEEK):
            for bucket in range(centre - days * day - around, centre - days * day + around + 1):
                found, naive = buckets.get(bucket), self._naive(buckets, bucket)
                if found is not None and naive is not None:
                    errors.append(found[0] / found[1] - naive)
        if len(errors) < ERRORS_LEAST:
            return 0.0
        errors.sort()
        place = quantile * (len(errors) - 1)
        low = math.floor(place)
        high = min(low + 1, len(errors) - 1)
        return errors[low] + (place - low) * (errors[high] - errors[low])


def samples(row: Mapping[str, float], site: SiteId) -> Iterator[tuple[Quantity, float]]:
    """Load and generation of one stored second; names as in `journal.telemetry`, with `<site>/pv_w` where it is metered.

    Workload that was shifted meanwhile is not put back: a past event shows in the forecast of the next day.
    """
    import_w, pv_w = row.get(f"{site}/import_w"), row.get(f"{site}/pv_w")
    if pv_w is not None:
        yield "pv", pv_w
    if import_w is not None:
        prefix, suffix = f"{site}/", "/discharge_w"
        batteries = (w for name, w in row.items() if name.startswith(prefix) and name.endswith(suffix))
        yield "load", import_w + math.fsum(batteries) + (pv_w or 0.0)
