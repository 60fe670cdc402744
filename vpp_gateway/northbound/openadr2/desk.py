"""What the session's hands share: who we are, the durable state, and the moment.

The moment (`Pace`) is deliberately not made of facts: what is in flight, when the next poll falls due, how often the
VTN failed to answer. A restart begins with none of it, and a fact for each poll would fill the journal with nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from vpp_gateway.clock import Rng, uuid
from vpp_gateway.domain.fact import Fact
from vpp_gateway.domain.instruction import RoomName, SiteId
from vpp_gateway.northbound.openadr2.facts import ReplyKind, ReplyOwed, VenFact
from vpp_gateway.northbound.openadr2.mapping import Party
from vpp_gateway.northbound.openadr2.messages import Post
from vpp_gateway.northbound.openadr2.party import NamedDevice
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.report_offer import Offer
from vpp_gateway.northbound.openadr2.report_words import UpdateReport
from vpp_gateway.northbound.openadr2.state import Membership, Phase, VenState

Facts = list[Fact | VenFact]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """An oadrUpdateReport under way: sent again unchanged until the VTN has taken it."""

    duty: str
    """reportRequestID."""
    through: float
    note: str
    message: UpdateReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The exchange under way."""

    post: Post
    at: float
    owed: tuple[int, ...] = ()
    """Numbers of the outbox that it carries."""
    parcel: Parcel | None = None
    opt_id: str = ""
    """The opt that it creates or cancels."""


@dataclass(slots=True, kw_only=True)
class Pace:
    """The moment of one connection."""

    number: int = 0
    in_flight: Sent | None = None
    failures: int = 0
    """Exchanges in a row without a usable answer."""
    relapses: int = 0
    """Times in a row that the VTN forgot us right after registering."""
    hold_until: float = 0.0
    """Nothing is sent before (UTC, Unix s)."""
    next_poll_at: float | None = None
    """UTC (Unix s); None = this process has not polled, and when the one before it did is not known."""
    refresh: bool = True
    """Ask for the full event list before polling: after start, registration, or an exchange in doubt."""
    drained: int = 0
    parcel: Parcel | None = None
    """Not yet taken by the VTN."""
    reported: bool = False
    """A report went out since the last poll."""
    report_failures: int = 0
    report_hold_until: float = 0.0
    opt_failures: int = 0
    opt_attempts: int = 0
    """Sendings of the present opt that the VTN's server failed on."""
    opt_hold_until: float = 0.0
    availability_at: float = 0.0
    """When the spare capacity is looked at next (UTC, Unix s)."""
    endpoint: int = 0
    """Address of the VTN in use: 0 = the main one."""
    endpoint_failures: int = 0
    """Exchanges in a row that this address failed on."""
    standby: int = 0
    """The standby that served last; 0 = none did."""
    main_again_at: float = 0.0
    """While a standby is in use: when the main address is tried again (UTC, Unix s)."""
    attempts: Counter[int] = field(default_factory=Counter)
    """Failed sendings per outbox number."""
    last_contact_at: float | None = None
    silent_from: float | None = None
    """While there was no contact yet: when we began to wait for one."""
    listener: str = ""
    """Why nobody can post to us, in words."""
    skew_s: float | None = None
    trouble: str = ""
    """What is wrong now, in words."""
    refused: Counter[str] = field(default_factory=Counter)
    """Refused messages by kind."""
    last_refusal: str = ""
    remarks: tuple[str, ...] = ()
    """What was odd in the last list of events without being refused, in words."""

    def begin_anew(self) -> None:
        """As after a start; the exchange under way is given up, and its answer will find nobody."""
        fresh = Pace(number=self.number, skew_s=self.skew_s, refused=self.refused)
        for one in fields(self):
            setattr(self, one.name, getattr(fresh, one.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything the session's hands work on."""

    room: RoomName
    ven_name: str
    ven_id: str | None
    """Given by the operator; None = the VTN assigns one."""
    program: ProgramProfile
    resources: Mapping[str, SiteId]
    level_base_w: Mapping[SiteId, float]
    capacity_w: Mapping[SiteId, float]
    groups: frozenset[str]
    parties: frozenset[str]
    offer: Offer | None
    signing: bool
    poll_s: float | None
    """The operator's own pace; None = as the VTN asks."""
    rng: Rng
    state: VenState
    pace: Pace
    push_url: str | None = None
    """Where the VTN posts to us; None = we fetch."""
    areas: Mapping[str, tuple[SiteId, ...]] = field(default_factory=dict)
    devices: Mapping[str, NamedDevice] = field(default_factory=dict)
    addresses: tuple[str, ...] = ("",)
    """Of the VTN, the main one first; for the operator's eyes."""

    @property
    def name(self) -> str:
        """Our venID: the registered one, else the operator's, else none yet."""
        return self.membership.ven_id or self.ven_id or ""

    @property
    def registrar(self) -> int:
        """Whose registration counts at the address in use."""
        return self.program.standby.registrar(self.pace.endpoint)

    @property
    def membership(self) -> Membership:
        """How the address in use knows us."""
        return self.state.membership(self.registrar)

    @property
    def poll_period_s(self) -> float:
        """The operator's pace, or the program's; never faster than the VTN asked for (rule 54)."""
        wanted = self.poll_s or (None if self.state.poll_s is not None else self.program.polling.poll_s)
        return max(wanted or 0.0, self.state.poll_s or 0.0)

    @property
    def pushed(self) -> bool:
        """The VTN posts to us, so nothing is polled."""
        return self.program.transport == "push"

    @property
    def party(self) -> Party:
        """Who we are, for the mapping."""
        return Party(
            room=self.room,
            ven_id=self.name,
            resources=self.resources,
            level_base_w=self.level_base_w,
            groups=self.groups,
            parties=self.parties,
            capacity_w=self.capacity_w,
            areas=self.areas,
            devices=self.devices,
        )

    @property
    def offer_changed(self) -> bool:
        """What can be reported is not what the VTN was told when it took our METADATA."""
        known = self.state.phase is Phase.REGISTERED and self.offer is not None
        return known and self.offer is not None and self.state.offered != self.offer.digest

    def new_id(self) -> str:
        """A fresh requestID."""
        return uuid(self.rng)

    def backoff_s(self, failures: int) -> float:
        """Wait after so many failures in a row: doubling, capped, jittered downwards."""
        polling = self.program.polling
        longest = min(polling.backoff_min_s * 2.0 ** min(failures - 1, 30), polling.backoff_max_s)
        return self.rng.uniform(longest / 2, longest)

    def fail(self, now: float, trouble: str) -> None:
        """An exchange brought nothing: wait longer each time."""
        self.pace.failures += 1
        self.pace.trouble = trouble
        self.pace.hold_until = now + self.backoff_s(self.pace.failures)

    def refuse(self, kind: str, reason: str) -> None:
        """Count and name a message that is not acted on."""
        self.pace.refused[kind] += 1
        self.pace.last_refusal = reason


def reply_owed(
    desk: Desk,
    kind: ReplyKind,
    request_id: str,
    now: float,
    code: str = "200",
    text: str = "OK",
    skip: int = 0,
) -> ReplyOwed:
    """The fact that a reply is to be sent. `skip`: outbox numbers already taken in the same turn."""
    return ReplyOwed(
        at=now,
        room=desk.room,
        number=desk.state.next_number + skip,
        kind=kind,
        request_id=request_id,
        code=code,
        description=text,
    )
