"""What this VEN can report: sheets of data points as the program profile names them, and the METADATA that say so.

    usage        TELEMETRY_USAGE      import of the portfolio and each resource, and what else the profile lists
    status       TELEMETRY_STATUS     each resource: reachable, in local control, how far from its baseline
    history      HISTORY_USAGE        the data points of usage, from the stored telemetry
    greenbutton  HISTORY_GREENBUTTON  import as energy, as an ESPI feed

A data point is offered only where its number is measured or follows from what is measured. Powers are import in W.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.northbound.openadr2.program import UsageReport
from vpp_gateway.northbound.openadr2.report_words import Description, RegisterReport, Report, Unit

METADATA = "METADATA"
"""reportSpecifierID that asks for our METADATA report (rule 306)."""
USAGE = "usage"
STATUS = "x-resourceStatus"
_WATT_HOURS = Unit(name="energyReal", units="Wh", scale="none")
_ENERGIES = ("storedEnergy", "availableEnergyStorage")
_SITES_ONLY = ("operatingState",)
_PORTFOLIO_ONLY = ("deltaSetPoint",)

SheetKind = Literal["usage", "status", "history", "greenbutton"]
_NAMES: Mapping[SheetKind, str] = {
    "usage": "TELEMETRY_USAGE",
    "status": "TELEMETRY_STATUS",
    "history": "HISTORY_USAGE",
    "greenbutton": "HISTORY_GREENBUTTON",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPoint:
    """One rID."""

    r_id: str
    resource_id: str | None
    site: SiteId | None
    """None = the portfolio."""
    quantity: str
    """reportType."""
    unit: Unit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One report that can be ordered."""

    specifier_id: str
    kind: SheetKind
    points: Mapping[str, DataPoint]
    """By rID."""

    @property
    def name(self) -> str:
        """reportName."""
        return _NAMES[self.kind]

    @property
    def past(self) -> bool:
        """Served from what is stored, at once."""
        return self.kind in ("history", "greenbutton")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Everything that this VEN can report in one room."""

    rule: UsageReport
    sheets: Mapping[str, Sheet]
    """By reportSpecifierID."""
    digest: str
    """Of all that the METADATA say; differs whenever the VTN must be told again."""


def offer_of(rule: UsageReport, resources: Mapping[str, SiteId]) -> Offer:
    """The sheets of the profile over the portfolio and its resources."""
    usage = {point.r_id: point for point in _usage_points(rule, resources)}
    status = {
        r_id: DataPoint(r_id=r_id, resource_id=r_id, site=site, quantity=STATUS, unit=None)
        for r_id, site in resources.items()
    }
    energy = {
        r_id: DataPoint(
            r_id=r_id, resource_id=one.resource_id, site=one.site, quantity=USAGE, unit=_WATT_HOURS
        )
        for r_id, one in usage.items()
        if one.quantity == USAGE
    }
    named: tuple[tuple[str | None, SheetKind, Mapping[str, DataPoint]], ...] = (
        (rule.specifier_id, "usage", usage),
        (rule.status_specifier_id, "status", status),
        (rule.history_specifier_id, "history", usage),
        (rule.green_button_specifier_id, "greenbutton", energy),
    )
    sheets = {
        specifier_id: Sheet(specifier_id=specifier_id, kind=kind, points=points)
        for specifier_id, kind, points in named
        if specifier_id is not None
    }
    said = repr([_report(rule, sheet, "0", 0.0) for sheet in sheets.values()])
    return Offer(rule=rule, sheets=sheets, digest=hashlib.sha256(said.encode()).hexdigest()[:16])


def _usage_points(rule: UsageReport, resources: Mapping[str, SiteId]) -> Iterator[DataPoint]:
    power = Unit(name="powerReal", units="W", scale="none", hertz=rule.hertz, voltage=rule.voltage, ac=True)
    places: dict[str, SiteId | None] = {rule.portfolio_r_id: None, **resources}
    for quantity in (USAGE, *dict.fromkeys(rule.quantities)):
        for place, site in places.items():
            if (site is None and quantity in _SITES_ONLY) or (
                site is not None and quantity in _PORTFOLIO_ONLY
            ):
                continue
            energy = quantity in _ENERGIES or (quantity == USAGE and rule.usage_unit == "Wh")
            unit = None if quantity == "operatingState" else _WATT_HOURS if energy else power
            yield DataPoint(
                r_id=place if quantity == USAGE else f"{place}/{quantity}",
                resource_id=None if site is None else place,
                site=site,
                quantity=quantity,
                unit=unit,
            )


def metadata(
    offer: Offer, *, request_id: str, ven_id: str, now: float, asked_by: str | None = None
) -> RegisterReport:
    """oadrRegisterReport with the METADATA of everything we offer.

    Args:
        asked_by: reportRequestID when the VTN asked for it; None = unsolicited, written as "0" (rule 311).
    """
    reports = tuple(_report(offer.rule, sheet, asked_by or "0", now) for sheet in offer.sheets.values())
    return RegisterReport(request_id=request_id, reports=reports, ven_id=ven_id, report_request_id=asked_by)


def _report(rule: UsageReport, sheet: Sheet, request_id: str, now: float) -> Report:
    return Report(
        request_id=request_id,
        specifier_id=sheet.specifier_id,
        name=f"METADATA_{sheet.name}",
        created_at=now,
        duration_s=rule.history_max_s if sheet.past else rule.backfill_max_s,
        descriptions=tuple(_description(rule, point) for point in sheet.points.values()),
    )


def _description(rule: UsageReport, point: DataPoint) -> Description:
    reading = "Summed" if point.site is None else "Direct Read"
    if point.quantity in (STATUS, "operatingState"):
        reading = "x-notApplicable"
    elif point.quantity in ("baseline", "availableEnergyStorage", "deltaSetPoint"):
        reading = "Derived"
    return Description(
        r_id=point.r_id,
        resource_id=point.resource_id,
        report_type=point.quantity,
        reading_type=reading,
        unit=point.unit,
        min_period_s=rule.min_period_s,
        max_period_s=rule.max_period_s,
    )
