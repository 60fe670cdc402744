"""A procedure: what the VTN says, what the VEN must say, and the defect that must be found. Read from YAML.

    procedures/*.yaml --load--> Procedure --play--> verdict

The fields of the models are the grammar; docs/harness.md tells it with examples.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vpp_gateway.conform.openadr2.xml import Alteration
from vpp_gateway.yaml_source import read_yaml
from vpp_gateway.yaml_validate import validate

FOLDER = Path(__file__).resolve().parent / "procedures"
Words = dict[str, Any]
"""One message: its element's name, and the fields that `say` knows."""
Claim = Literal[
    "pull",
    "push",
    "signed",
    "tls",
    "operator",
    "program",
    "opt",
    "reports",
    "status-report",
    "history-report",
]


Act = Literal[
    "register",
    "cancel",
    "reregister",
    "opt",
    "create-opt",
    "cancel-opt",
    "reset",
    "restart",
    "events",
    "opts",
    "reports",
    "status",
]
"""What an operator is asked to do or to tell."""
TlsWay = Literal[
    "good",
    "stranger",
    "other-ven",
    "other-vtn",
    "expired",
    "revoked",
    "other-host",
    "weak-key",
    "tls-1.1",
    "tls-1.3",
    "rsa-suite",
    "ecdsa-suite",
    "null-suite",
]
"""How the VTN does TLS: as it should; with the certificate of an authority that the VEN does not know, of a VEN or of
another VTN of the known one, one that ran out, was revoked, is for another host, or has an RSA key of 1024 bits; in TLS
1.1 or 1.3 alone; in TLS 1.2 with one suite of rule 67 alone, or without encryption."""
Carriage = Literal["service", "tls", "suite", "Content-Type", "Content-Length", "Host"]
"""How a message came: the service that it was posted to, TLS version and suite, the headers of simple HTTP."""
SignWay = Literal[
    "good",
    "none",
    "altered",
    "replayed",
    "other-ven",
    "other-vtn",
    "stranger",
    "expired",
    "revoked",
    "twice",
    "wrapped",
]
"""How the VTN signs: as it should; not; its requestIDs altered afterwards; the last answer that was more than
oadrResponse again, bytes and all; with the key of a VEN or of another VTN of the same authority, of a VTN of an unknown
one, of a certificate that ran out or was revoked; with two signatures; with a good signature over something else than
what it says."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Check(_Part):
    """A condition on a message (`at` is an XPath; $tls, $suite, $service: how it came) or on an operator's answer (a
    dotted path)."""

    at: str
    rule: str = ""
    """Rule that is broken when it does not hold; empty = the procedure's first."""
    equals: str | int | float | None = None
    """Text of the first find; numbers are compared as numbers."""
    differs: str | int | None = None
    matches: str | None = None
    """Regular expression for the whole text."""
    one_of: tuple[str, ...] | None = None
    count: int | None = None
    """How many finds there are."""
    at_least: float | None = None
    at_most: float | None = None
    time: tuple[float, float] | None = None
    """The date found lies so many seconds after the procedure's start: from, to."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        given = (
            self.equals,
            self.differs,
            self.matches,
            self.one_of,
            self.count,
            self.at_least,
            self.at_most,
        )
        if all(one is None for one in given) and self.time is None:
            raise ValueError(
                "a check needs equals, differs, matches, one_of, count, at_least, at_most or time"
            )
        return self


class _Timed(_Part):
    """A length of time: seconds, or multiples of the poll period."""

    for_s: float | None = None
    for_polls: float | None = None


class Register(_Part):
    """Wait until the VEN is registered, its reports are, and it has asked for events or polled."""

    do: Literal["register"]
    within_s: float = 60.0


class Say(_Part):
    """Say this in answer to the next poll (pull), or post it to the VEN (push)."""

    do: Literal["say"]
    message: Words | None = None
    alter: tuple[Alteration, ...] = ()
    body: str | None = None
    """Instead of a message: these very bytes (UTF-8)."""
    prolog: str = ""
    """Put in front of the message's root: a DOCTYPE."""
    padding_kb: int = 0
    """A comment of so many KiB is put behind the message's root."""
    service: str = ""
    """Push: the service that it is posted to; empty = where the standard has it, EiEvent for bytes."""
    content_type: str = "application/xml"
    """Push: of the request."""


class Reply(_Part):
    """Answer the next `times` messages of that name with this instead of the usual."""

    do: Literal["reply"]
    to: str
    message: Words | None = None
    alter: tuple[Alteration, ...] = ()
    body: str | None = None
    prolog: str = ""
    padding_kb: int = 0
    status: int = 200
    """HTTP status."""
    times: int = 1


class Expect(_Part):
    """The next message of that name, not looked at before, comes in time and passes the checks.

    A VEN's HTTP response to something posted is heard like a message; one without OpenADR is named `HTTP 403`.
    """

    do: Literal["expect"]
    message: str
    within_s: float | None = None
    within_polls: float = 2.5
    where: str = ""
    """XPath that must find something; other messages of the name are passed over."""
    fresh: bool = False
    """What came before this step does not count."""
    checks: tuple[Check, ...] = ()
    remember: dict[str, str] = Field(default_factory=dict)
    """Name -> XPath: kept for `{name}` in later steps."""


class Silence(_Timed):
    """No message of that name (and `where`) comes."""

    do: Literal["silence"]
    message: str
    where: str = ""


class Count(_Timed):
    """So many messages of that name come in that time."""

    do: Literal["count"]
    message: str
    where: str = ""
    between: tuple[int, int]


class Wait(_Timed):
    """Let time pass."""

    do: Literal["wait"]


class Prompt(_Part):
    """The operator of the VEN does something, or is asked what the VEN believes."""

    do: Literal["prompt"]
    verb: Act
    give: dict[str, Any] = Field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    remember: dict[str, str] = Field(default_factory=dict)


class Vtn(_Part):
    """The VTN changes its ways."""

    do: Literal["vtn"]
    down: bool | None = None
    """Answers HTTP 503 while true."""
    forget: bool = False
    """Loses everything that it knows of the VEN."""
    poll_s: float | None = None
    """oadrRequestedOadrPollFreq of later registrations."""
    clock_s: float | None = None
    """Its clock is so far ahead of the true one."""
    tls: TlsWay | None = None
    """From the next connection on."""
    sign: SignWay | None = None
    signed_at_s: float | None = None
    """Its signatures' timestamps are so far ahead of its clock."""


Step = Annotated[
    Register | Say | Reply | Expect | Silence | Count | Wait | Prompt | Vtn, Field(discriminator="do")
]


class Filter(_Part):
    """What happens to messages on their way."""

    on: str
    """Message name, or `any`."""
    where: str = ""
    """XPath that must find something."""
    alter: tuple[Alteration, ...] = ()
    drop: bool = False
    """It does not arrive; its sender gets oadrResponse 200."""
    times: int = 1
    """It arrives so often."""
    hold_events: bool = False
    """Of an oadrDistributeEvent: events that are not listed any more are put back."""
    after: int = 0
    """The first so many pass untouched."""
    signed: bool = False
    """Of a message of the VEN: what it signed already is changed; otherwise it signs what was changed."""
    carried: dict[Carriage, str | None] = Field(default_factory=dict)
    """Of a message of the VEN: how it came is told otherwise; null = not at all."""
    late: bool = False
    """Of a message of the VEN: it arrives after the VEN's next one; meanwhile the VEN gets oadrResponse 200."""


class Mutant(_Part):
    """A defective VEN, played by altering what it hears or says; the procedure must fail with it."""

    name: str
    rule: str = ""
    """Rule that it breaks; empty = the procedure's first."""
    from_ven: tuple[Filter, ...] = ()
    to_ven: tuple[Filter, ...] = ()
    answers: dict[str, Any] | None = None
    """Fields that the operator's answers get."""
    trusting: bool = False
    """It does not mind how the VTN shows itself: played by a VTN that does TLS and signs as it should all the time."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.from_ven or self.to_ven or self.answers or self.trusting):
            raise ValueError("a mutant needs from_ven, to_ven, answers or trusting")
        return self


class _Set(_Part):
    """Settings of which a procedure names some."""

    @property
    def given(self) -> dict[str, Any]:
        """What is named."""
        return self.model_dump(exclude_unset=True)


class VenWays(_Set):
    """Settings of the connection of our own VEN."""

    ven_id: str | None = None
    """A venID that was agreed beforehand."""
    poll_s: float | None = None
    """The operator's poll period, s."""
    pinned: bool = False
    """The VTN's fingerprint is agreed."""
    crl: bool = False
    """It has the authority's list of revoked certificates."""


class VtnWays(_Set):
    """Ways of the VTN from the start."""

    vtn_id: str = "VTN-1"
    ven_id: str = "VEN-1"
    poll_s: float | None = None
    """oadrRequestedOadrPollFreq, s; null = it asks for none."""
    registration_id: str = ""
    """The one to give; empty = a fresh one."""
    order: Words | None = None
    """oadrRegisteredReport carries these report requests."""
    tls: TlsWay = "good"
    sign: SignWay = "good"
    signed_at_s: float = 0.0


class Procedure(_Part):
    """One procedure."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)+$")]
    title: str
    rules: Annotated[tuple[str, ...], Field(min_length=1)]
    """Conformance rules and requirements (`30`, `V34`) that it touches."""
    service: Literal["EiRegisterParty", "EiEvent", "EiReport", "EiOpt", "OadrPoll", "Transport", "Security"]
    needs: tuple[Claim, ...] = ()
    """What the VEN must be able to do; otherwise the procedure is not applicable."""
    program: dict[str, Any] = Field(default_factory=dict)
    """Keys of the program profile that it changes (our own VEN only)."""
    ven: VenWays = VenWays()
    """Settings of the connection that it changes (our own VEN only)."""
    vtn: VtnWays = VtnWays()
    """Ways of the VTN from the start."""
    keys: Literal["p256", "rsa2048"] = "p256"
    """Kind of both sides' keys (our own VEN only)."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    mutants: Annotated[tuple[Mutant, ...], Field(min_length=1)]

    def least_s(self, poll_s: float) -> float:
        """So long it takes at the least, s, when the VEN polls each `poll_s`."""
        polls_s = self.vtn.given.get("poll_s", poll_s) or poll_s
        timed = [step for step in self.steps if isinstance(step, Silence | Count | Wait)]
        return sum(
            step.for_s if step.for_s is not None else (step.for_polls or 2.0) * polls_s for step in timed
        )

    @property
    def claims(self) -> frozenset[str]:
        """Everything that the subject must be able to do."""
        operator = {"operator"} if any(isinstance(step, Prompt) for step in self.steps) else set()
        polled = {"pull"} if any(_polls(step) for step in self.steps) else set()
        own = {"program"} if self.program or self.ven.given or self.keys != "p256" else set()
        return frozenset(self.needs) | operator | polled | own


def _polls(step: Step) -> bool:
    """A step that only a VEN with pull can hold."""
    match step:
        case Expect(message="oadrPoll") | Reply(to="oadrPoll"):
            return True
        case Count(message="oadrPoll", between=(least, _)):
            return least > 0
        case _:
            return False


class _File(_Part):
    procedures: tuple[Procedure, ...]


def load(files: Iterable[Path] | None = None) -> tuple[Procedure, ...]:
    """All procedures, in the order of files and lines.

    Raises:
        InvalidFile: with every mistake of the first wrong file.
    """
    chosen = sorted(FOLDER.glob("*.yaml")) if files is None else files
    return tuple(one for file in chosen for one in validate(read_yaml(file), _File).procedures)
