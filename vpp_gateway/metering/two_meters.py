"""Two meters at one connection: which of them is to be believed this second?

    meter   12.1  12.1  12.1  12.1        stands still while the other moves             -> the check meter
    check   12.1  12.0  11.7  11.6
    meter   12.1 -12.0 -12.1 -11.9        the other sign of what the other says          -> the check meter
    check   12.1  12.0  12.1  11.9
    meter   12.1  -     -     -           says nothing                                   -> the check meter

One meter alone can only be tested by what our own batteries do (`metering.watch`); two test each other, in the first
second. Where they part and nothing tells which is wrong, the meter that accounts are made of holds, and it is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

AGREE_SHARE = 0.01
"""Meters of classes 0.5 and 1, read some tenths of a second apart, agree within this share of what they show."""
AGREE_POWER_SHARE = 0.02
"""Or within this share of the site's battery power."""
AGREE_MIN_W = 500.0
STILL_SHARE, STILL_MIN_W = 0.002, 100.0
"""Of the battery power: the other meter must have moved by so much before one that repeats itself stands still."""

SURE_TIMES = 3.0
"""Agreement on less than so many times that allowance says nothing of the sign."""
JUMP_TIMES = 2.0
"""The one that jumped so many times as far as the other, and past zero, is the one that turned over."""

Sight = Literal["meter", "check", ""]
Proof = Literal["", "right", "reversed"]
Parted = Literal["", "stuck", "reversed", "apart"]


@dataclass(slots=True)
class _Said:
    """What one of them says, and since when it says the same."""

    import_w: float | None = None
    other_w: float | None = None
    """What the other one said when this one last said something new."""

    def hear(self, import_w: float | None, other_w: float | None) -> None:
        if import_w != self.import_w or self.other_w is None:
            self.import_w, self.other_w = import_w, other_w

    def stands_still(self, other_w: float, least_w: float) -> bool:
        """The other one moved meanwhile."""
        return self.other_w is not None and abs(other_w - self.other_w) > least_w


@dataclass(slots=True)
class TwoMeters:
    """The meters of one site, second by second.

    Args:
        power_w: What the batteries of the site can move, W.
    """

    power_w: float
    parted: Parted = ""
    """How the meter differs from the check meter; "" = it does not, or one of them is silent."""
    astray: Parted = ""
    """What is wrong with the check meter itself, while the meter is well: stuck or reversed; "" = nothing."""
    _meter: _Said = field(default_factory=_Said)
    _check: _Said = field(default_factory=_Said)
    _last: tuple[float, float] | None = None
    """(meter, check meter) of the second before, while both spoke."""
    _liar: Literal["", "meter", "check"] = ""
    """Which of them has the wrong sign, once that is known; near zero both look alike, and it stays known."""

    def sight(self, meter_w: float | None, check_w: float | None, proof: Proof = "") -> Sight:
        """Which of them to believe; "" = neither.

        Args:
            meter_w: Import by the meter, W, finite; None while it says nothing usable.
            check_w: The same of the check meter.
            proof: What the batteries of the site say of the meter's sign.
        """
        self._meter.hear(meter_w, check_w)
        self._check.hear(check_w, meter_w)
        self.parted = self.astray = ""
        if meter_w is None or check_w is None:
            self._last = None
            if meter_w is None:
                return "check" if check_w is not None and self._liar != "check" else ""
            return "meter" if self._liar != "meter" else ""
        last, self._last = self._last, (meter_w, check_w)
        agree = self._agree(meter_w, check_w)
        if self._agree(-meter_w, check_w) and not agree:
            return self._mirrored(meter_w, check_w, last, proof)
        if agree and abs(meter_w) > SURE_TIMES * self._allowed_w(check_w):
            self._liar = ""
        least_w = max(STILL_MIN_W, STILL_SHARE * self.power_w)
        if self._meter.stands_still(check_w, least_w):
            self.parted = "stuck"
            return "check"
        if self._check.stands_still(meter_w, least_w):
            self.astray = "stuck"
        elif not agree:
            self.parted = "apart"
        return "meter"

    def _mirrored(
        self, meter_w: float, check_w: float, last: tuple[float, float] | None, proof: Proof
    ) -> Sight:
        """One says the opposite of the other: the batteries know which is right, or the jump to it tells."""
        if proof:
            self._liar = "meter" if proof == "reversed" else "check"
        elif not self._liar and last is not None:
            jumped, checked = abs(meter_w - last[0]), abs(check_w - last[1])
            if max(jumped, checked) > max(JUMP_TIMES * min(jumped, checked), abs(meter_w)):
                self._liar = "meter" if jumped > checked else "check"
        if self._liar == "meter":
            self.parted = "reversed"
            return "check"
        if self._liar == "check":
            self.astray = "reversed"
            return "meter"
        self.parted = "apart"
        return ""

    def _agree(self, meter_w: float, check_w: float) -> bool:
        return abs(meter_w - check_w) <= self._allowed_w(check_w)

    def _allowed_w(self, check_w: float) -> float:
        return max(AGREE_MIN_W, AGREE_POWER_SHARE * self.power_w, AGREE_SHARE * abs(check_w))
