"""Reports and curves while a meter has failed: what the check meter says counts, and the report says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.checked_sites import HERE, START, Watched, load_w
from tests.unit.fleets import SITES
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.history import History
from vpp_gateway.journal.telemetry import TelemetryStore, believed_w, series_of
from vpp_gateway.northbound.openadr2.program import UsageReport
from vpp_gateway.northbound.openadr2.report_offer import USAGE, DataPoint
from vpp_gateway.northbound.openadr2.report_points import GOOD, SUB_NORMAL, UNCERTAIN, points_of
from vpp_gateway.northbound.turn import Sample, Telemetry
from vpp_gateway.report_series import series, statuses

RULE = UsageReport(confidence=98, confidence_modelled=10)
EVENT_S = 10


class Told:
    """A history that is asked for reports, its ring and its store apart."""

    def __init__(self, store: TelemetryStore) -> None:
        self.watched = Watched()
        self.store = store
        self.history = History(store, self.watched.gateway)

    def seconds(self, count: int, **how: object) -> None:
        for _ in range(count):
            self.watched.seconds(1, **how)  # type: ignore[arg-type]  # fields by name
            snapshot = self.watched.snapshot
            self.history.add(self.watched.gateway, snapshot)
            self.store.append(snapshot.at, {**series_of(snapshot), **self.history.extras(snapshot)})

    @property
    def later(self) -> History:
        """What a later life of the process knows: the store alone."""
        return History(self.store, self.watched.gateway)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(TelemetryStore.open(tmp_path / "telemetry.db", SITES, keep_free_bytes=0))


@pytest.mark.parametrize("how", [{"meter_w": None}, {"meter_w": "reversed"}, {"gone": (HERE,)}])
def test_usage_is_by_the_meter_that_is_followed_from_ring_and_store_alike(
    told: Told, how: dict[str, object]
) -> None:
    told.seconds(5)
    told.seconds(EVENT_S, **how)
    told.seconds(1)
    until = told.watched.now + 1
    for telemetry in (told.history, told.later):
        for site, sites in ((HERE, 1), (None, len(SITES))):
            rows = telemetry.usage(site, START, until)
            assert [row.at for row in rows] == [START + 1 + n for n in range(EVENT_S + 6)]
            assert [row.import_w for row in rows] == pytest.approx([sites * load_w(row.at) for row in rows])
            assert [row.checked for row in rows] == [False] * 5 + [True] * EVENT_S + [False]
    other = told.later.usage(SITES[1], START, until)
    assert len(other) == EVENT_S + 6 and not any(row.checked for row in other)


def test_both_meters_stand_in_the_store_and_the_flag_says_which_was_followed(told: Told) -> None:
    told.seconds(5)
    told.seconds(EVENT_S, meter_w="reversed")
    _, row = next(iter(told.store.seconds(told.watched.now, told.watched.now + 1)))
    now_w = load_w(told.watched.now)
    assert (row[f"{HERE}/import_w"], row[f"{HERE}/check_import_w"], row[f"{HERE}/checked"]) == (
        -now_w,
        now_w,
        1.0,
    )
    assert believed_w(row, HERE) == now_w
    assert row[f"{SITES[1]}/check_import_w"] == now_w and f"{SITES[1]}/checked" not in row


def test_a_site_that_nobody_sees_has_no_usage_and_no_sum(told: Told) -> None:
    told.seconds(5)
    told.seconds(3, meter_w=None, check_w=None)
    for telemetry in (told.history, told.later):
        assert len(telemetry.usage(HERE, START, told.watched.now + 1)) == 5
        assert len(telemetry.usage(None, START, told.watched.now + 1)) == 5


def test_status_and_baseline_go_on_while_the_check_meter_is_followed(told: Told) -> None:
    told.seconds(5)
    told.seconds(5, meter_w=None)
    seconds = list(told.store.seconds(told.watched.now, told.watched.now + 1))
    (status,) = statuses(seconds, HERE)
    assert status.online and status.offset_percent is not None
    (baseline,) = series(seconds, told.watched.gateway.fleet, "baseline", HERE)
    assert baseline.checked and baseline.value == pytest.approx(load_w(told.watched.now), rel=0.1)
    told.seconds(3, gone=(HERE,))
    (status,) = statuses(list(told.store.seconds(told.watched.now, told.watched.now + 1)), HERE)
    assert not status.online, "nobody can order anything there"


def quality(telemetry: Telemetry, site: SiteId | None, since: float) -> list[str | None]:
    point = DataPoint(r_id="p", resource_id=None, quantity=USAGE, site=site, unit=None)
    return [p.quality for p in points_of(point, RULE, telemetry, since, since + EVENT_S, EVENT_S)]


def test_a_report_says_when_it_is_by_the_check_meter(told: Told) -> None:
    told.seconds(EVENT_S)
    told.seconds(EVENT_S, meter_w=None)
    first, second = START + 1, START + 1 + EVENT_S
    for telemetry in (told.history, told.later):
        assert [quality(telemetry, site, first) for site in (HERE, None)] == [[GOOD], [GOOD]]
        assert [quality(telemetry, site, second) for site in (HERE, None)] == [[SUB_NORMAL], [SUB_NORMAL]]
        assert quality(telemetry, SITES[1], second) == [GOOD]


def test_a_model_is_less_than_another_meter() -> None:
    class Modelled(History):
        def series(self, quantity: str, site: SiteId | None, since: float, until: float) -> list[Sample]:
            return [Sample(at=since, value=1.0, modelled=True, checked=True)]

    point = DataPoint(r_id="p", resource_id=None, quantity="baseline", site=HERE, unit=None)
    (told,) = points_of(point, RULE, Modelled(), 0.0, 1.0, 1.0)
    assert (told.quality, told.confidence) == (UNCERTAIN, 10)
