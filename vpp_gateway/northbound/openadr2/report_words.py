"""The report words of OpenADR 2.0b: what can be reported, what was asked for, and the points themselves.

    METADATA RegisterReport (rID, unit, rate) -> ReportRequest (rIDs, granularity, back duration) -> points

Times are UTC as Unix seconds, durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

SI_SCALE: dict[str, float] = {
    "p": 1e-12,
    "n": 1e-9,
    "micro": 1e-6,
    "m": 1e-3,
    "c": 1e-2,
    "d": 1e-1,
    "none": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
}
"""siScaleCode -> factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EiResponse:
    """Outcome of a message; only the first digit of the code decides (rule 48)."""

    code: str
    description: str = ""
    request_id: str = ""

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return self.code.startswith("2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """emix:itemBase: what a number counts."""

    name: str
    """Element name: powerReal, powerApparent, energyReal, voltage, ..."""
    units: str
    """itemUnits: W, VA, Wh, V, ..."""
    scale: str
    """siScaleCode; one of `SI_SCALE`."""
    hertz: float | None = None
    voltage: float | None = None
    ac: bool | None = None
    description: str | None = None
    """itemDescription of a customUnit; the schema fixes all others."""
    pulse_factor: float | None = None
    """kWh per count of a pulseCount."""

    @property
    def factor(self) -> float:
        """Multiplier to the plain unit."""
        return SI_SCALE[self.scale]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One data point that can be reported (METADATA)."""

    r_id: str
    report_type: str
    reading_type: str
    unit: Unit | None = None
    resource_id: str | None = None
    """reportDataSource: the site; None = the VEN as a whole."""
    market_context: str | None = None
    min_period_s: float | None = None
    max_period_s: float | None = None
    on_change: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlState:
    """oadrLoadControlStateTypeType: one way to steer a load, as it stands now."""

    current: float
    min: float | None = None
    max: float | None = None
    normal: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceStatus:
    """oadrPayloadResourceStatus."""

    online: bool
    manual_override: bool
    capacity: ControlState | None = None
    level_offset: ControlState | None = None
    percent_offset: ControlState | None = None
    set_point: ControlState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of one data point."""

    r_id: str
    value: float | None
    """None = a payload that is no float (`status`)."""
    status: ResourceStatus | None = None
    start_at: float | None = None
    """None inherits the report's dtstart (rule 314)."""
    duration_s: float | None = None
    quality: str | None = None
    """oadrDataQuality."""
    confidence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenReading:
    """ESPI IntervalReading."""

    start_at: float
    duration_s: float
    value_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenUsage:
    """ESPI: one UsagePoint with its MeterReading, ReadingType and IntervalBlock."""

    r_id: str
    interval_s: float
    readings: tuple[GreenReading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The Atom feed of one oadrGBPayload: energy taken from the grid, Wh."""

    id: str
    """A URI."""
    updated_at: float
    usages: tuple[GreenUsage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """oadrReport: METADATA (descriptions) or data (points)."""

    request_id: str
    """reportRequestID; "0" in unsolicited METADATA (rule 311)."""
    specifier_id: str
    created_at: float
    name: str | None = None
    start_at: float | None = None
    duration_s: float | None = None
    report_id: str | None = None
    descriptions: tuple[Description, ...] = ()
    points: tuple[Point, ...] = ()
    feed: Feed | None = None
    """Green Button instead of points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """specifierPayload: one rID of a request."""

    r_id: str
    reading_type: str = "x-notApplicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """oadrReportRequest."""

    request_id: str
    specifier_id: str
    granularity_s: float
    back_duration_s: float
    wanted: tuple[Wanted, ...]
    start_at: float | None = None
    duration_s: float | None = None
    """reportInterval; None or 0 = open end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterReport:
    """METADATA of everything that can be reported, from either side."""

    request_id: str
    reports: tuple[Report, ...] = ()
    ven_id: str | None = None
    report_request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredReport:
    """METADATA taken; may carry orders."""

    response: EiResponse
    requests: tuple[ReportRequest, ...] = ()
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateReport:
    """Orders of reports."""

    request_id: str
    requests: tuple[ReportRequest, ...]
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedReport:
    """Orders taken, or why not."""

    response: EiResponse
    pending: tuple[str, ...] = ()
    """reportRequestIDs of all reports that go on."""
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateReport:
    """Points of one or more reports."""

    request_id: str
    reports: tuple[Report, ...]
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReport:
    """End of reports."""

    request_id: str
    report_request_ids: tuple[str, ...]
    follow: bool = False
    """reportToFollow: one last report is wanted."""
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatedReport:
    """Points taken; may carry a cancellation."""

    response: EiResponse
    cancel: CancelReport | None = None
    """A piggy-backed oadrCancelReport."""
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanceledReport:
    """Reports ended, and which go on."""

    response: EiResponse
    pending: tuple[str, ...] = ()
    ven_id: str | None = None
