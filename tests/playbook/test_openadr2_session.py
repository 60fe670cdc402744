"""The VEN session by playbook: message in, facts and requests out. Rule numbers are the 2.0b conformance rules."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from tests.playbook.ven_stage import ROOM, SITES, START, Stage, program, registered
from vpp_gateway.clock import SeededRng
from vpp_gateway.domain.command import Answer
from vpp_gateway.domain.instruction import Delta, InstructionId, Level, Setpoint
from vpp_gateway.errors import ConfigError
from vpp_gateway.northbound.openadr2.facts import Registered, ResponseOwed, Settled, Unregistered
from vpp_gateway.northbound.openadr2.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedEvent,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    DistributeEvent,
    Poll,
    QueryRegistration,
    Received,
    RequestEvent,
    Response,
    Targets,
)
from vpp_gateway.northbound.openadr2.report_words import EiResponse, RegisterReport, Unit
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.sim.vtn import Vtn, dispatch

HOUR = 3600.0


def event(event_id: str = "E1", **changes: object):  # type: ignore[no-untyped-def]
    given = {"start_at": START + 600, "duration_s": HOUR, "value": -500_000.0, **changes}
    return dispatch(event_id, **given)  # type: ignore[arg-type]


# -- registration -----------------------------------------------------------------------------------------------


def test_registers_and_polls() -> None:
    stage = registered()
    kinds = [type(post.message) for _, post in stage.posts]
    assert kinds == [QueryRegistration, CreatePartyRegistration, RegisterReport, RequestEvent, Poll]
    asked = stage.sent(CreatePartyRegistration)[0]
    assert (asked.ven_name, asked.xml_signature, asked.ven_id) == ("centre", False, None)
    (fact,) = stage.facts_of(Registered)
    assert (fact.ven_id, fact.vtn_id, fact.poll_s) == ("VEN-1", "VTN-1", 10.0)
    assert stage.sent(Poll)[0].ven_id == "VEN-1"


def test_polls_no_faster_than_the_vtn_asks_and_not_much_slower() -> None:
    stage = registered()
    stage.run(600)
    times = [at for at, post in stage.posts if isinstance(post.message, Poll)]
    gaps = [b - a for a, b in pairwise(times)]
    assert min(gaps) >= 10.0
    assert max(gaps) <= 10.5
    assert len(set(gaps)) > 1  # jittered


def test_a_restart_polls_no_faster_than_the_vtn_asks() -> None:
    """Rule 54: when the last poll was is not kept, so the list is asked for at once and a poll comes a period later."""
    stage = registered()
    stage.restart()
    before = len(stage.posts)
    stage.run(9.9)
    assert [type(post.message) for _, post in stage.posts[before:]] == [RequestEvent]
    stage.run(0.2)
    assert isinstance(stage.posts[-1][1].message, Poll)


def test_starts_while_the_vtn_is_down_and_comes_by_itself() -> None:
    stage = Stage(down="unreachable")
    stage.run(900)
    assert stage.session.status().state == "lost"
    assert "the line is cut" in stage.session.status().detail
    tries = [at for at, _ in stage.posts]
    gaps = [b - a for a, b in pairwise(tries)]
    assert gaps[0] <= 1.0 and max(gaps) <= 60.0 and gaps[-1] > 25.0
    stage.down = ""
    stage.run(61)
    assert stage.session.status().state == "registered"
    assert stage.session.status().detail == ""


@pytest.mark.parametrize("code", ["463", "452"])
def test_registers_again_when_the_vtn_does_not_know_it_any_more(code: str) -> None:
    stage = registered()
    stage.vtn.queue(Response(response=EiResponse(code=code, description="who?")))
    stage.run(20)
    assert [fact.cause for fact in stage.facts_of(Unregistered)] == ["unknown"]
    assert len(stage.facts_of(Registered)) == 2
    assert stage.sent(CreatePartyRegistration)[1].registration_id is None
    assert stage.session.status().state == "registered"


def test_a_vtn_that_forgets_at_once_is_not_hammered() -> None:
    stage = registered()
    stage.mangle = lambda said: (
        Response(response=EiResponse(code="463")) if isinstance(said, Response | DistributeEvent) else said
    )
    stage.run(600)
    assert len(stage.sent(CreatePartyRegistration)) < 40


def test_reregistration_at_the_vtns_request_repeats_the_registration_id() -> None:
    stage = registered()
    first = stage.facts_of(Registered)[0].registration_id
    stage.vtn.ask_reregistration()
    stage.run(20)
    assert stage.sent(Response)[0].response.ok
    assert stage.sent(CreatePartyRegistration)[1].registration_id == first
    kinds = [type(post.message) for _, post in stage.posts]
    assert kinds.index(Response) < len(kinds) - 1 - kinds[::-1].index(CreatePartyRegistration)


def test_vtn_cancels_the_registration() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(20)
    stage.vtn.cancel_registration()
    stage.run(20)
    assert stage.withdrawn == [("tso/E1", "unregistered")]
    assert stage.sent(CanceledPartyRegistration)[0].response.ok
    assert stage.session.status().state == "cancelled"
    posts = len(stage.posts)
    stage.run(HOUR)
    assert len(stage.posts) == posts  # nothing in flight or due brings it back
    stage.take(stage.session.rejoin(stage.now))
    stage.run(5)
    assert stage.session.status().state == "registered"


def test_cancellation_of_another_registration_is_refused() -> None:
    stage = registered()
    stage.vtn.queue(CancelPartyRegistration(request_id="r", registration_id="not-ours", ven_id="VEN-1"))
    stage.run(20)
    assert stage.sent(CanceledPartyRegistration)[0].response.code == "452"
    assert stage.session.status().state == "registered"


def test_operator_leaves() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(20)
    stage.take(stage.session.leave(stage.now))
    stage.run(5)
    assert len(stage.sent(CancelPartyRegistration)) == 1
    assert stage.withdrawn == [("tso/E1", "unregistered")]
    assert stage.session.status().state == "cancelled"
    assert stage.session.next_wake() is None


def test_a_registration_in_flight_does_not_undo_a_leave() -> None:
    stage = Stage()
    held = stage.session.wake(stage.now, stage.meter)
    stage.take(type(held)(facts=held.facts))
    stage.take(stage.session.receive(stage.carry(held.requests[0]), stage.now))
    create = stage.session.wake(stage.now, stage.meter).requests[0]
    stage.take(stage.session.leave(stage.now))
    stage.take(stage.session.receive(stage.carry(create), stage.now))
    stage.run(HOUR)
    assert stage.session.status().state == "cancelled"
    assert stage.facts_of(Registered) == []


def test_refused_registration_is_named_and_tried_again() -> None:
    stage = Stage(vtn=Vtn(rng=SeededRng(1), ven_name="somebody else"))
    stage.run(600)
    assert "unknown venName" in stage.session.status().detail
    assert 10 < len(stage.sent(CreatePartyRegistration)) < 40
    stage.vtn.ven_name = "centre"
    stage.run(61)
    assert stage.session.status().state == "registered"


def test_a_vtn_with_another_id_than_the_profile_says_is_not_registered_with() -> None:
    stage = Stage(program=program(vtn_id="THE-ONE"))
    stage.run(60)
    assert "THE-ONE" in stage.session.status().detail and "VTN-1" in stage.session.status().detail
    assert stage.facts_of(Registered) == []


def test_a_vtn_without_reports_is_polled_all_the_same() -> None:
    stage = Stage()
    stage.mangle = lambda said: (
        Response(response=EiResponse(code="461")) if type(said).__name__ == "RegisteredReport" else said
    )
    stage.run(30)
    assert stage.session.status().state == "registered"
    assert stage.sent(Poll)


# -- events -----------------------------------------------------------------------------------------------------


def test_event_becomes_an_instruction_and_is_answered_once() -> None:
    stage = registered()
    stage.vtn.add_event(event("007", priority=2, ven_ids=["VEN-1"]))
    stage.run(30)
    (instruction,) = stage.instructions
    assert instruction.id == "tso/007" and instruction.event_id == "007"
    assert instruction.phases[0].demand == Delta(regulation_w=500_000.0)
    assert (instruction.start_at, instruction.end_at) == (START + 600, START + 600 + HOUR)
    assert instruction.priority.rank == 1 and instruction.scope == ()
    assert stage.opts("007") == [("200", "optIn", 0)]


def test_one_created_event_repeats_each_request_id() -> None:
    stage = registered()
    for id in ("A", "B", "C"):
        stage.vtn.add_event(event(id))
    stage.run(30)
    (created,) = stage.sent(CreatedEvent)
    assert created.response.request_id == ""  # rule 42
    assert [response.event_id for response in created.event_responses] == ["A", "B", "C"]
    assert len({response.request_id for response in created.event_responses}) == 1
    assert created.event_responses[0].request_id != ""


def test_nothing_is_polled_before_what_was_received_is_answered() -> None:
    stage = registered(Stage(opt=lambda instruction: None))
    stage.vtn.add_event(event())
    stage.run(9.9)
    stage.run(6)
    polls = len(stage.sent(Poll))
    stage.run(3)  # rule 64: the gateway is still thinking
    assert len(stage.sent(Poll)) == polls
    answer = Answer(room=ROOM, instruction=InstructionId("tso/E1"), modification=0, opt="in", reason="fits")
    stage.take(stage.session.answer([answer], stage.now))
    stage.run(0)
    assert stage.opts("E1") == [("200", "optIn", 0)]


def test_no_decision_in_time_is_an_opt_out() -> None:
    stage = registered(Stage(opt=lambda instruction: None))
    stage.vtn.add_event(event())
    stage.run(30)
    assert stage.opts("E1") == [("200", "optOut", 0)]


def test_change_of_mind_is_told() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    out = Answer(
        room=ROOM, instruction=InstructionId("tso/E1"), modification=0, opt="out", reason="battery lost"
    )
    stage.take(stage.session.answer([out], stage.now))
    stage.take(stage.session.answer([out], stage.now))  # the same again says nothing
    stage.run(5)
    assert stage.opts("E1") == [("200", "optIn", 0), ("200", "optOut", 0)]
    first, second = (message.event_responses[0] for message in stage.sent(CreatedEvent))
    assert second.request_id == first.request_id and second.description == "battery lost"


def test_never_means_no_answer() -> None:
    stage = registered()
    stage.vtn.add_event(event(response_required=False))
    stage.run(30)
    assert len(stage.instructions) == 1
    assert stage.opts("E1") == []
    stage.vtn.cancel("E1")
    stage.run(30)
    assert stage.withdrawn == [("tso/E1", "cancelled")]
    assert stage.sent(CreatedEvent) == []


def test_modification_replaces() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    stage.vtn.modify("E1", duration_s=1800.0, signals=event(duration_s=1800.0).signals)
    stage.run(30)
    assert [(i.modification, i.end_at) for i in stage.instructions] == [
        (0, START + 600 + HOUR),
        (1, START + 600 + 1800),
    ]
    assert stage.withdrawn == []
    assert stage.opts("E1") == [("200", "optIn", 0), ("200", "optIn", 1)]


def test_unchanged_event_is_answered_but_not_instructed_again() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    stage.vtn.modify("E1", modification=0)
    stage.run(30)
    assert len(stage.instructions) == 1
    assert stage.opts("E1") == [("200", "optIn", 0)] * 2
    requests = [message.event_responses[0].request_id for message in stage.sent(CreatedEvent)]
    assert requests[0] != requests[1]  # each repeats the requestID that it answers


@pytest.mark.parametrize("status", ["far", "active", "cancelled"])
def test_lower_modification_is_an_error(status: str) -> None:
    stage = registered()
    stage.vtn.add_event(replace(event(), modification=5))
    stage.run(30)
    stage.vtn.modify("E1", modification=4, status=status)
    stage.run(30)
    assert stage.opts("E1")[1][0] == "450"  # rule 58
    assert len(stage.instructions) == 1 and stage.withdrawn == []


def test_cancellation() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    stage.vtn.cancel("E1")
    stage.run(30)
    assert stage.withdrawn == [("tso/E1", "cancelled")]
    assert stage.opts("E1")[1] == ("200", "optIn", 1)  # rule 36: optIn = will cancel
    stage.vtn.modify("E1", modification=1)  # listed again
    stage.run(30)
    assert len(stage.withdrawn) == 1
    assert stage.opts("E1")[2] == ("200", "optIn", 1)


def test_cancelled_and_unknown_is_answered_and_ignored() -> None:
    stage = registered()
    stage.vtn.add_event(replace(event(), status="cancelled", modification=3))
    stage.run(30)
    assert stage.instructions == [] and stage.withdrawn == []
    assert stage.opts("E1") == [("200", "optIn", 3)]  # rule 60


@pytest.mark.parametrize("others", [0, 1])
def test_implied_cancel_also_by_an_empty_list(others: int) -> None:
    stage = registered()
    for index in range(others):
        stage.vtn.add_event(event(f"other{index}"))
    stage.vtn.add_event(event())
    stage.run(30)
    stage.vtn.drop("E1")
    stage.run(30)
    assert stage.withdrawn == [("tso/E1", "implied")]  # rule 61
    assert len(stage.opts("E1")) == 1


def test_an_event_that_is_over_may_leave_the_list_in_silence() -> None:
    stage = registered()
    stage.vtn.add_event(event(duration_s=60.0))
    stage.run(700)
    stage.vtn.drop("E1")
    stage.run(30)
    assert stage.withdrawn == []


def test_completed_is_answered_and_changes_nothing() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    stage.vtn.modify("E1", status="completed", modification=0)
    stage.run(30)
    assert stage.withdrawn == [] and len(stage.instructions) == 1
    assert stage.opts("E1") == [("200", "optIn", 0)] * 2  # rules 62, 66


def test_unknown_and_completed_or_over_is_not_instructed() -> None:
    stage = registered()
    stage.vtn.add_event(replace(event("done"), status="completed"))
    stage.vtn.add_event(event("late", start_at=START - 2 * HOUR))
    stage.run(30)
    assert stage.instructions == []
    assert stage.opts("done") == [("200", "optOut", 0)]
    assert stage.opts("late") == [("200", "optOut", 0)]


def bad(event_id: str, code: str):  # type: ignore[no-untyped-def]
    match code:
        case "453":
            return event(event_id, market_context="http://somebody.else/program")
        case "462":
            return event(event_id, ven_ids=["VEN-9"])
        case "460":
            return event(event_id, name="LOAD_CONTROL", type="x-loadControlCapacity", unit=None)
        case "454":
            return replace(event(event_id), duration_s=7200.0)
        case _:
            raise AssertionError(code)


@pytest.mark.parametrize("code", ["453", "462", "460", "454"])
def test_a_bad_event_costs_only_itself(code: str) -> None:
    stage = registered(Stage(program=program(market_contexts=["http://utility.example/program"])))
    stage.vtn.add_event(event("good1"))
    stage.vtn.add_event(bad("bad", code))
    stage.vtn.add_event(event("good2"))
    stage.run(30)
    assert [instruction.event_id for instruction in stage.instructions] == ["good1", "good2"]
    assert stage.opts("bad") == [(code, "optOut", 0)]
    assert stage.opts("good1") == stage.opts("good2") == [("200", "optIn", 0)]
    assert len(stage.sent(CreatedEvent)) == 1
    assert stage.session.refused() == {"event": 1}
    assert code in stage.session.status().detail


def test_events_of_another_vtn_are_refused_and_cancel_nothing() -> None:
    stage = registered()
    stage.vtn.add_event(event("ours"))
    stage.run(30)
    stage.vtn.vtn_id = "VTN-2"
    stage.vtn.add_event(event("theirs"))
    stage.run(30)
    assert [instruction.event_id for instruction in stage.instructions] == ["ours"]
    assert stage.opts("theirs") == [("452", "optOut", 0)]
    assert stage.withdrawn == []


def test_a_refused_modification_withdraws_what_it_replaced() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    stage.vtn.modify("E1", targets=Targets(ven_ids=("VEN-9",)))
    stage.run(30)
    assert stage.withdrawn == [("tso/E1", "cancelled")]
    assert stage.opts("E1")[1] == ("462", "optOut", 1)


def test_targets_name_sites() -> None:
    stage = registered()
    stage.vtn.add_event(event("one", resource_ids=["chubu"]))
    stage.vtn.add_event(event("two", resource_ids=["chubu", "tokyo", "unknown"]))
    stage.vtn.add_event(event("all"))
    stage.run(30)
    assert [instruction.scope for instruction in stage.instructions] == [
        (SITES[1],),
        (SITES[1], SITES[0]),
        (),
    ]


def test_meaning_of_signals() -> None:
    stage = registered()
    kilo = Unit(name="powerReal", units="W", scale="k", hertz=50, voltage=6600, ac=True)
    stage.vtn.add_event(event("setpoint", type="setpoint", value=300.0, unit=kilo, duration_s=0.0))
    stage.vtn.add_event(event("level", name="SIMPLE", type="level", value=2.0, unit=None))
    stage.vtn.add_event(event("unitless", unit=None))
    stage.run(30)
    setpoint, level = stage.instructions
    assert setpoint.phases[0].demand == Setpoint(import_w=300_000.0)
    assert setpoint.end_at is None  # rule 47
    assert level.phases[0].demand == Level(level=2, regulation_w=150_000.0)
    assert stage.opts("unitless") == [("454", "optOut", 0)]


def test_start_is_randomised_once_and_kept_over_modifications() -> None:
    stage = registered()
    stage.vtn.add_event(event(startafter_s=300.0))
    stage.run(30)
    stage.vtn.modify("E1", comment="again")
    stage.run(30)
    first, second = stage.instructions
    offset_s = first.start_at - (START + 600)
    assert 0.0 < offset_s <= 300.0
    assert second.start_at == first.start_at  # rule 30
    assert first.end_at == first.start_at + HOUR
    stage.restart()
    stage.vtn.modify("E1", comment="after a restart")
    stage.run(30)
    assert stage.instructions[2].start_at == first.start_at


# -- durability -------------------------------------------------------------------------------------------------


def test_answers_owed_survive_a_restart() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(9)
    posted = len(stage.posts)
    while not stage.facts_of(ResponseOwed):  # stop right when the answer is durable and not yet sent
        stage.now = max(stage.now, stage.session.next_wake() or 0.0)
        stage.take(stage.session.wake(stage.now, stage.meter))
    assert stage.opts("E1") == [] and len(stage.posts) > posted
    stage.restart()
    stage.run(5)
    assert stage.opts("E1")[0] == ("200", "optIn", 0)
    assert len(stage.instructions) == 1
    assert len(stage.facts_of(Registered)) == 1  # starting is recovering, not registering


def test_events_are_known_after_a_restart() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    stage.restart()
    stage.vtn.drop("E1")
    stage.run(30)
    assert len(stage.instructions) == 1
    assert stage.withdrawn == [("tso/E1", "implied")]


def test_replay_gives_the_same_state() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    stage.vtn.cancel("E1")
    stage.vtn.add_event(event("E2"))
    stage.run(30)
    live = vars(stage.session._desk.state)
    stage.restart()
    assert vars(stage.session._desk.state) == live


def test_answer_is_sent_when_the_vtn_comes_back() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(9)
    while not stage.facts_of(ResponseOwed):
        stage.now = max(stage.now, stage.session.next_wake() or 0.0)
        stage.take(stage.session.wake(stage.now, stage.meter))
    stage.down = "timeout"
    stage.run(300)
    assert stage.opts("E1") == []
    assert "1 answers wait" in stage.session.status().detail
    stage.down = ""
    stage.run(61)
    assert stage.opts("E1")[0] == ("200", "optIn", 0)


def test_an_answer_that_the_vtn_cannot_digest_does_not_make_it_deaf() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(9)
    carry = stage.carry

    def poisoned(post):  # type: ignore[no-untyped-def]
        got = carry(post)
        if isinstance(post.message, CreatedEvent):
            stage.down = "http"
            got = carry(post)
            stage.down = ""
        return got

    stage.carry = poisoned  # type: ignore[method-assign]
    stage.run(300)
    assert {fact.outcome for fact in stage.facts_of(Settled)} == {"given-up"}
    assert len(stage.sent(Poll)) > 10


# -- what comes wrong --------------------------------------------------------------------------------------------


def test_a_replayed_message_is_refused_also_after_a_restart() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    carry = stage.carry
    heard: list[Received] = []

    def signed(post):  # type: ignore[no-untyped-def]
        got = replace(carry(post), nonce=f"n{post.number}", signed_at=stage.now)
        heard.append(got)
        return got

    stage.carry = signed  # type: ignore[method-assign]
    stage.run(12)
    brought = next(one for one in heard if isinstance(one.message, DistributeEvent))
    stage.restart()
    stage.carry = lambda post: replace(brought, number=post.number)  # type: ignore[method-assign]
    stage.run(3)
    assert stage.session.refused()["replay"] >= 1
    assert len(stage.instructions) == 1 and stage.withdrawn == []


def test_message_for_another_ven_is_refused() -> None:
    stage = registered()
    stage.vtn.queue(Response(response=EiResponse(code="200"), ven_id="VEN-9"))
    stage.run(30)
    assert stage.session.refused() == {"misaddressed": 1}
    assert stage.session.status().state == "registered"
    assert stage.refused == ["oadrResponse: expected venID 'VEN-1', found 'VEN-9'"]


def test_unexpected_message_is_counted_and_named() -> None:
    stage = registered()
    stage.vtn.queue(Poll(ven_id="VEN-1"))
    stage.run(30)
    assert stage.session.refused() == {"unexpected": 1}
    assert "oadrPoll is no answer to oadrPoll" in stage.session.status().detail
    assert stage.refused == ["oadrPoll is no answer to oadrPoll"]


def test_answers_that_bring_nothing_forward_do_not_make_it_spin() -> None:
    for said in (
        Response(response=EiResponse(code="200")),
        Poll(ven_id="VEN-1"),
        CreatedPartyRegistration(response=EiResponse(code="200"), vtn_id="V"),
        DistributeEvent(request_id="r", vtn_id="V"),
        None,
    ):
        stage = Stage(mangle=lambda _, said=said: said)  # type: ignore[misc]
        stage.run(600)
        assert len(stage.posts) < 60, said


def test_word_on_an_exchange_given_up_is_dropped() -> None:
    stage = registered()
    late = Received(number=1, message=CancelPartyRegistration(request_id="r", registration_id="x"))
    assert stage.session.receive(late, stage.now).facts == ()


def test_silence_of_the_client_ends() -> None:
    stage = registered()
    lost = stage.session.wake(stage.now + 10.5, stage.meter)
    assert isinstance(lost.requests[0].message, Poll)
    due = stage.session.next_wake()
    assert due is not None and due > stage.now + 10.5
    stage.now = due
    stage.run(2)
    assert isinstance(stage.posts[-1][1].message, RequestEvent | Poll)


def test_clock_skew_is_an_alarm() -> None:
    stage = registered()
    carry = stage.carry
    stage.carry = lambda post: replace(carry(post), skew_s=-42.0)  # type: ignore[method-assign]
    stage.run(30)
    assert "42 s behind" in stage.session.status().detail


def test_a_program_that_needs_signatures_needs_a_key() -> None:
    with pytest.raises(ConfigError, match="XML signatures"):
        VenSession(
            room=ROOM,
            ven_name="centre",
            ven_id=None,
            program=program(signature={"required": True}),
            sites=SITES,
            rng=SeededRng(1),
            signing=False,
            level_base_w=dict.fromkeys(SITES, 1.0),
        )
    with pytest.raises(ConfigError, match="level base"):
        VenSession(
            room=ROOM,
            ven_name="centre",
            ven_id=None,
            program=program(),
            sites=SITES,
            rng=SeededRng(1),
            signing=False,
        )


def test_a_list_in_answer_to_an_answer_is_not_answered_for_ever() -> None:
    """A VTN that answers each oadrCreatedEvent with its list would otherwise hear the next one at once, for ever."""
    stage = registered()
    stage.vtn.add_event(event())
    listed: list[DistributeEvent] = []

    def again(said: object) -> object:
        if isinstance(said, DistributeEvent):
            listed.append(said)
        answered = isinstance(stage.posts[-1][1].message, CreatedEvent)
        return listed[-1] if answered else said

    stage.mangle = again  # type: ignore[assignment]
    stage.run(60)
    assert 1 <= len(stage.sent(CreatedEvent)) <= 6
    assert stage.session.refused()["unexpected"] == len(stage.sent(CreatedEvent))
    assert stage.session.status().state == "registered"


def test_a_restart_asks_for_the_list_at_once_and_polls_no_sooner_for_it() -> None:
    """Rule 54: when the process before it polled last is not known."""
    stage = registered()
    stage.run(95)
    stage.restart()
    began, before = stage.now, len(stage.posts)
    stage.run(60)
    said = [(at - began, post.message) for at, post in stage.posts[before:]]
    assert isinstance(said[0][1], RequestEvent) and said[0][0] == 0.0
    polls = [at for at, message in said if isinstance(message, Poll)]
    assert polls and polls[0] >= stage.program.polling.poll_s
