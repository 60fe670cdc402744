"""What the plan of the hour knows of the future: the operator's file first, the past of the telemetry behind it.

    file (CSV)  --read again when it changes-->  CsvForecast  \\
    telemetry   --a sample now and then------->  SeasonalNaive -> mean_w
    each second --load of each site----------->                /

The past is looked at in small pieces, so that the control loop waits for none of them. A file that cannot be read keeps
the last good one in force and is named in `trouble`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import structlog

from vpp_gateway.clock import Clock
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import GatewayError
from vpp_gateway.journal.telemetry import TelemetryStore
from vpp_gateway.portfolio.forecast import (
    BUCKET_S,
    DAY_S,
    KEEP_DAYS,
    ForecastSource,
    Known,
    Quantity,
    SeasonalNaive,
)
from vpp_gateway.portfolio.forecast_csv import CsvForecast

LOOK_S = 60.0
SAMPLE_S = BUCKET_S / 3.0
"""Between two seconds that are taken out of the telemetry of the past."""
PIECE = 20
"""So many of them at once: less than a millisecond."""
log = structlog.get_logger()


class Foresight:
    """Implements `portfolio.forecast.ForecastSource`.

    Args:
        sites: Of the portfolio.
        file: Forecasts of the operator, or None.
        telemetry: The past; None = it begins now.
    """

    def __init__(
        self, sites: Sequence[SiteId], file: Path | None, telemetry: TelemetryStore | None, clock: Clock
    ) -> None:
        self._sites, self._file, self._telemetry, self._clock = tuple(sites), file, telemetry, clock
        self._naive = SeasonalNaive()
        self._known: ForecastSource = Known(self._naive)
        self._seen: tuple[int, int] | None = None
        self.trouble = ""
        """Why the file is not used, in words; empty otherwise."""

    def mean_w(
        self, site: SiteId, quantity: Quantity, since: float, until: float, quantile: float = 0.5
    ) -> float | None:
        """See `ForecastSource`."""
        return self._known.mean_w(site, quantity, since, until, quantile)

    def add(self, at: float, loads_w: Iterable[tuple[SiteId, float]]) -> None:
        """Take what the sites' consumers take now (UTC Unix s, W)."""
        for site, w in loads_w:
            self._naive.add(site, "load", at, w)

    async def run(self, told: Callable[[str], None]) -> None:
        """Look at the past once, and at the file from time to time, until cancelled.

        Args:
            told: Takes `trouble` after each look.
        """
        await self._look()
        told(self.trouble)
        await self._remember()
        while True:
            await asyncio.sleep(LOOK_S)
            await self._look()
            told(self.trouble)

    async def _remember(self) -> None:
        """The past that the telemetry still holds, oldest first; what has been added meanwhile stays."""
        if self._telemetry is None:
            return
        now = self._clock.utc()
        count = int(KEEP_DAYS * DAY_S / SAMPLE_S)
        for number in range(count):
            at = now - (count - number) * SAMPLE_S
            try:
                self._naive.feed(self._telemetry.seconds(at, at + 1.0), self._sites)
            except GatewayError as error:
                log.warning("the past cannot be read", error=str(error))
                return
            if number % PIECE == PIECE - 1:
                await asyncio.sleep(0.01)

    async def _look(self) -> None:
        if self._file is None:
            return
        try:
            stat = self._file.stat()
            seen = (stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return
            self._seen = seen
            table = await asyncio.to_thread(_read, self._file, self._sites)
        except OSError as error:
            self._seen, self.trouble = None, f"{self._file}: {error.strerror or error}"
        except (GatewayError, UnicodeDecodeError) as error:
            self.trouble = str(error)
        else:
            self._known, self.trouble = Known(table, self._naive), ""


def _read(file: Path, sites: Sequence[SiteId]) -> CsvForecast:
    return CsvForecast(str(file), file.read_text("utf-8-sig"), sites)
