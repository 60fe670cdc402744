"""From telemetry to points: one number, or one status, per data point and interval that has readings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from vpp_gateway.northbound.openadr2.program import UsageReport
from vpp_gateway.northbound.openadr2.report_offer import STATUS, USAGE, DataPoint
from vpp_gateway.northbound.openadr2.report_words import ControlState, Point, ResourceStatus
from vpp_gateway.northbound.turn import Sample, StatusSample, Telemetry

GOOD = "Quality Good - Non Specific"
UNCERTAIN = "Quality Uncertain - Non Specific"
SUB_NORMAL = "Quality Uncertain - Sub Normal"
"""Fewer sources than there should be: the meter failed and its check meter is followed."""
EPSILON_S = 1e-3
"""Slack for the binary fractions of Unix seconds; far below the one second that the schema can express."""


def points_of(
    point: DataPoint,
    rule: UsageReport,
    telemetry: Telemetry,
    since: float,
    until: float,
    granularity_s: float,
) -> Iterator[Point]:
    """Points of one data point in [since, until), in time order."""
    if point.quantity == STATUS and point.site is not None:
        yield from _statuses(point.r_id, telemetry.status(point.site, since, until), since, granularity_s)
        return
    if point.quantity in (USAGE, "demand"):
        samples = [
            Sample(at=one.at, value=one.import_w, modelled=one.modelled, checked=one.checked)
            for one in telemetry.usage(point.site, since, until)
        ]
    else:
        samples = list(telemetry.series(point.quantity, point.site, since, until))
    energy = point.quantity == USAGE and point.unit is not None and point.unit.name == "energyReal"
    factor = granularity_s / 3600.0 if energy else 1.0
    bins: dict[int, list[Sample]] = {}
    for sample in samples:
        if math.isfinite(sample.value):
            bins.setdefault(_bin(sample.at, since, granularity_s), []).append(sample)
    for index, inside in bins.items():
        modelled = any(sample.modelled for sample in inside)
        yield Point(
            r_id=point.r_id,
            value=_value(point, inside) * factor,
            start_at=since + index * granularity_s,
            duration_s=granularity_s,
            quality=_quality(inside),
            confidence=rule.confidence_modelled if modelled else rule.confidence,
        )


def _quality(inside: Sequence[Sample]) -> str:
    """The worst of one interval: a model is less than another meter."""
    if any(sample.modelled for sample in inside):
        return UNCERTAIN
    return SUB_NORMAL if any(sample.checked for sample in inside) else GOOD


def _value(point: DataPoint, inside: Sequence[Sample]) -> float:
    """The mean; a state is the worst that was seen."""
    if point.quantity == "operatingState":
        return min(sample.value for sample in inside)
    return sum(sample.value for sample in inside) / len(inside)


def _bin(at: float, since: float, granularity_s: float) -> int:
    return math.floor((at - since + EPSILON_S) / granularity_s)


def _statuses(
    r_id: str, samples: Sequence[StatusSample], since: float, granularity_s: float
) -> Iterator[Point]:
    """The last state of each interval."""
    last = {_bin(sample.at, since, granularity_s): sample for sample in samples}
    for index, sample in last.items():
        offset = sample.offset_percent
        yield Point(
            r_id=r_id,
            value=None,
            status=ResourceStatus(
                online=sample.online,
                manual_override=sample.override,
                percent_offset=None if offset is None else ControlState(current=offset, normal=0.0),
            ),
            start_at=since + index * granularity_s,
            duration_s=granularity_s,
            quality=GOOD if sample.online else "Quality Bad - Not Connected",
        )
