"""Text of dates, durations and numbers, as the 2.0b schema allows them and as the field writes them.

Read: dates with or without `Z` (always UTC), durations with a sign, weeks without `P`, a bare `P`. Written: always
`Z`, whole seconds, zero as `PT0S`. A value that cannot be used raises ValueError with the text found; the caller
decides what it costs (one event, not the message).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_DATE = re.compile(r"\s*([+-]?)(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(\.\d*)?Z?\s*", re.ASCII)
_USUAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_DURATION = re.compile(
    r"([+-]?)P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?|(\d+)W", re.ASCII
)
_SECONDS = (365 * 86400, 30 * 86400, 86400, 3600, 60, 1)
"""Y M D H M S; years and months have no fixed length, these are the customary ones."""
DURATION_MAX_S = 100 * 365 * 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shown(text: str | None, limit: int = 60) -> str:
    """A peer's text made safe for a message to the operator: quoted, escaped, cut."""
    if text is None:
        return "nothing"
    return ascii(text if len(text) <= limit else text[:limit] + "...")


def read_date(text: str) -> float:
    """UTC (Unix s) of an xs:dateTime with or without `Z`. Raises ValueError when there is no such time."""
    if not _USUAL.fullmatch(text):
        return _read_any_date(text)
    try:
        return datetime.fromisoformat(text).timestamp()  # many in a long list, so the quick way first
    except ValueError:  # midnight as 24:00:00, or no such time: the long way says which
        return _read_any_date(text)


def _read_any_date(text: str) -> float:
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a date-time like 2026-01-31T09:00:00Z, found {shown(text)}")
    sign, *numbers, fraction = found.groups()
    year, month, day, hour, minute, second = (int(number) for number in numbers)
    midnight = hour == 24 and minute == second == 0
    try:
        whole = datetime(year, month, day, 0 if midnight else hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise ValueError(f"expected an existing date-time, found {shown(text)}") from None
    if sign == "-":
        raise ValueError(f"expected an existing date-time, found {shown(text)}")
    seconds = int(whole.timestamp()) + midnight * 86400
    if not fraction or len(fraction) == 1 or seconds < 0:
        return float(seconds)
    return float(f"{seconds}{fraction}")  # read as one number: nothing is lost by adding


def write_date(at: float) -> str:
    """xs:dateTime with `Z`; milliseconds only when there are any."""
    whole, millis = divmod(round(at * 1000), 1000)
    text = (_EPOCH + timedelta(seconds=whole)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{millis:03d}Z" if millis else f"{text}Z"


@lru_cache(maxsize=1024)
def read_duration(text: str) -> float:
    """Seconds of a 2.0b duration, also its odd forms (`P`, `3W`, `-PT5M`). Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected a duration like PT15M, found {shown(text)}")
    sign, *parts, weeks = found.groups()
    if any(part is not None and len(part) > 10 for part in (*parts, weeks)):
        raise ValueError(f"expected a duration of at most 100 years, found {shown(text)}")
    total = sum(int(part or 0) * size for part, size in zip(parts, _SECONDS, strict=True))
    total += int(weeks or 0) * 7 * 86400
    if total > DURATION_MAX_S:
        raise ValueError(f"expected a duration of at most 100 years, found {shown(text)}")
    return float(-total if sign == "-" else total)


def write_duration(seconds: float) -> str:
    """A duration in whole seconds (rounded on purpose); zero is `PT0S`, never a bare `P`."""
    whole = round(seconds)
    sign, whole = ("-", -whole) if whole < 0 else ("", whole)
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    text = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (second, "S")) if n)
    return f"{sign}PT{text or '0S'}"


def read_bool(text: str) -> bool:
    """xs:boolean. Raises ValueError."""
    word = text.strip()
    if word not in ("true", "false", "1", "0"):
        raise ValueError(f"expected true or false, found {shown(text)}")
    return word in ("true", "1")


def write_bool(value: bool) -> str:
    """xs:boolean as a word."""
    return "true" if value else "false"


@lru_cache(maxsize=1024)
def read_count(text: str) -> int:
    """xs:unsignedInt. Raises ValueError."""
    word = text.strip()
    if not re.fullmatch(r"\+?\d{1,10}|-0+", word, re.ASCII) or int(word) >= 2**32:
        raise ValueError(f"expected a whole number from 0 to 4294967295, found {shown(text)}")
    return int(word)


def write_number(value: float) -> str:
    """xs:float without exponent noise for whole numbers."""
    value = float(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
