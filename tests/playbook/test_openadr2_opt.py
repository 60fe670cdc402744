"""EiOpt and the operator's acts, message by message: opts of events and schedules, reset, registration by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.playbook.ven_stage import ROOM, START, Meter, Stage, program, registered
from vpp_gateway.catalogue import Told
from vpp_gateway.domain.command import Answer
from vpp_gateway.domain.instruction import Instruction
from vpp_gateway.northbound.openadr2.facts import Registered
from vpp_gateway.northbound.openadr2.messages import (
    CancelPartyRegistration,
    CreatedEvent,
    CreatePartyRegistration,
    Message,
    Poll,
    Response,
)
from vpp_gateway.northbound.openadr2.operate import VenRequest, operate
from vpp_gateway.northbound.openadr2.opt_facts import Operated, OptCancelled, OptCreated, OptRefused, OptTaken
from vpp_gateway.northbound.openadr2.opt_words import Availability, CancelOpt, CreatedOpt, CreateOpt
from vpp_gateway.northbound.openadr2.report_words import EiResponse
from vpp_gateway.northbound.openadr2.state import Phase
from vpp_gateway.northbound.turn import SpareBlock
from vpp_gateway.sim.vtn import dispatch

BY_CREATE_OPT = {"opt": {"change_by": "create-opt"}}


def act(stage: Stage, **request: Any) -> dict[str, Any]:
    """One act, as the engine carries it out."""
    turn, shown = operate(stage.session, VenRequest(**request), stage.now)
    stage.take(turn)
    return shown


def with_event(stage: Stage | None = None, **changes: Any) -> Stage:
    """A registered stage with one event that was opted in to."""
    ready = registered(stage)
    event = dispatch("EV-1", start_at=START + 3600, duration_s=1800, value=-500000.0)
    ready.vtn.add_event(replace(event, **changes))
    ready.run(15)
    return ready


def schedule(*spans: tuple[float, float]) -> tuple[Availability, ...]:
    return tuple(Availability(start_at=START + at, duration_s=length) for at, length in spans)


# --- events ------------------------------------------------------------------------------------------------------


def test_operators_opt_out_is_told_and_takes_the_instruction_back() -> None:
    stage = with_event()
    act(stage, verb="opt", event="EV-1", opt="optOut", reason="economic")
    stage.run(1)
    assert stage.opts("EV-1") == [("200", "optIn", 0), ("200", "optOut", 0)]
    assert stage.withdrawn == [("tso/EV-1", "opted-out")]
    stage.run(60)
    stage.restart()
    stage.run(60)
    (event,) = act(stage, verb="events")["events"]
    assert (event["opt"], event["told"], event["status"]) == ("optOut", True, "far")
    assert len(stage.instructions) == 1, "nothing opted it in again"


def test_opting_in_again_gives_the_instruction_anew_and_the_gateway_judges_it() -> None:
    stage = with_event()
    act(stage, verb="opt", event="EV-1", opt="optOut")
    stage.run(1)
    stage.restart()
    stage.run(1)
    act(stage, verb="opt", event="EV-1", opt="optIn")
    stage.run(1)
    assert stage.opts("EV-1")[-2:] == [("200", "optOut", 0), ("200", "optIn", 0)]
    first, again = stage.instructions
    assert again == replace(first, received_at=again.received_at)


def test_what_the_gateway_cannot_hold_is_opted_out_of_again() -> None:
    stage = with_event()
    act(stage, verb="opt", event="EV-1", opt="optOut")
    stage.run(1)

    def no(instruction: Instruction) -> Answer:
        return Answer(room=ROOM, instruction=instruction.id, modification=0, opt="out", reason="too little")

    stage.opt = no
    act(stage, verb="opt", event="EV-1", opt="optIn")
    stage.run(1)
    assert [opt for _, opt, _ in stage.opts("EV-1")] == ["optIn", "optOut", "optOut"]
    assert act(stage, verb="events")["events"][0]["reason"] == "too little"


def test_after_a_create_opt_no_created_event_changes_the_opt() -> None:
    """Rule 206."""
    stage = with_event(Stage(program=program(**BY_CREATE_OPT)))
    act(stage, verb="opt", event="EV-1", opt="optOut", reason="mustRun")
    stage.run(1)
    (sent,) = stage.sent(CreateOpt)
    assert (sent.event_id, sent.modification, sent.opt, sent.reason) == ("EV-1", 0, "optOut", "mustRun")
    assert stage.opts("EV-1") == [("200", "optIn", 0)]
    act(stage, verb="opt", event="EV-1", opt="optIn")
    stage.run(1)
    assert [one.opt for one in stage.vtn.live_opts.values()] == ["optIn"]
    assert [one.opt_id for one in stage.sent(CancelOpt)] == [sent.opt_id]
    assert stage.opts("EV-1") == [("200", "optIn", 0)]


def test_by_default_a_change_goes_by_created_event_until_a_create_opt_was_sent() -> None:
    stage = with_event()
    act(stage, verb="opt", event="EV-1", opt="optOut")
    stage.run(1)
    assert stage.sent(CreateOpt) == []
    act(stage, verb="create-opt", event="EV-1", opt="optIn")
    stage.run(1)
    act(stage, verb="opt", event="EV-1", opt="optOut")
    stage.run(1)
    assert [one.opt for one in stage.sent(CreateOpt)] == ["optIn", "optOut"]
    assert [opt for _, opt, _ in stage.opts("EV-1")] == ["optIn", "optOut"]
    assert [one.opt for one in stage.vtn.live_opts.values()] == ["optOut"]


def test_cancelling_an_events_opt_brings_back_what_was_said_before() -> None:
    stage = with_event()
    opt_id = act(stage, verb="create-opt", event="EV-1", opt="optOut")["opt_id"]
    stage.run(1)
    assert stage.withdrawn == [("tso/EV-1", "opted-out")]
    act(stage, verb="cancel-opt", opt_id=opt_id)
    stage.run(1)
    assert stage.vtn.live_opts == {}
    assert len(stage.instructions) == 2
    assert act(stage, verb="events")["events"][0]["opt"] == "optIn"
    act(stage, verb="opt", event="EV-1", opt="optOut")  # the path stays the same
    stage.run(1)
    assert [one.opt for one in stage.vtn.live_opts.values()] == ["optOut"]
    assert stage.opts("EV-1") == [("200", "optIn", 0)]


def test_a_new_modification_is_answered_and_its_other_opt_goes_by_create_opt_too() -> None:
    stage = with_event(Stage(program=program(**BY_CREATE_OPT)))
    act(stage, verb="opt", event="EV-1", opt="optOut")
    stage.run(1)
    stage.vtn.modify("EV-1")
    stage.run(15)
    assert stage.opts("EV-1")[-1] == ("200", "optIn", 1)
    assert [(one.opt, one.modification) for one in stage.vtn.live_opts.values()] == [("optIn", 1)]


def test_an_event_that_wants_no_response_hears_of_the_operator_by_create_opt() -> None:
    """Rule 12: never means never."""
    stage = with_event(response_required=False)
    act(stage, verb="opt", event="EV-1", opt="optOut")
    stage.run(1)
    assert stage.sent(CreatedEvent) == []
    assert [one.opt for one in stage.vtn.live_opts.values()] == ["optOut"]


def test_a_refused_create_opt_goes_by_created_event() -> None:
    stage = with_event(Stage(program=program(**BY_CREATE_OPT)))
    stage.vtn.refuse_opts = "450"
    act(stage, verb="opt", event="EV-1", opt="optOut")
    stage.run(1)
    assert [fact.code for fact in stage.facts_of(OptRefused)] == ["450"]
    assert [opt for _, opt, _ in stage.opts("EV-1")] == ["optIn", "optOut"]
    assert "450" in stage.session.status().detail


@pytest.mark.parametrize(
    ("happened", "code"),
    [
        ("unknown", "ven.unknown_event"),
        ("cancelled", "ven.event_cancelled"),
        ("over", "ven.event_over"),
        ("refused", "ven.event_refused"),
    ],
)
def test_acts_on_events_that_cannot_be_opted_on_are_explained(happened: str, code: str) -> None:
    stage = registered()
    if happened != "unknown":
        context = "http://utility.example/program"
        event = dispatch("EV-1", start_at=START + 60, duration_s=60, value=1.0, market_context=context)
        odd = replace(event, signals=(replace(event.signals[0], name="x-odd"),))
        stage.vtn.add_event(odd if happened == "refused" else event)
        stage.run(15)
    if happened == "cancelled":
        stage.vtn.cancel("EV-1")
        stage.run(15)
    if happened == "over":
        stage.now = START + 121
    with pytest.raises(Told) as told:
        act(stage, verb="opt", event="EV-1", opt="optOut")
    assert told.value.code == code


# --- schedules ---------------------------------------------------------------------------------------------------


def test_schedule_is_created_taken_and_cancelled() -> None:
    stage = registered()
    spans = schedule((7200, 1800), (3600, 1800))
    made = act(
        stage,
        verb="create-opt",
        opt="optOut",
        reason="x-maintenance",
        available=spans,
        market_context="http://utility.example/program",
        resource_ids=("tokyo",),
        device_classes=("battery",),
    )
    stage.run(1)
    (heard,) = stage.vtn.live_opts.values()
    assert heard.available == tuple(sorted(spans, key=lambda one: one.start_at))
    assert (heard.opt, heard.reason, heard.event_id) == ("optOut", "x-maintenance", None)
    assert (heard.resource_ids, heard.device_classes) == (("tokyo",), ("battery",))
    assert heard.request_id and heard.ven_id == "VEN-1"
    assert [fact.opt_id for fact in stage.facts_of(OptTaken)] == [made["opt_id"]]
    act(stage, verb="cancel-opt", opt_id=made["opt_id"])
    stage.run(1)
    assert stage.vtn.live_opts == {} and act(stage, verb="opts")["opts"] == []
    assert all(one.request_id for one in stage.sent(CancelOpt))


def test_opt_waits_for_a_vtn_that_is_down_and_survives_a_restart() -> None:
    stage = registered()
    stage.down = "unreachable"
    made = act(stage, verb="create-opt", available=schedule((3600, 1800)))
    stage.run(120)
    stage.restart()
    stage.run(30)
    assert act(stage, verb="opts")["opts"][0]["standing"] == "pending"
    stage.down = ""
    stage.run(120)
    assert list(stage.vtn.live_opts) == [made["opt_id"]]
    assert len({one.opt_id for one in stage.sent(CreateOpt)}) == 1, "repeated with the same optID"


def test_live_opts_are_sent_again_after_a_new_registration() -> None:
    stage = registered()
    kept = act(stage, verb="create-opt", available=schedule((3600, 1800)))["opt_id"]
    gone = act(stage, verb="create-opt", available=schedule((7200, 1800)))["opt_id"]
    stage.run(1)
    act(stage, verb="cancel-opt", opt_id=gone)
    stage.run(1)
    stage.vtn.forget_ven()
    stage.run(30)
    assert list(stage.vtn.live_opts) == [kept]


def test_a_schedule_that_is_over_is_forgotten_and_not_sent_again() -> None:
    stage = registered()
    act(stage, verb="create-opt", available=schedule((60, 60)))
    stage.run(130)
    assert act(stage, verb="opts")["opts"] == []
    stage.vtn.forget_ven()
    stage.run(30)
    assert stage.vtn.live_opts == {}


def test_cancelling_what_the_vtn_has_forgotten_is_done_with() -> None:
    stage = registered()
    opt_id = act(stage, verb="create-opt", available=schedule((3600, 1800)))["opt_id"]
    stage.run(1)
    stage.vtn.live_opts.clear()
    act(stage, verb="cancel-opt", opt_id=opt_id)
    stage.run(60)
    assert [fact.detail for fact in stage.facts_of(OptCancelled)] == [
        "the VTN answered oadrCancelOpt with 452 'unknown optID'"
    ]
    assert len(stage.sent(CancelOpt)) == 1 and act(stage, verb="opts")["opts"] == []


def test_an_opt_cancelled_before_it_was_sent_never_holds() -> None:
    stage = registered()
    stage.down = "unreachable"
    opt_id = act(stage, verb="create-opt", available=schedule((3600, 1800)))["opt_id"]
    act(stage, verb="cancel-opt", opt_id=opt_id)
    stage.down = ""
    stage.run(60)
    assert stage.sent(CreateOpt) == [] and stage.vtn.live_opts == {}


def test_a_vtn_without_ei_opt_is_polled_all_the_same_and_given_up_on() -> None:
    stage = registered()

    def no_service(message: Message) -> Message | None:
        return None if isinstance(message, CreatedOpt) else message

    stage.mangle = no_service
    act(stage, verb="create-opt", available=schedule((3600, 1800)))
    polls = len(stage.sent(Poll))
    stage.run(300)
    assert len(stage.sent(Poll)) > polls + 15
    assert len(stage.sent(CreateOpt)) == 5
    assert act(stage, verb="opts")["opts"][0]["standing"] == "refused"


@pytest.mark.parametrize("answer", ["wrong id", "response 200", "list"])
def test_odd_answers_to_a_create_opt(answer: str) -> None:
    stage = registered()

    def odd(message: Message) -> Message:
        if not isinstance(message, CreatedOpt) or stage.facts_of(OptTaken):
            return message
        if answer == "wrong id":
            return replace(message, opt_id="another")
        if answer == "list":
            return stage.vtn.answer("EiEvent", Poll(ven_id="VEN-1"), stage.now) or message
        return Response(response=EiResponse(code="200", request_id=""))

    stage.mangle = odd
    act(stage, verb="create-opt", available=schedule((3600, 1800)))
    stage.run(30)
    taken = [one["standing"] for one in act(stage, verb="opts")["opts"]] == ["taken"]
    assert taken == (answer != "wrong id")
    assert len(stage.sent(CreateOpt)) < 10


@pytest.mark.parametrize(
    ("spans", "reason", "code"),
    [
        ((), "", "ven.schedule_count"),
        (((60, 0.5),), "", "ven.schedule_duration"),
        (((-60, 30),), "", "ven.schedule_over"),
        (((60, 60), (90, 60)), "", "ven.schedule_overlap"),
        (((60, 60),), "whim", "ven.reason"),
    ],
)
def test_schedules_that_cannot_be_said_are_explained(
    spans: tuple[tuple[float, float], ...], reason: str, code: str
) -> None:
    stage = registered()
    with pytest.raises(Told) as told:
        act(stage, verb="create-opt", available=schedule(*spans), reason=reason)
    assert told.value.code == code
    assert stage.facts_of(OptCreated) == []


# --- availability by the clock -----------------------------------------------------------------------------------


class Spare(Meter):
    """Telemetry with a made-up spare capacity: W from each moment on."""

    def __init__(self, room_w: dict[float, float]) -> None:
        super().__init__()
        self.room_w = room_w

    def spare(self, direction: str, now: float, block_s: float, horizon_s: float) -> list[SpareBlock]:
        first = int(now // block_s)
        blocks = range(first, first + int(horizon_s // block_s))
        return [
            SpareBlock(
                start_at=index * block_s,
                end_at=(index + 1) * block_s,
                regulation_w=next(w for at, w in reversed(self.room_w.items()) if index * block_s >= at),
            )
            for index in blocks
            if self.room_w
        ]


def clocked(room_w: dict[float, float]) -> tuple[Stage, Spare]:
    rule = {"need_kw": 100, "direction": "down", "every_s": 900, "horizon_s": 86400, "block_s": 1800}
    stage = Stage(program=program(opt={"availability": rule}))
    spare = Spare(room_w)
    stage.meter = spare
    return registered(stage), spare


def test_schedule_from_spare_capacity_is_renewed_only_when_it_has_changed() -> None:
    stage, spare = clocked({0.0: 150e3, START + 3600: 50e3, START + 7200: 150e3})
    stage.run(60)
    (first,) = stage.vtn.live_opts.values()
    assert (first.opt, first.available) == ("optOut", schedule((3600, 3600)))
    stage.run(3600)
    assert len(stage.sent(CreateOpt)) == 1, "nothing has changed"
    spare.room_w = {0.0: 150e3, START + 10800: 99e3, START + 12600: 150e3}
    stage.run(900)
    assert [one.available for one in stage.vtn.live_opts.values()] == [schedule((10800, 1800))]
    assert [one.opt_id for one in stage.sent(CancelOpt)] == [first.opt_id]
    spare.room_w = {0.0: 150e3}
    stage.run(900)
    assert stage.vtn.live_opts == {}


def test_unknown_capacity_says_nothing() -> None:
    stage, spare = clocked({})
    stage.run(3600)
    assert stage.sent(CreateOpt) == []
    spare.room_w = {0.0: 0.0}
    stage.run(60)
    assert len(stage.vtn.live_opts) == 1


# --- registration by hand ----------------------------------------------------------------------------------------


def test_cancel_and_register_by_the_operator() -> None:
    stage = registered()
    act(stage, verb="cancel")
    stage.run(1)
    assert stage.session.status().state == "cancelled"
    assert len(stage.sent(CancelPartyRegistration)) == 1
    assert act(stage, verb="cancel")["acted"] is False
    act(stage, verb="register")
    stage.run(1)
    assert stage.session.status().state == "registered"
    assert act(stage, verb="register")["acted"] is False
    assert [(fact.who, fact.verb) for fact in stage.facts_of(Operated)] == [
        ("operator", "cancel"),
        ("operator", "register"),
    ]


def test_reregister_repeats_the_registration_id() -> None:
    stage = registered()
    first = stage.facts_of(Registered)[0].registration_id
    act(stage, verb="reregister")
    stage.run(1)
    assert [one.registration_id for one in stage.sent(CreatePartyRegistration)] == [None, first]
    assert stage.session.status().state == "registered"


def test_reregister_needs_a_registration() -> None:
    with pytest.raises(Told, match="not registered"):
        act(Stage(), verb="reregister")


@pytest.mark.parametrize("stay", [False, True])
def test_reset_forgets_everything(stay: bool) -> None:
    stage = with_event()
    act(stage, verb="create-opt", available=schedule((3600, 1800)))
    stage.run(1)
    stage.vtn.order_report(["portfolio"], granularity_s=60, back_duration_s=60)
    stage.run(15)
    assert act(stage, verb="reports")["reports"]
    stage.vtn.drop("EV-1")
    act(stage, verb="reset", stay=stay)
    picture = act(stage, verb="status")
    assert (picture["events"], picture["opts"], picture["reports"], picture["owed"]) == (0, 0, 0, 0)
    assert picture["registration_id"] is None and picture["ven_id"] is None
    assert stage.withdrawn == [("tso/EV-1", "unregistered")]
    stage.restart()
    stage.run(5)
    assert act(stage, verb="status")["state"] == ("cancelled" if stay else "registered")
    assert [one.registration_id for one in stage.sent(CreatePartyRegistration)] == [None] * (1 if stay else 2)
    if stay:
        act(stage, verb="register")
        stage.run(5)
        assert act(stage, verb="status")["state"] == "registered"


def test_reset_works_in_every_phase() -> None:
    for phase in Phase:
        stage = registered()
        stage.session.desk.state.phase = phase
        act(stage, verb="reset")
        stage.run(5)
        assert stage.session.status().state == "registered", phase


def test_reset_while_the_vtn_is_away_begins_afresh() -> None:
    stage = registered()
    stage.down = "unreachable"
    stage.run(60)
    act(stage, verb="reset")
    stage.down = ""
    stage.run(1)
    assert stage.session.status().state == "registered"
