"""How numbers and times are shown to operators: MW, age, JST."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

JST = timezone(timedelta(hours=9), "JST")
NOTHING = "–"


def mw(watts: float | None, *, signed: bool = False) -> str:
    """W as MW with two decimals."""
    if watts is None:
        return NOTHING
    shown = f"{watts / 1e6:+.2f}" if signed else f"{watts / 1e6:.2f}"
    return shown.replace("-0.00", "0.00").replace("+0.00", "0.00")


def percent(share: float | None) -> str:
    """A share as a whole percent."""
    return NOTHING if share is None else f"{share:.0%}"


def age(seconds: float | None) -> str:
    """A duration in its two largest useful units."""
    if seconds is None:
        return NOTHING
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def clock(at: float | None) -> str:
    """UTC (Unix s) as JST, time of day."""
    return NOTHING if at is None else datetime.fromtimestamp(at, JST).strftime("%H:%M:%S")


def moment(at: float | None) -> str:
    """UTC (Unix s) as JST, date and time."""
    return NOTHING if at is None else datetime.fromtimestamp(at, JST).strftime("%Y-%m-%d %H:%M:%S")


def day(at: float) -> str:
    """UTC (Unix s) as the UTC date."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
