"""A program profile: how one utility uses OpenADR 2.0b. Everything that differs between programs is data here.

    profiles/programs/<name>.yaml  --profile.load_profile-->  ProgramProfile

The standard leaves open which signals are sent, in which unit, what a positive number means, and how SIMPLE levels
turn into W. Those answers are the program's, never the code's. Powers in W, times in seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vpp_gateway.northbound.openadr2.opt_words import OPT_REASONS, valid_reason
from vpp_gateway.profile import Profile

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AssumedUnit(_Model):
    """Unit of a number that comes without one. State it only when the program says so: never assume kW."""

    units: str
    scale: Literal["p", "n", "micro", "m", "c", "d", "none", "k", "M", "G", "T"]


class Band(_Model):
    """From which number on a price or an offset means which SIMPLE level."""

    at_least: Annotated[float, Field(allow_inf_nan=False)]
    """In the rule's unit without SI scale."""
    level: Literal[0, 1, 2, 3]


Meaning = Literal[
    "delta",
    "setpoint",
    "level",
    "multiplier",
    "price",
    "level-offset",
    "percent-offset",
    "capacity",
    "ignore",
]
_IN_WATTS = ("delta", "setpoint")
_IN_BANDS = ("price", "level-offset")
_IN_SHARES = ("multiplier", "percent-offset", "capacity")


class SignalRule(_Model):
    """One (signalName, signalType) that the program sends."""

    name: str
    """LOAD_DISPATCH, SIMPLE, x-..."""
    type: str
    """delta, setpoint, level, ..."""
    meaning: Meaning
    """What its numbers ask for: `delta` and `setpoint` in W; `level` SIMPLE 0-3; `multiplier` a factor on undisturbed
    use; `percent-offset` a change by a share of undisturbed use; `capacity` a share of the sites' contracted import as
    target; `price` and `level-offset` a level by `bands`; `ignore`: known, deliberately without effect, an event with
    nothing else is answered 460."""
    positive: Literal["import", "regulation"] = "import"
    """What a positive number means: more taken from the grid (the standard's reading), or more relief for it."""
    units: tuple[str, ...] = ("W",)
    """itemUnits that are understood; the default stands for `delta` and `setpoint` only, others take none unless named."""
    items: tuple[str, ...] = ()
    """itemBase elements that are understood (powerReal, currencyPerKWh, ...); empty = any with these units."""
    when_absent: AssumedUnit | None = None
    """None = a number without a unit is refused, unless its meaning needs none (levels, shares, price multipliers)."""
    whole: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """The number that stands for 100 % in `multiplier`, `percent-offset` and `capacity`: 1, or 100 where percent are
    sent."""
    bands: tuple[Band, ...] = ()
    """For `price` and `level-offset`; a number below all of them means level 0."""

    @model_validator(mode="after")
    def _banded(self) -> Self:
        if (self.meaning in _IN_BANDS) != bool(self.bands):
            raise ValueError(f"bands belong to the meanings {', '.join(_IN_BANDS)}, and these need them")
        if len({band.at_least for band in self.bands}) != len(self.bands):
            raise ValueError("bands: each at_least once")
        return self

    @property
    def understood(self) -> tuple[str, ...]:
        """itemUnits that its numbers may carry."""
        return self.units if self.meaning in _IN_WATTS or "units" in self.model_fields_set else ()

    @property
    def unitless(self) -> bool:
        """Whether its numbers mean something without a unit."""
        return self.meaning in (*_IN_SHARES, "level-offset") or self.type == "priceMultiplier"

    @property
    def in_levels(self) -> bool:
        """Whether its numbers end as SIMPLE levels."""
        return self.meaning in ("level", *_IN_BANDS)


class LevelRule(_Model):
    """What one SIMPLE level asks for."""

    level: Literal[0, 1, 2, 3]
    share: Share | None = None
    """Of each addressed site's level base (settings), as relief for the grid."""
    regulation_w: float | None = None
    """Relief in W per event, > 0 relieves the grid."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.share is None) == (self.regulation_w is None):
            raise ValueError("give exactly one of share (0..1) or regulation_w (W)")
        return self


class Polling(_Model):
    """Pace of the pull."""

    poll_s: Seconds = 10.0
    """Used until the VTN asks for another pace (oadrRequestedOadrPollFreq)."""
    jitter_share: Share = 0.05
    """Each wait is longer by up to this share, so that many VENs do not poll in step; never shorter (rule 54)."""
    drain_max: Annotated[int, Field(ge=0, le=100)] = 0
    """After a poll that brought something, poll again at once, at most so often per interval. Only while the VTN
    has set no poll frequency: draining breaks its letter."""
    deadline_s: Seconds = 10.0
    """For one whole exchange, connection included."""
    backoff_min_s: Seconds = 1.0
    backoff_max_s: Seconds = 60.0
    lost_after: Annotated[int, Field(ge=1)] = 3
    """Failed exchanges in a row until the VTN counts as lost."""


class Push(_Model):
    """Transport push: the VTN posts to us."""

    safety_s: Annotated[float, Field(ge=10, allow_inf_nan=False)] | None = 900.0
    """The list of events is asked for so often although nothing is in doubt; None = only after a doubt."""
    answer_s: Seconds = 5.0
    """A message that has no reply by then is answered HTTP 503."""


class Standby(_Model):
    """Several addresses of one utility: the main site and its standbys."""

    failback_s: Seconds = 300.0
    """While a standby is in use, the main site is tried again so often."""
    standby_shares_state: bool = True
    """True: all sites tell the same list of events, so what a standby does not list is cancelled (rule 61). False:
    what the main site told is kept until its end, or until the main site answers again; and each site has its own
    vtnID and registration of us."""

    def registrar(self, endpoint: int) -> int:
        """Whose registration counts at an address: each site's own, or the one that all share."""
        return 0 if self.standby_shares_state else endpoint


class Signature(_Model):
    """XML signatures."""

    required: bool
    """Unsigned messages are refused, and ours are signed."""
    replay_window_s: Seconds = 30.0
    """Two-sided."""
    nonces_max: Annotated[int, Field(ge=64)] = 4096


class Tls(_Model):
    """The TLS that the program prescribes (rules 67, 68)."""

    ciphers: str | None = None
    """OpenSSL cipher list; None = the platform's default."""
    check_hostname: bool = True
    stale_crl: Literal["refuse", "accept"] = "refuse"
    """A CRL whose next issue is overdue: its authority's certificates are refused, or accepted with an alarm."""


class LossOfCommunication(_Model):
    """What becomes of accepted events when nothing usable comes from the VTN any more."""

    release_after_s: Seconds | None = None
    """None = keep them until their end, as the standard has it: silence cancels nothing. Otherwise they are withdrawn
    after so long a silence, and taken up again when the VTN still lists them on its return."""


class TargetRules(_Model):
    """How this program addresses us in eiTarget."""

    by: Annotated[tuple[Literal["venID", "resourceID", "groupID", "partyID"], ...], Field(min_length=1)] = (
        "venID",
        "resourceID",
        "groupID",
        "partyID",
    )
    """Criteria that can name us; any one is enough (rule 22). One that is missing here names nobody: an event that
    has no other is answered 462."""


Quantity = Literal[
    "demand",
    "baseline",
    "storedEnergy",
    "availableEnergyStorage",
    "upRegulationCapacityAvailable",
    "downRegulationCapacityAvailable",
    "deltaSetPoint",
    "operatingState",
]
"""reportTypes that the gateway can give a number for."""


class UsageReport(_Model):
    """The reports that this program is offered: import of the portfolio and of each site, and what is listed."""

    specifier_id: str = "usage"
    portfolio_r_id: str = "portfolio"
    usage_unit: Literal["W", "Wh"] = "W"
    """`usage` as mean power or as energy of the interval; some programs read the word one way, some the other."""
    quantities: tuple[Quantity, ...] = ()
    """Further data points, by reportType; their rID is `<resource>/<reportType>`."""
    status_specifier_id: str | None = None
    """TELEMETRY_STATUS; None = not offered."""
    history_specifier_id: str | None = None
    """HISTORY_USAGE; None = not offered."""
    green_button_specifier_id: str | None = None
    """HISTORY_GREENBUTTON; None = not offered."""
    history_max_s: Seconds = 30 * 86400.0
    """How far back history is offered; not more than `retention.telemetry_days` keeps."""
    confidence: Annotated[int, Field(ge=0, le=100)] | None = None
    """ei:confidence of measured points, in percent; None = nothing is said."""
    confidence_modelled: Annotated[int, Field(ge=0, le=100)] | None = None
    """The same where no meter hardware stands behind the number."""
    min_period_s: Seconds = 1.0
    max_period_s: Seconds = 86400.0
    settle_s: Annotated[float, Field(ge=0)] = 0.5
    """Wait after the end of an interval until its last reading is in."""
    backfill_max_s: Seconds = 7 * 86400.0
    """How far back points are still sent after an outage."""
    points_max: Annotated[int, Field(ge=1, le=5000)] = 900
    """Points per oadrUpdateReport."""
    hertz: float = 50.0
    voltage: float = 6600.0
    """powerAttributes at the grid connection point."""

    @model_validator(mode="after")
    def _specifiers_differ(self) -> Self:
        given = (
            self.specifier_id,
            self.status_specifier_id,
            self.history_specifier_id,
            self.green_button_specifier_id,
        )
        named = [one for one in given if one is not None]
        if len(set(named)) < len(named) or "METADATA" in named:
            raise ValueError("reports: each specifier id once, and none of them METADATA")
        return self


class AvailabilityRule(_Model):
    """Opting out by the clock where the spare capacity is short."""

    need_kw: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """A block in which less can be held is opted out of."""
    direction: Literal["down", "up"] = "down"
    """`down`: relieving the grid (下げDR); `up`: taking more (上げDR)."""
    every_s: Annotated[float, Field(ge=60, allow_inf_nan=False)] = 900.0
    """How often it is looked at; the VTN is told only of changes."""
    horizon_s: Annotated[float, Field(ge=1800, le=31 * 86400, allow_inf_nan=False)] = 86400.0
    block_s: Annotated[float, Field(ge=60, le=86400, allow_inf_nan=False)] = 1800.0
    reason: str = "notParticipating"
    """optReason."""

    @model_validator(mode="after")
    def _known_reason(self) -> Self:
        if not valid_reason(self.reason):
            raise ValueError(f"reason: one of {', '.join(OPT_REASONS)}, or x- and a word")
        return self


class OptRules(_Model):
    """EiOpt as this program uses it."""

    change_by: Literal["created-event", "create-opt"] = "created-event"
    """How a changed opt of an event is told, until an oadrCreateOpt was sent for it (rule 206)."""
    availability: AvailabilityRule | None = None
    """None = no schedules by the clock."""


class ProgramProfile(Profile):
    """One program of one utility over OpenADR 2.0b."""

    name: str
    title: str
    to_be_confirmed: dict[str, str] = Field(default_factory=dict)
    """Keys of this file that stand on less than `verified` says, each with the reason."""
    version: Literal["2.0b"] = "2.0b"
    market_contexts: tuple[str, ...] = ()
    """Accepted market contexts; empty = any."""
    vtn_id: str | None = None
    """Expected vtnID; None = the one learnt at registration."""
    query_first: bool = True
    """Ask with oadrQueryRegistration before registering."""
    signals: tuple[SignalRule, ...]
    """Accepted signals; the first one in this order that an event carries is acted on."""
    levels: tuple[LevelRule, ...] = ()
    """SIMPLE levels; a level that is missing here is refused."""
    targets: TargetRules = TargetRules()
    ven_target_narrows: bool = False
    """False: a matching venID addresses the whole portfolio even when resourceIDs stand beside it (rule 22: OR).
    True: resourceIDs beside it narrow the event to those sites."""
    device_classes: tuple[str, ...] = ()
    """endDeviceAsset classes that we are; an eiTarget or signal for any other class is not ours."""
    apply_startafter: bool = True
    """Randomise the start by 0..startafter (rule 30)."""
    randomise_cancellation: bool = True
    """An active event with startafter that is cancelled ends after 0..startafter (rule 65); False: at once."""
    apply_ramps: bool = True
    """Follow x-eiRampUp and x-eiRecovery in steps (rule 31); False: full from dtstart to the end."""
    ramp_steps: Annotated[int, Field(ge=1, le=60)] = 10
    """Steps of a ramp; none is shorter than a second."""
    execute_test_events: bool = True
    """False: a test event (rule 6) is judged, answered and shown, but nothing is dispatched for it."""
    answer_deadline_s: Seconds = 10.0
    """An event without a decision by then is answered optOut."""
    clock_tolerance_s: Seconds = 5.0
    """Skew between the VTN's HTTP Date and our clock that raises an alarm."""
    loss_of_communication: LossOfCommunication = LossOfCommunication()
    transport: Literal["pull", "push"] = "pull"
    """How the VTN's messages come: fetched by us, or posted to us."""
    polling: Polling = Polling()
    push: Push = Push()
    standby: Standby = Standby()
    signature: Signature
    tls: Tls = Tls()
    body_max_bytes: Annotated[int, Field(ge=4096, le=4 * 1024 * 1024)] = 4 * 1024 * 1024
    """1000 events are 1.7 to 2.4 MiB."""
    reports: UsageReport | None = UsageReport()
    """None = this program takes no reports; the VTN is told so by an oadrRegisterReport without any."""
    opt: OptRules = OptRules()

    @model_validator(mode="after")
    def _levels_given(self) -> Self:
        if any(rule.in_levels for rule in self.signals) and not self.levels:
            raise ValueError("signals contain a level signal, so levels must say what each level means")
        given = {rule.level for rule in self.levels} | {0}
        unknown = {band.level for rule in self.signals for band in rule.bands} - given
        if unknown:
            raise ValueError(f"bands name levels that `levels` does not give: {sorted(unknown)}")
        if len({rule.level for rule in self.levels}) != len(self.levels):
            raise ValueError("levels: each level once")
        return self
