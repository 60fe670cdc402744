"""Does the PV meter count the right way? A plant gives by day, and by night takes next to nothing.

It counts what the plant feeds in as a negative import. Wired or set the other way round, it shows by day that the plant
takes power, which no plant does:

    mean of a minute, by its word     feeds in clearly      right
                                      nearly nothing        night, or no sun: tells nothing of the sign
                                      takes clearly         wrong sign

A sample in which the plant seems to take power is not believed, at once; what lasts for a minute is named. By night both
signs look alike, so what is known of it stays until the plant has clearly fed in again for a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

LEAST_SHARE = 0.005
"""Of the larger limit at the grid connection, which bounds what stands behind it. Inverters by night and an idle transformer
take less: together some tenths of a percent of what the plant can give."""
LEAST_W = 500.0
"""And no less than this: a meter of a small site has its own noise."""
MEAN_S = 60.0
GAP_S = 5.0
"""After so long without a reading a minute begins anew."""


@dataclass(slots=True)
class PvWatch:
    """The PV meter of one site, sample by sample.

    Args:
        limit_w: The larger of the limits at its grid connection, W.
    """

    limit_w: float
    reversed: bool = False
    """It has the wrong sign."""
    _begun_at: float = 0.0
    """When the minute that is being summed began; UTC (Unix s), as all moments here."""
    _last_at: float | None = None
    _sum_w: float = 0.0
    _count: int = 0

    @property
    def clear_w(self) -> float:
        """So much is clearly more than what a plant takes by night, W."""
        return max(LEAST_W, LEAST_SHARE * self.limit_w)

    def believes(self, at: float, import_w: float) -> bool:
        """Whether what it shows can be what the plant gives.

        Args:
            at: UTC (Unix s) of the sample.
            import_w: As the meter says, W, finite; < 0 = the plant feeds in.
        """
        self._hear(at, import_w)
        return not self.reversed and import_w < self.clear_w

    def _hear(self, at: float, import_w: float) -> None:
        if at == self._last_at:
            return
        if self._last_at is None or not 0.0 < at - self._last_at <= GAP_S:
            self._begin(at)
        self._last_at, self._sum_w, self._count = at, self._sum_w + import_w, self._count + 1
        if at < self._begun_at + MEAN_S:
            return
        mean_w = self._sum_w / self._count
        if abs(mean_w) >= self.clear_w:
            self.reversed = mean_w > 0.0
        self._begin(at)

    def _begin(self, at: float) -> None:
        self._begun_at, self._sum_w, self._count = at, 0.0, 0
