"""Push, as a script: each message that a VTN posts, its reply, and what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.playbook.ven_stage import ROOM, SITES, Stage, program, registered
from vpp_gateway.clock import SeededRng
from vpp_gateway.domain.fact import Instructed
from vpp_gateway.errors import ConfigError
from vpp_gateway.northbound.openadr2.facts import NonceSeen, ReplyOwed, ReportRequested
from vpp_gateway.northbound.openadr2.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatePartyRegistration,
    DistributeEvent,
    Listening,
    Message,
    Poll,
    Pushed,
    Reply,
    RequestEvent,
    RequestReregistration,
    Response,
    Unreadable,
)
from vpp_gateway.northbound.openadr2.report_words import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    RegisteredReport,
    RegisterReport,
    ReportRequest,
    Wanted,
)
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.sim.vtn import dispatch

URL = "https://ven.example:8443/OpenADR2/Simple/2.0b"


class Posted(Stage):
    """A stage whose VTN posts."""

    def __post_init__(self) -> None:
        self.replies: list[Reply] = []
        self.order: list[str] = []
        """What was durable and what was said, in order."""
        super().__post_init__()

    def make_session(self) -> VenSession:
        return VenSession(
            room=ROOM,
            ven_name="centre",
            ven_id=None,
            program=self.program,
            sites=SITES,
            rng=SeededRng(self.seed),
            signing=False,
            level_base_w=dict.fromkeys(SITES, 100000.0),
            push_url=URL,
        )

    def post(self, service: str, message: Message, **more: Any) -> Message | None:
        """Post it; the reply, through bytes and schema like every message."""
        through = self.codec.decode(self.codec.encode(message, self.now), self.now).message
        pushed = Pushed(number=len(self.replies) + 1, service=service, message=through, **more)
        turn = self.session.receive(pushed, self.now)
        (reply,) = (one for one in turn.requests if isinstance(one, Reply))
        assert reply.number == pushed.number
        self.take(type(turn)(facts=turn.facts))
        self.replies.append(reply)
        if reply.message is None:
            return None
        return self.codec.decode(self.codec.encode(reply.message, self.now), self.now).message

    def listed(self, **changes: Any) -> DistributeEvent:
        said = self.vtn.answer("EiEvent", RequestEvent(request_id="RQ", ven_id="VEN-1"), self.now)
        assert isinstance(said, DistributeEvent)
        fields = {"request_id": "RQ", "vtn_id": said.vtn_id, "events": said.events, **changes}
        return DistributeEvent(**fields)

    @property
    def ven_id(self) -> str:  # type: ignore[override]
        return self.session.desk.name

    @ven_id.setter
    def ven_id(self, value: str | None) -> None:
        """Given by the VTN."""


def stage(**changes: Any) -> Posted:
    return registered(Posted(program=program(**{"transport": "push", **changes})))  # type: ignore[return-value]


def order(name: str = "R1") -> CreateReport:
    request = ReportRequest(
        request_id=name,
        specifier_id="usage",
        granularity_s=60.0,
        back_duration_s=60.0,
        wanted=(Wanted(r_id="portfolio"),),
    )
    return CreateReport(request_id="CR", ven_id=None, requests=(request,))


def test_with_push_nothing_is_polled_and_the_list_is_asked_for_now_and_then() -> None:
    scene = stage(push={"safety_s": 100.0}, polling={"jitter_share": 0.0})
    (asked,) = scene.sent(CreatePartyRegistration)
    assert (asked.http_pull, asked.transport_address) == (False, URL)
    scene.run(1000)
    assert scene.sent(Poll) == []
    assert len(scene.sent(RequestEvent)) == 11


def test_without_a_safety_period_the_list_is_asked_for_after_a_doubt_alone() -> None:
    scene = stage(push={"safety_s": None})
    scene.run(86400)
    assert len(scene.sent(RequestEvent)) == 1
    scene.restart()
    scene.run(10)
    assert len(scene.sent(RequestEvent)) == 2


def test_a_pushed_event_is_an_instruction_and_its_opt_a_post() -> None:
    scene = stage()
    scene.vtn.add_event(dispatch("E1", start_at=scene.now + 3600, duration_s=900.0, value=-50_000.0))
    reply = scene.post("EiEvent", scene.listed(), arrived_at=scene.now - 0.5)
    assert isinstance(reply, Response) and reply.response.request_id == "RQ" and reply.response.ok
    assert scene.instructions[0].received_at == scene.now - 0.5
    scene.run(1)
    assert scene.opts("E1") == [("200", "optIn", 0)]
    scene.post("EiEvent", scene.listed())
    assert len(scene.facts_of(Instructed)) == 1


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (order(), CreatedReport),
        (CancelReport(request_id="X", report_request_ids=("R0",), follow=False, ven_id=None), CanceledReport),
        (RegisterReport(request_id="X"), RegisteredReport),
        (RequestReregistration(ven_id="VEN-1"), Response),
        (CancelPartyRegistration(request_id="X", registration_id="REG"), CanceledPartyRegistration),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_each_pushed_message_has_its_reply(message: Message, kind: type) -> None:
    scene = stage()
    if isinstance(message, RequestReregistration):
        message = RequestReregistration(ven_id=scene.ven_id)
    if isinstance(message, CancelPartyRegistration):
        given = scene.vtn.registration_id
        assert given is not None
        message = CancelPartyRegistration(request_id="X", registration_id=given)
    reply = scene.post("EiReport", message)
    assert isinstance(reply, kind)
    assert not any(isinstance(fact, ReplyOwed) for fact in scene.facts)  # said already, so not owed


def test_an_order_posted_twice_does_not_begin_the_report_anew() -> None:
    scene = stage()
    scene.vtn.orders["R1"] = order().requests[0]
    scene.post("EiReport", order())
    scene.run(600)
    scene.post("EiReport", order())
    assert len(scene.facts_of(ReportRequested)) == 1
    scene.run(600)
    points = [heard.point for heard in scene.vtn.points]
    assert len(points) == len(set(points)) >= 18


def test_the_same_order_with_another_end_is_a_new_order() -> None:
    scene = stage()
    scene.post("EiReport", order())
    longer = replace(order().requests[0], start_at=scene.now + 60.0, duration_s=3600.0)
    scene.post("EiReport", replace(order(), requests=(longer,)))
    assert [fact.end_at is None for fact in scene.facts_of(ReportRequested)] == [True, False]
    scene.post("EiReport", replace(order(), requests=(longer,)))
    assert len(scene.facts_of(ReportRequested)) == 2


def test_requests_to_register_again_far_apart_are_followed_at_once() -> None:
    scene = stage()
    for _ in range(6):
        scene.run(3600)
        before = len(scene.sent(CreatePartyRegistration))
        scene.post("EiRegisterParty", RequestReregistration(ven_id=scene.ven_id))
        scene.run(1)
        assert len(scene.sent(CreatePartyRegistration)) == before + 1


def test_what_is_pending_counts_what_the_message_itself_changes() -> None:
    scene = stage()
    created = scene.post("EiReport", order())
    assert isinstance(created, CreatedReport) and created.pending == ("R1",)
    cancelled = scene.post(
        "EiReport", CancelReport(request_id="X", report_request_ids=("R1",), follow=False, ven_id=None)
    )
    assert isinstance(cancelled, CanceledReport) and cancelled.pending == ()


def test_a_push_for_another_is_answered_452_and_changes_nothing() -> None:
    scene = stage()
    before = list(scene.facts)
    scene.vtn.add_event(dispatch("E1", start_at=scene.now + 3600, duration_s=900.0, value=-50_000.0))
    for message in (RequestReregistration(ven_id="VEN-X"), scene.listed(vtn_id="VTN-X")):
        reply = scene.post("EiEvent", message)
        assert isinstance(reply, Response) and reply.response.code == "452"
    reply = scene.post(
        "EiRegisterParty", CancelPartyRegistration(request_id="Q", registration_id="?", ven_id="X")
    )
    assert isinstance(reply, CanceledPartyRegistration)
    assert (reply.response.code, reply.response.request_id) == ("452", "Q")
    assert scene.facts == before
    assert scene.session.refused() == {"misaddressed": 3}


def test_a_push_while_not_registered_is_answered_463() -> None:
    scene = Posted(program=program(transport="push"), down="unreachable")
    scene.run(5)
    reply = scene.post("EiEvent", DistributeEvent(request_id="RQ", vtn_id="VTN-1"))
    assert isinstance(reply, Response) and reply.response.code == "463"
    made = scene.post("EiReport", order())
    assert isinstance(made, CreatedReport) and made.response.code == "463"


@pytest.mark.parametrize("message", [Poll(ven_id="VEN-1"), RequestEvent(request_id="R", ven_id="VEN-1")])
def test_what_no_vtn_posts_is_answered_451(message: Message) -> None:
    scene = stage()
    message = type(message)(**{**{k: getattr(message, k) for k in message.__slots__}, "ven_id": scene.ven_id})
    reply = scene.post("EiEvent", message)
    assert isinstance(reply, Response) and reply.response.code == "451"
    assert scene.session.refused() == {"unexpected": 1}


def test_a_nonce_is_used_once_also_after_a_restart() -> None:
    scene = stage()
    scene.vtn.add_event(dispatch("E1", start_at=scene.now + 3600, duration_s=900.0, value=-50_000.0))
    signed = {"nonce": "n1", "signed_at": scene.now}
    assert scene.post("EiEvent", scene.listed(), **signed) is not None
    assert [fact.nonce for fact in scene.facts_of(NonceSeen)] == ["n1"]
    for _ in range(2):
        assert scene.post("EiEvent", scene.listed(), **signed) is None
        assert scene.replies[-1].status == 403
        scene.restart()
    old = {"nonce": "n2", "signed_at": scene.now - 3600}
    assert scene.post("EiEvent", scene.listed(), **old) is None


def test_posts_end_a_silence_but_no_back_off() -> None:
    scene = stage()
    scene.down = "unreachable"
    scene.vtn.add_event(dispatch("E1", start_at=scene.now + 3600, duration_s=900.0, value=-50_000.0))
    scene.post("EiEvent", scene.listed())
    scene.run(60)
    failed = scene.session.desk.pace.failures
    assert failed > 2 and scene.session.status().state == "lost"
    scene.post("EiEvent", scene.listed())
    assert scene.session.desk.pace.failures == failed
    assert scene.session.status().last_contact_at == scene.now
    scene.down = ""
    scene.run(120)
    assert scene.opts("E1") == [("200", "optIn", 0)]


def test_what_cannot_be_read_is_counted_and_a_closed_address_is_said() -> None:
    scene = stage()
    scene.take(scene.session.receive(Unreadable(number=1, detail="posted to EiEvent: not XML"), scene.now))
    assert scene.session.refused() == {"malformed": 1}
    scene.take(scene.session.receive(Listening(trouble="push: cannot listen on a:1: taken"), scene.now))
    assert "push: cannot listen" in scene.session.status().detail
    scene.take(scene.session.receive(Listening(trouble=""), scene.now))
    assert "push: cannot listen" not in scene.session.status().detail


def test_a_ven_that_fetches_takes_no_posts() -> None:
    scene = registered()
    pushed = Pushed(number=1, service="EiEvent", message=DistributeEvent(request_id="RQ", vtn_id="VTN-1"))
    (reply,) = scene.session.receive(pushed, scene.now).requests
    assert isinstance(reply.message, Response) and reply.message.response.code == "451"


@pytest.mark.parametrize(
    ("transport", "url", "word"), [("push", None, "missing"), ("pull", URL, "out of place")]
)
def test_profile_and_settings_must_agree_on_push(transport: str, url: str | None, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        VenSession(
            room=ROOM,
            ven_name="centre",
            ven_id=None,
            program=program(transport=transport),
            sites=SITES,
            rng=SeededRng(1),
            signing=False,
            level_base_w=dict.fromkeys(SITES, 100000.0),
            push_url=url,
        )
