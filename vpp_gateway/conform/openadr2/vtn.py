"""The literal VTN: does what a procedure says, otherwise what a well-behaved VTN does; remembers all it hears.

    hear(service, tree, now) -> Answer          default answers     what a step said meanwhile comes first
    list of events: the one last said; listed anew with the status that the clock gives (rule 50)

Pure. It holds every message against `laws`, and the exchange as a whole against rules 12, 42, 54 and 64; of METADATA it keeps what reports can be ordered by.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from vpp_gateway.clock import Rng, uuid
from vpp_gateway.conform.openadr2 import laws
from vpp_gateway.conform.openadr2.filters import NOT_TOLD, Carried
from vpp_gateway.conform.openadr2.laws import Breach
from vpp_gateway.conform.openadr2.procedure import SignWay, TlsWay
from vpp_gateway.conform.openadr2.say import build
from vpp_gateway.conform.openadr2.words import Scene, seconds_of
from vpp_gateway.conform.openadr2.xml import Alteration, alter, name_of, nodes, values

OFFERED: Mapping[str, str] = {
    "METADATA_TELEMETRY_USAGE": "usage",
    "METADATA_TELEMETRY_STATUS": "status",
    "METADATA_HISTORY_USAGE": "history",
    "METADATA_HISTORY_GREENBUTTON": "greenbutton",
}
"""Offered report -> the name by which procedures refer to its reportSpecifierID."""
POLL_TOLERANCE_S = 0.5
"""So much may polls run ahead of the pace, all together: the way over the network takes its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the VTN's server sends."""

    tree: etree._Element | None = None
    body: bytes | None = None
    """Instead of a tree: these very bytes; neither = an empty body."""
    status: int = 200
    prolog: str = ""
    padding_kb: int = 0
    """See `procedure.Say`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One thing to say."""

    message: Mapping[str, Any] | None = None
    alter: tuple[Alteration, ...] = ()
    body: str | None = None
    prolog: str = ""
    padding_kb: int = 0
    status: int = 200
    service: str = ""
    """Where it is posted (push); empty = where the standard has it."""
    content_type: str = "application/xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One message of the VEN."""

    at: float
    service: str
    name: str
    tree: etree._Element
    carried: Carried = field(default_factory=lambda: NOT_TOLD)

    @property
    def named(self) -> dict[str, str]:
        """What an XPath may ask for as `$tls`, `$suite`, `$service`."""
        return {"service": self.service, **{key: self.carried.get(key, "") for key in ("tls", "suite")}}


@dataclass(slots=True, kw_only=True)
class LiteralVtn:
    """One VTN with one VEN.

    Args:
        t0: UTC (Unix s) from which the procedure's times count.
        ven_id: venID that it gives at registration.
        poll_s: oadrRequestedOadrPollFreq; None = none.
    """

    rng: Rng
    schema: etree.XMLSchema
    t0: float
    vtn_id: str = "VTN-1"
    ven_id: str = "VEN-1"
    registration_id: str = ""
    """The one to give; empty = a fresh one."""
    poll_s: float | None = 10.0
    order: Mapping[str, Any] | None = None
    """oadrRegisteredReport carries these report requests (`requests` as in oadrCreateReport)."""
    down: bool = False
    clock_s: float = 0.0
    tls: TlsWay = "good"
    sign: SignWay = "good"
    signed_at_s: float = 0.0
    signs: bool = False
    """Messages are signed."""
    names: dict[str, str] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)
    push_to: str = ""
    """oadrTransportAddress of a VEN that registered for push."""
    registered: str = ""
    """registrationID while the VEN is registered."""
    queue: deque[Script] = field(default_factory=deque)
    replies: dict[str, deque[Script]] = field(default_factory=dict)
    events: Script = field(default_factory=lambda: Script(message={"oadrDistributeEvent": {}}))
    _polled_at: float = 0.0
    _poll_due_at: float | None = None
    _promised_s: float | None = None
    _asked: dict[str, set[str]] = field(default_factory=dict)
    """eventID -> requestIDs of the lists in which an answer to it was asked for."""
    _owed: dict[str, str] = field(default_factory=dict)
    """Reply -> message that the VEN fetched and has not answered yet."""

    @property
    def known(self) -> dict[str, str]:
        """Everything that a procedure may refer to as `{name}`."""
        who = {"ven_id": self.ven_id, "vtn_id": self.vtn_id, "registration_id": self.registered}
        return {**who, "signs": str(self.signs).lower(), **self.names}

    def say(self, script: Script) -> None:
        """In answer to the next poll."""
        if script.message is not None and "oadrDistributeEvent" in script.message:
            self.events = script
        self.queue.append(script)

    def reply(self, to: str, script: Script, times: int) -> None:
        """In answer to the next messages of that name."""
        self.replies.setdefault(to, deque()).extend([script] * times)

    def forget(self) -> None:
        """Lose everything about the VEN."""
        self.registered = ""
        self._owed = {}
        self._poll_due_at = None

    def hear(self, service: str, tree: etree._Element, now: float, carried: Carried = NOT_TOLD) -> Answer:
        """The answer to one message."""
        name = name_of(tree)
        self.heard.append(Heard(at=now, service=service, name=name, tree=tree, carried=carried))
        self.breaches.extend(laws.of_message(tree, service, self.schema, self.ven_id, self.vtn_id))
        self._watch(name, tree, now)
        waiting = self.replies.get(name)
        if waiting:
            return self._said(waiting.popleft(), tree, now)
        return self._default(name, tree, now)

    def post(self, now: float) -> tuple[Script, Answer] | None:
        """For a push VEN: the next thing to post, or None."""
        if not self.queue:
            return None
        script = self.queue.popleft()
        return script, self._said(script, None, now)

    def replied(self, service: str, tree: etree._Element, now: float) -> None:
        """The VEN's answer to something that was posted to it."""
        name = name_of(tree)
        self.heard.append(Heard(at=now, service=service, name=name, tree=tree))
        self.breaches.extend(laws.of_message(tree, service, self.schema, self.ven_id, self.vtn_id))
        self._watch(name, tree, now)
        if name == "oadrCanceledPartyRegistration" and values(tree, "//ei:responseCode")[:1] == ["200"]:
            self.registered = ""

    def _default(self, name: str, tree: etree._Element, now: float) -> Answer:
        match name:
            case "oadrQueryRegistration":
                return self._tree({"oadrCreatedPartyRegistration": {"poll": self.poll_s}}, tree, now)
            case "oadrCreatePartyRegistration":
                return self._register(tree, now)
            case "oadrCancelPartyRegistration":
                given = {"oadrCanceledPartyRegistration": {"registration": self.registered}}
                self.registered = ""
                return self._tree(given, tree, now)
            case "oadrCanceledPartyRegistration":
                if values(tree, "//ei:responseCode")[:1] == ["200"]:
                    self.registered = ""
                return Answer()
            case "oadrResponse":
                return Answer()
            case _ if not self.registered:
                return self._tree({"oadrResponse": {"code": 463, "description": "not registered"}}, tree, now)
            case "oadrPoll":
                return self._poll(tree, now)
            case "oadrRequestEvent":
                return self._said(self.events, tree, now)
            case "oadrRegisterReport":
                order = {} if self.order is None else dict(self.order)
                return self._tree({"oadrRegisteredReport": order}, tree, now)
            case "oadrUpdateReport":
                return self._tree({"oadrUpdatedReport": {}}, tree, now)
            case "oadrCreateOpt" | "oadrCancelOpt":
                done = "oadrCreatedOpt" if name == "oadrCreateOpt" else "oadrCanceledOpt"
                return self._tree({done: {"opt": values(tree, "//ei:optID")[0]}}, tree, now)
            case _:
                return self._tree({"oadrResponse": {}}, tree, now)

    def _register(self, tree: etree._Element, now: float) -> Answer:
        known = values(tree, "//ei:registrationID") or [uuid(self.rng)]
        posted = values(tree, "//oadr:oadrHttpPullModel")[:1] == ["false"]
        self.push_to = (values(tree, "//oadr:oadrTransportAddress") or [""])[0] if posted else ""
        given = {"registration": self.registration_id or known[0], "ven": self.ven_id, "poll": self.poll_s}
        return self._tree({"oadrCreatedPartyRegistration": given}, tree, now)

    def _poll(self, tree: etree._Element, now: float) -> Answer:
        if not self.queue:
            return self._tree({"oadrResponse": {}}, tree, now)
        script = self.queue.popleft()
        answer = self._said(script, tree, now)
        if answer.tree is not None and not script.alter and not script.prolog and not script.padding_kb:
            self._note_owed(answer.tree)
        return answer

    def _tree(self, words: Mapping[str, Any], asked: etree._Element | None, now: float) -> Answer:
        return self._said(Script(message=words), asked, now)

    def _said(self, script: Script, asked: etree._Element | None, now: float) -> Answer:
        if script.body is not None:
            return Answer(body=script.body.encode(), status=script.status)
        if script.message is None:
            return Answer(status=script.status)
        request = [] if asked is None else values(asked, "//pyld:requestID")
        scene = Scene(
            t0=self.t0,
            now=now + self.clock_s,
            vtn_id=self.vtn_id,
            ven_id=self.ven_id,
            registration_id=self.registered,
            request_id=uuid(self.rng),
            answers=request[0] if request else "",
            names=self.names,
        )
        tree = build(script.message, scene)
        alter(tree, script.alter)
        self._note_asked(tree)
        self._note_registered(tree)
        return Answer(tree=tree, status=script.status, prolog=script.prolog, padding_kb=script.padding_kb)

    def _note_registered(self, tree: etree._Element) -> None:
        given = values(tree, "//oadr:oadrCreatedPartyRegistration[ei:venID]/ei:registrationID")
        if not given:
            return
        self.registered, self._poll_due_at = given[0], None
        self.ven_id = values(tree, "//oadr:oadrCreatedPartyRegistration/ei:venID")[0]
        pace = values(tree, "//oadr:oadrRequestedOadrPollFreq/xcal:duration")
        self._promised_s = seconds_of(pace[0]) if pace else None

    def _note_asked(self, tree: etree._Element) -> None:
        request = values(tree, "//oadr:oadrDistributeEvent/pyld:requestID")
        for event_id in values(tree, "//oadr:oadrEvent[oadr:oadrResponseRequired='always']//ei:eventID"):
            self._asked.setdefault(event_id, set()).update(request)
        for event_id in values(tree, "//oadr:oadrEvent[oadr:oadrResponseRequired='never']//ei:eventID"):
            self._asked.pop(event_id, None)

    def _note_owed(self, tree: etree._Element) -> None:
        """Rule 64: what the VEN must say before it polls again."""
        name = name_of(tree)
        reply = laws.REPLY_TO.get(name)
        ours = {self.ven_id, ""} >= set(values(tree, "//oadr:oadrSignedObject/*/ei:venID"))
        ours = ours and {self.vtn_id} >= set(values(tree, "//oadr:oadrDistributeEvent/ei:vtnID"))
        shown = self.sign == "good" and self.tls == "good" and not self.signed_at_s
        asked = name != "oadrDistributeEvent" or values(tree, "//oadr:oadrResponseRequired[.='always']")
        if reply is not None and ours and shown and asked:
            self._owed[reply] = name

    def _watch(self, name: str, tree: etree._Element, now: float) -> None:
        """Rules about the exchange as a whole."""
        self._owed.pop(name, None)
        if name == "oadrPoll":
            for reply, received in self._owed.items():
                self.breaches.append(Breach(rule="64", what=f"polled before {reply}, owed to {received}"))
            self._owed = {}
            self._watch_pace(now)
        if name == "oadrCreatedEvent":
            self._watch_answers(tree)
        if name == "oadrRegisterReport":
            self._note_offered(tree)

    def _note_offered(self, tree: etree._Element) -> None:
        """What the VEN calls its reports and data points: `{usage}`, `{usage_rid}`, `{status}` and so on."""
        for report in nodes(tree, "//oadr:oadrReport"):
            kind = OFFERED.get("".join(values(report, "ei:reportName")))
            r_id = values(report, "oadr:oadrReportDescription[1]/ei:rID")
            if kind is not None and r_id:
                self.names[kind] = "".join(values(report, "ei:reportSpecifierID"))
                self.names[f"{kind}_rid"] = r_id[0]

    def _watch_pace(self, now: float) -> None:
        """Rule 54: a message that was late on its way brings the next one near; polling too fast adds up."""
        if self._promised_s is None:
            return
        period_s = max(self._promised_s, 1.0)
        due_at = now if self._poll_due_at is None else self._poll_due_at
        if now < due_at - POLL_TOLERANCE_S:
            gap_s = now - self._polled_at
            what = f"polled after {gap_s:.2f} s; the VTN asked for {self._promised_s:g} s"
            self.breaches.append(Breach(rule="54", what=what))
        self._polled_at, self._poll_due_at = now, max(now, due_at) + period_s

    def _watch_answers(self, tree: etree._Element) -> None:
        ids: Sequence[str] = values(tree, "//ei:eventResponse//ei:eventID")
        requests = values(tree, "//ei:eventResponse/pyld:requestID")
        for event_id, request in zip(ids, requests, strict=False):
            if event_id not in self._asked:
                self.breaches.append(
                    Breach(rule="12", what=f"answered {event_id!r}, for which no answer was asked")
                )
            elif request not in self._asked[event_id]:
                what = f"{event_id!r}: requestID {request!r}, expected that of a list that asked for it"
                self.breaches.append(Breach(rule="42", what=what))
