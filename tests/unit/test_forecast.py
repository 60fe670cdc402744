"""Forecasts: the past as the future, and tables from elsewhere."""

from __future__ import annotations

import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import ConfigError
from vpp_gateway.portfolio.forecast import DAY_S, Known, SeasonalNaive, course_w, samples
from vpp_gateway.portfolio.forecast_csv import CsvForecast

A, B = SiteId("a"), SiteId("b")
MONDAY = datetime.fromisoformat("2026-11-23T00:00:00+09:00").timestamp()
HOUR = 3600.0


def week(days: int, w: float = 100.0, rise: float = 0.0) -> SeasonalNaive:
    """`days` days from a Monday on: `w` at night, twice that from 9 to 18, a half at weekends, more each day."""
    source = SeasonalNaive()
    for step in range(int(days * DAY_S / 300)):
        at = MONDAY + 300 * step
        hour, day = (at - MONDAY) % DAY_S / HOUR, int((at - MONDAY) // DAY_S)
        load = w * (2.0 if 9 <= hour < 18 else 1.0) * (0.5 if day % 7 >= 5 else 1.0) + rise * day
        source.add(A, "load", at, load)
    return source


def test_as_yesterday_at_this_time() -> None:
    source, tuesday = week(1), MONDAY + DAY_S
    assert source.mean_w(A, "load", tuesday + 8 * HOUR, tuesday + 8.5 * HOUR) == pytest.approx(100.0)
    assert source.mean_w(A, "load", tuesday + 9 * HOUR, tuesday + 9.5 * HOUR) == pytest.approx(200.0)
    assert source.mean_w(A, "load", tuesday + 8.5 * HOUR, tuesday + 9.5 * HOUR) == pytest.approx(150.0)


def test_a_monday_is_as_the_last_monday_not_as_sunday() -> None:
    source, monday = week(7), MONDAY + 7 * DAY_S
    assert source.mean_w(A, "load", monday + 10 * HOUR, monday + 11 * HOUR) == pytest.approx(200.0)
    saturday = MONDAY + 12 * DAY_S
    assert week(12).mean_w(A, "load", saturday + 10 * HOUR, saturday + 11 * HOUR) == pytest.approx(100.0)


def test_what_is_not_known_is_not_invented() -> None:
    source = week(1)
    assert source.mean_w(B, "load", MONDAY + DAY_S, MONDAY + DAY_S + 60) is None
    assert source.mean_w(A, "pv", MONDAY + DAY_S, MONDAY + DAY_S + 60) is None
    assert source.mean_w(A, "load", MONDAY + 3 * DAY_S, MONDAY + 3 * DAY_S + 60) is None
    assert course_w(source, A, "load", MONDAY + 2 * DAY_S - 600, (300.0, 300.0, 300.0)) is None


def test_quantiles_are_those_of_its_own_errors() -> None:
    source, at = week(5, rise=10.0), MONDAY + 5 * DAY_S - 2 * HOUR
    middle = source.mean_w(A, "load", at, at + 300)
    high = source.mean_w(A, "load", at, at + 300, 0.9)
    assert middle is not None and high is not None
    assert high - middle == pytest.approx(10.0), "each day was 10 W more than the day before"
    assert SeasonalNaive().mean_w(A, "load", at, at + 300, 0.9) is None
    assert week(1).mean_w(A, "load", MONDAY + DAY_S, MONDAY + DAY_S + 300, 0.9) == pytest.approx(100.0)


def test_old_days_are_forgotten_and_nonsense_is_not_taken() -> None:
    source = SeasonalNaive()
    for day in range(40):
        source.add(A, "pv", MONDAY + day * DAY_S, float(day))
        source.add(A, "pv", MONDAY + day * DAY_S, math.nan)
        source.add(A, "pv", math.inf, 1.0)
    assert source.mean_w(A, "pv", MONDAY + 40 * DAY_S, MONDAY + 40 * DAY_S + 1) is not None
    assert source.mean_w(A, "pv", MONDAY + 20 * DAY_S, MONDAY + 20 * DAY_S + 1) is None


@pytest.mark.parametrize(
    ("since", "until", "quantile"), [(0, 0, 0.5), (math.nan, 1, 0.5), (0, 1, 0.0), (0, math.inf, 0.5)]
)
def test_a_question_that_makes_no_sense_is_refused(since: float, until: float, quantile: float) -> None:
    for source in (week(1), CsvForecast("f", "start_at,site,load_w\n2026-11-28T00:00Z,a,1\n", (A,))):
        with pytest.raises(ValueError, match="quantile"):
            source.mean_w(A, "load", since, until, quantile)


def test_load_is_what_the_meter_would_show_without_battery_and_sun() -> None:
    row = {
        "a/import_w": 100.0,
        "a/b1/discharge_w": 30.0,
        "a/b1/soc": 0.5,
        "a/pv_w": 20.0,
        "aa/b/discharge_w": 7.0,
    }
    assert dict(samples(row, A)) == {"pv": 20.0, "load": 150.0}
    source = SeasonalNaive()
    source.feed([(MONDAY, row)], (A, B))
    assert source.mean_w(A, "load", MONDAY + DAY_S, MONDAY + DAY_S + 300) == 150.0


# --- tables ----------------------------------------------------------------------------------------------------------

TABLE = """start_at,site,load_w,load_p10_w,load_p90_w,pv_w
2026-11-28T09:00:00+09:00,a,1000,900,1200,50
2026-11-28T09:30:00+09:00,a,2000,1800,2400,
2026-11-28T09:00:00+09:00,b,10,,,0
"""
NINE = datetime.fromisoformat("2026-11-28T09:00:00+09:00").timestamp()


def test_a_row_holds_until_the_next_one() -> None:
    table = CsvForecast("f.csv", TABLE, (A, B))
    assert table.mean_w(A, "load", NINE, NINE + 60) == 1000.0
    assert table.mean_w(A, "load", NINE + 900, NINE + 2700) == pytest.approx(1500.0)
    assert table.mean_w(A, "load", NINE + 3000, NINE + 3600) == 2000.0
    assert table.mean_w(A, "load", NINE + 3000, NINE + 3601) is None
    assert table.mean_w(A, "load", NINE - 1, NINE + 60) is None
    assert table.mean_w(B, "load", NINE, NINE + 1800) == 10.0
    assert table.mean_w(A, "pv", NINE, NINE + 60) == 50.0
    assert table.mean_w(A, "pv", NINE, NINE + 1860) is None, "an empty cell says nothing"


@given(quantile=st.floats(0.01, 0.99))
def test_quantiles_of_a_table_lie_between_its_points(quantile: float) -> None:
    value = CsvForecast("f.csv", TABLE, (A, B)).mean_w(A, "load", NINE, NINE + 60, quantile)
    assert value is not None and 900.0 <= value <= 1200.0
    assert (value >= 1000.0) == (quantile >= 0.5) or value == pytest.approx(1000.0)


def test_a_table_first_the_past_behind_it() -> None:
    both = Known(CsvForecast("f.csv", TABLE, (A, B)), week(5))
    assert both.mean_w(A, "load", NINE, NINE + 60) == 1000.0
    friday = MONDAY + 4 * DAY_S + HOUR
    assert both.mean_w(A, "load", friday, friday + 60) == pytest.approx(100.0)
    assert both.mean_w(B, "pv", friday, friday + 60) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"f\.csv:1:1 \(start_at\): this column is missing"),
        ("start_at,site\n", r"f\.csv:1:1 \(load_w\): neither"),
        ("start_at,site,load_kw\n", r"f\.csv:1:3 \(load_kw\): unknown column; allowed: start_at, site, load_w"),
        ("start_at,site,load_w,load_w\n", r"f\.csv:1:4 \(load_w\): this column occurs twice"),
        ("start_at,site,load_w\n", r"f\.csv:2:1: there are no rows"),
        ("start_at,site,load_w\n2026-11-28T09:00Z,a\n", r"f\.csv:2:2: 2 cells; the header has 3"),
        ("start_at,site,load_w\n2026-11-28T09:00Z,c,1\n", r"f\.csv:2:2 \(site\): no site 'c'; there are: a, b"),
        ("start_at,site,load_w\n2026-11-28T09:00,a,1\n", r"f\.csv:2:1 \(start_at\): .* no offset"),
        ("start_at,site,load_w\nnoon,a,1\n", r"f\.csv:2:1 \(start_at\): 'noon' is no ISO 8601 time"),
        ("site,load_w,start_at\na,1,2026-11-28T09:00Z\n\na,x,2026-11-28T10:00Z\n", r"f\.csv:4:2 \(load_w\): 'x' is no number"),
        ("start_at,site,load_w\n2026-11-28T09:00Z,a,nan\n", r"f\.csv:2:3 \(load_w\): nan is out of range"),
        ("start_at,site,load_w\n2026-11-28T09:00Z,a,1e300\n", r"out of range"),
        ("start_at,site,pv_w\n2026-11-28T09:00Z,a,-1\n", r"f\.csv:2:3 \(pv_w\): -1: generation is not negative"),
        ("start_at,site,pv_w\n2026-11-28T09:00Z,a,1\n2026-11-28T09:00Z,a,1\n", r"f\.csv:3:1 \(start_at\): .* not after"),
        ("start_at,site,load_w,load_p90_w\n2026-11-28T09:00Z,a,5,4\n", r"f\.csv:2:3 \(load_w\): .* not in order"),
        ('start_at,site,load_w\n2026-11-28T09:00Z,"a"b,5\n', r"f\.csv:2:1: cannot be read as CSV"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_with_file_line_and_column(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        CsvForecast("f.csv", text, (A, B))


@given(text=st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^f\.csv:\d+:\d+"):
        CsvForecast("f.csv", text, (A,))
