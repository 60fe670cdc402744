"""Forecasts from a table that somebody else has made.

    start_at,site,load_w,load_p10_w,load_p90_w,pv_w
    2026-11-28T09:00:00+09:00,tokyo-1,4200000,4100000,4350000,250000
    2026-11-28T09:30:00+09:00,tokyo-1,4300000,4180000,4450000,310000

A row holds until the next row of its site; the last one holds as long as the one before it. `load_w` and `pv_w` may
each be missing, and have `_p10_` and `_p90_` beside them or not. The text is handed in; whoever reads the file says its
name, so that each complaint names file, line and column.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import ConfigError
from vpp_gateway.portfolio.forecast import QUANTITIES, Quantity

POINTS = {f"{quantity}{suffix}_w": (quantity, level) for quantity in QUANTITIES for suffix, level in
          (("", 0.5), ("_p10", 0.1), ("_p90", 0.9))}  # fmt: skip
"""Column -> what it says, and with which probability it is not exceeded."""
W_MAX = 1e10
ROWS_MAX = 200_000


@dataclass(slots=True)
class _Rows:
    """Rows of one site in time order."""

    at: list[float] = field(default_factory=list)
    values: list[dict[tuple[Quantity, float], float]] = field(default_factory=list)

    @property
    def end(self) -> float:
        """Where the last row ends."""
        if len(self.at) == 1:
            return self.at[0] + 1800.0
        return self.at[-1] + (self.at[-1] - self.at[-2])


class CsvForecast:
    """A forecast from a table; implements `portfolio.forecast.ForecastSource`.

    Args:
        name: Of the file, for complaints.
        text: What stands in it.
        sites: The sites of the portfolio; another one in the table is a mistake.

    Raises:
        ConfigError: names file, line and column, what is expected and what was found.
    """

    def __init__(self, name: str, text: str, sites: Collection[SiteId]) -> None:
        self._name = name
        self._sites: dict[SiteId, _Rows] = {}
        reader = csv.reader(text.splitlines(), strict=True)
        try:
            header = next(reader, None)
            columns = self._header([] if header is None else [cell.strip() for cell in header])
            for count, row in enumerate(reader):
                if count >= ROWS_MAX:
                    raise self._wrong(reader.line_num, 1, "", f"more than {ROWS_MAX} rows")
                if row:
                    self._row(reader.line_num, columns, [cell.strip() for cell in row], sites)
        except csv.Error as error:
            raise self._wrong(reader.line_num, 1, "", f"cannot be read as CSV: {error}") from error
        if not self._sites:
            raise self._wrong(2, 1, "", "there are no rows")

    def mean_w(
        self, site: SiteId, quantity: Quantity, since: float, until: float, quantile: float = 0.5
    ) -> float | None:
        """Mean of the rows in [since, until); None where the table does not reach."""
        if not (0.0 < quantile < 1.0 and math.isfinite(since) and since < until < math.inf):
            raise ValueError(f"quantile {quantile!r} of {since!r} to {until!r}")
        rows = self._sites.get(site)
        if rows is None or since < rows.at[0] or until > rows.end:
            return None
        total = 0.0
        first = bisect_right(rows.at, since) - 1
        for i in range(first, len(rows.at)):
            begin = rows.at[i]
            end = rows.at[i + 1] if i + 1 < len(rows.at) else rows.end
            if begin >= until:
                break
            value = _at_quantile(rows.values[i], quantity, quantile)
            if value is None:
                return None
            total += value * (min(end, until) - max(begin, since))
        return total / (until - since)

    def _wrong(self, line: int, column: int, heading: str, what: str) -> ConfigError:
        named = f" ({heading})" if heading else ""
        return ConfigError(f"{self._name}:{line}:{column}{named}: {what}")

    def _header(self, header: Sequence[str]) -> list[str]:
        for number, heading in enumerate(header, 1):
            if heading not in ("start_at", "site") and heading not in POINTS:
                allowed = ", ".join(("start_at", "site", *POINTS))
                raise self._wrong(1, number, heading, f"unknown column; allowed: {allowed}")
            if heading in header[: number - 1]:
                raise self._wrong(1, number, heading, "this column occurs twice")
        for needed in ("start_at", "site"):
            if needed not in header:
                raise self._wrong(1, 1, needed, "this column is missing")
        if not {"load_w", "pv_w"} & set(header):
            raise self._wrong(1, 1, "load_w", "neither load_w nor pv_w is there")
        return list(header)

    def _row(self, line: int, columns: Sequence[str], row: Sequence[str], sites: Collection[SiteId]) -> None:
        if len(row) != len(columns):
            raise self._wrong(line, len(row), "", f"{len(row)} cells; the header has {len(columns)}")
        cells = dict(zip(columns, row, strict=True))
        place = {heading: number for number, heading in enumerate(columns, 1)}
        site = SiteId(cells["site"])
        if site not in sites:
            known = ", ".join(sorted(sites))
            raise self._wrong(line, place["site"], "site", f"no site {site!r}; there are: {known}")
        at = self._time(line, place["start_at"], cells["start_at"])
        rows = self._sites.setdefault(site, _Rows())
        if rows.at and at <= rows.at[-1]:
            raise self._wrong(
                line,
                place["start_at"],
                "start_at",
                f"{cells['start_at']} is not after the row before of {site}",
            )
        values = {
            POINTS[heading]: self._number(line, place[heading], heading, cells[heading])
            for heading in columns
            if heading in POINTS and cells[heading]
        }
        for quantity in QUANTITIES:
            points = [
                values[key] for key in ((quantity, 0.1), (quantity, 0.5), (quantity, 0.9)) if key in values
            ]
            if points != sorted(points):
                heading = f"{quantity}_w"
                raise self._wrong(
                    line, place.get(heading, 1), heading, "p10, the middle and p90 are not in order"
                )
        rows.at.append(at)
        rows.values.append(values)

    def _time(self, line: int, column: int, cell: str) -> float:
        try:
            at = datetime.fromisoformat(cell)
        except ValueError:
            raise self._wrong(line, column, "start_at", f"{cell!r} is no ISO 8601 time") from None
        if at.tzinfo is None:
            raise self._wrong(line, column, "start_at", f"{cell!r} has no offset from UTC (+09:00, Z)")
        return at.timestamp()

    def _number(self, line: int, column: int, heading: str, cell: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            raise self._wrong(line, column, heading, f"{cell!r} is no number") from None
        if not abs(value) <= W_MAX:
            raise self._wrong(line, column, heading, f"{cell} is out of range")
        if value < 0.0 and heading.startswith("pv"):
            raise self._wrong(line, column, heading, f"{cell}: generation is not negative")
        return value


def _at_quantile(
    values: dict[tuple[Quantity, float], float], quantity: Quantity, quantile: float
) -> float | None:
    """Straight between the points that are given, and level beyond them."""
    points = sorted((level, w) for (of, level), w in values.items() if of == quantity)
    if not points or (quantity, 0.5) not in values:
        return None
    if quantile <= points[0][0]:
        return points[0][1]
    for (low, low_w), (high, high_w) in pairwise(points):
        if quantile <= high:
            return low_w + (quantile - low) / (high - low) * (high_w - low_w)
    return points[-1][1]
