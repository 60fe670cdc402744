"""Does the meter still show what our batteries do? A loop that is closed over a dead meter runs away.

The load is the import at the PCC plus what our batteries discharge. With a meter that stands still, each change of
the batteries looks like a change of the load, which asks the batteries for as much again; with a meter of the wrong
sign it looks like twice that. The batteries are the only part that we move ourselves, so they are the test:

    batteries moved by m since the meter last said something new       import moved by  -m   well
                                                                       import moved by   0   stands still
                                                                       import moved by  +m   wrong sign
    import jumps to its own mirror image, whatever the batteries do                          wrong sign

A load that seems to have moved so is not believed, at once, and so no harm is done while the meter is only slow. What
lasts is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MOVED_SHARE = 0.02
"""Of the site's battery power: a smaller movement proves nothing."""
MOVED_MIN_W = 500.0
MOVED_NOISES = 6.0
"""And a movement that is not so many times what the load does from sample to sample tells nothing of the sign."""
NOISE_KEEP = 0.95
"""Of the mean of those changes, at each sample."""
STILL_SHARE = 1e-4
"""Import that moved by less than this share of what the batteries moved stands still: noise of a live meter is more."""
SAME_SHARE = (0.7, 1.3)
"""Import that moved by such a share of what the batteries moved has moved with them, or against them."""
STUCK_S = 10.0
"""A meter that stands still so long while the batteries move is stuck; some meters speak only every few seconds."""
REVERSED_TIMES = 2
"""So many movements with the wrong sign, and none with the right one between them, are no chance."""
MIRROR_SHARE = 0.05
"""A jump to the other sign of the same size, within this share of it, is no change of load."""
MIRROR_TIMES = 0.5
"""If the jump is larger than so many times what the batteries can move."""
REVERSED_S = 60.0
"""After so long, one movement with the wrong sign is taken for a jump of the load that just fitted."""

MeterDoubt = Literal["", "stuck", "reversed"]


@dataclass(slots=True)
class MeterWatch:
    """The meter of one site, sample by sample.

    Args:
        power_w: What its batteries can move, W; without any there is no test, and every sample is believed.
    """

    power_w: float
    doubt: MeterDoubt = ""
    """What lasts; "" = none."""
    right: bool = False
    """The last movement that told anything had the right sign."""
    _load_w: float | None = None
    """The last load that was believed."""
    _new: tuple[float, float, float] | None = None
    """(moment, import, batteries) when the meter last said something new."""
    _last: tuple[float, float] | None = None
    """(import, batteries) of the last sample."""
    _noise_w: float = 0.0
    """What the load does from sample to sample, as a running mean of magnitudes."""
    _wrong: int = 0
    """Movements with the wrong sign in a row."""
    _wrong_at: float = 0.0
    """When the last of them was."""

    def believes(self, at: float, import_w: float, battery_w: float) -> bool:
        """Whether import + batteries is the load of the site now.

        Args:
            at: UTC (Unix s) of the sample.
            import_w: As the meter says, W, finite.
            battery_w: What the batteries of the site discharge at the same moment, summed, W, finite.
        """
        believed = self._believed(at, import_w, battery_w)
        self._last = (import_w, battery_w)
        if believed:
            load = import_w + battery_w
            change = abs(load - (load if self._load_w is None else self._load_w))
            self._noise_w = NOISE_KEEP * self._noise_w + (1.0 - NOISE_KEEP) * change
            self._load_w = load
        return believed

    def recount(self, by_w: float) -> None:
        """Batteries came into the sum or left it: it is another sum by so much, W, and nothing has moved."""
        if self._new is not None and self._last is not None:
            self._new = (*self._new[:2], self._new[2] + by_w)
            self._last = (self._last[0], self._last[1] + by_w)
            self._load_w = None if self._load_w is None else self._load_w + by_w

    def _believed(self, at: float, import_w: float, battery_w: float) -> bool:
        least = max(MOVED_MIN_W, MOVED_SHARE * self.power_w)
        if self._new is None or self._last is None:
            self._new = (at, import_w, battery_w)
            return True
        since, then_w, battery_then_w = self._new
        moved = battery_w - battery_then_w
        if abs(import_w - then_w) <= STILL_SHARE * max(abs(moved), least):
            return self._still(at - since, moved, least)
        self._new = (at, import_w, battery_w)
        if self.doubt == "stuck":
            self.doubt = ""
        return self._signed(at, import_w, battery_w - self._last[1], least)

    def _still(self, lasted_s: float, moved: float, least: float) -> bool:
        """The meter says what it said before."""
        if abs(moved) < least:
            return self.doubt == ""
        if lasted_s >= STUCK_S:
            self.doubt = "stuck"
        return False

    def _signed(self, at: float, import_w: float, battery_moved: float, least: float) -> bool:
        """The meter says something new: with the right sign?"""
        was_w = 0.0 if self._last is None else self._last[0]
        if self._mirrored(import_w, was_w, battery_moved):
            self.right = False
            was_right = self.doubt != "reversed"
            self.doubt = "reversed" if was_right else ""
            self._wrong, self._wrong_at = (REVERSED_TIMES if was_right else 0), at
            return not was_right
        telling = abs(battery_moved) >= max(least, MOVED_NOISES * self._noise_w)
        ratio = (import_w - was_w) / battery_moved if telling else 0.0
        low, high = SAME_SHARE
        if low <= ratio <= high:
            self._wrong, self._wrong_at, self.right = self._wrong + 1, at, False
            if self._wrong >= REVERSED_TIMES:
                self.doubt = "reversed"
            return False
        if low <= -ratio <= high:
            self._wrong, self.doubt, self.right = 0, "", True
        return self.doubt == "" and (self._wrong == 0 or at >= self._wrong_at + REVERSED_S)

    def _mirrored(self, import_w: float, was_w: float, battery_moved: float) -> bool:
        """The meter says the opposite of what it said, as no load does, and not because of our batteries."""
        jump_w = import_w - was_w
        if abs(jump_w + battery_moved) <= 0.5 * abs(jump_w):
            return False
        large = abs(jump_w) > MIRROR_TIMES * self.power_w > 0
        return large and abs(import_w + was_w) <= MIRROR_SHARE * abs(jump_w)
