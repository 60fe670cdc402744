"""Events by playbook: what a list of events may hold, and how each event is answered. Rule numbers are those of 2.0b."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.playbook.test_openadr2_session import event
from tests.playbook.ven_stage import ROOM, SITES, START, Stage, program, registered
from vpp_gateway.clock import SeededRng
from vpp_gateway.domain.command import Answer
from vpp_gateway.domain.instruction import Delta, InstructionId
from vpp_gateway.errors import ConfigError
from vpp_gateway.northbound.openadr2.facts import EventHeld
from vpp_gateway.northbound.openadr2.judge import Judge
from vpp_gateway.northbound.openadr2.messages import (
    CreatedEvent,
    DistributeEvent,
    Event,
    Poll,
    RequestEvent,
    SignalInterval,
    Targets,
)
from vpp_gateway.northbound.openadr2.operate import VenRequest, operate
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.northbound.openadr2.xml_text import write_date
from vpp_gateway.northbound.turn import Turn

HOUR = 3600.0


def say(stage: Stage, *events: Event, request_id: str = "r") -> None:
    """The VTN distributes exactly this list, with the statuses as given."""
    stage.vtn.queue(DistributeEvent(request_id=request_id, vtn_id=stage.vtn.vtn_id, events=events))
    stage.run(11)


# -- rules 1, 6, 14, 15, 30, 47: what an event may carry -----------------------------------------------------------


def rewritten(stage: Stage, old: str, new: str, *events: Event) -> None:
    """Distribute, with the text of the message changed on its way."""

    def rewrite(body: bytes) -> bytes:
        text = body.decode()
        return text.replace(old, new).encode()

    stage.rewrite = rewrite
    say(stage, *events)
    stage.rewrite = lambda body: body


@pytest.mark.parametrize("text", ["true", "yes", "1", "TRUE", "0", "drill", ""])
def test_any_test_event_text_but_false_marks_a_test_event(text: str) -> None:
    stage = registered()
    rewritten(stage, "<ei:testEvent>true<", f"<ei:testEvent>{text}<", replace(event(), test=True))
    assert [i.test for i in stage.instructions] == [True]  # rule 6
    assert stage.opts("E1") == [("200", "optIn", 0)]


@pytest.mark.parametrize("text", ["false", "False", " false "])
def test_false_is_no_test_event(text: str) -> None:
    stage = registered()
    rewritten(stage, "<ei:testEvent>true<", f"<ei:testEvent>{text}<", replace(event(), test=True))
    assert [i.test for i in stage.instructions] == [False]


def test_a_program_may_say_that_test_events_are_not_carried_out() -> None:
    stage = registered(Stage(program=program(execute_test_events=False)))
    say(stage, replace(event("drill"), test=True), event("real"))
    assert [i.event_id for i in stage.instructions] == ["real"]
    assert stage.opts("drill") == [("200", "optIn", 0)]
    assert "test event, not carried out" in stage.session.status().detail
    say(stage, replace(event("drill"), test=True), event("real"))
    assert stage.opts("drill") == [("200", "optIn", 0)] * 2 and len(stage.instructions) == 1
    assert len(stage.facts_of(EventHeld)) == 2  # what is known already is not written again
    say(stage, replace(event("drill"), test=True, status="cancelled", modification=1), event("real"))
    assert stage.opts("drill")[2] == ("200", "optIn", 1) and stage.withdrawn == []
    say(stage, event("real"))
    assert stage.withdrawn == [] and "test event" not in stage.session.status().detail


def test_an_event_that_becomes_a_test_event_is_withdrawn_when_tests_are_not_carried_out() -> None:
    stage = registered(Stage(program=program(execute_test_events=False)))
    say(stage, event())
    say(stage, replace(event(), test=True, modification=1))
    assert stage.withdrawn == [("tso/E1", "cancelled")]
    assert stage.opts("E1") == [("200", "optIn", 0), ("200", "optIn", 1)]


def test_a_bad_test_event_is_refused_all_the_same() -> None:
    stage = registered(Stage(program=program(execute_test_events=False)))
    say(stage, replace(event(), test=True, duration_s=2 * HOUR))
    assert stage.opts("E1") == [("454", "optOut", 0)]


@pytest.mark.parametrize("uids", [(None, None), ("", ""), ("7", "7"), ("b", "a"), ("1", "0"), ("-1", "1e9")])
def test_interval_uids_that_are_odd_are_borne(uids: tuple[str | None, str | None]) -> None:
    (signal,) = event().signals
    intervals = tuple(
        SignalInterval(duration_s=1800.0, value=float(index), uid=uid) for index, uid in enumerate(uids)
    )
    stage = registered()
    say(stage, replace(event(), signals=(replace(signal, intervals=intervals),)))
    (instruction,) = stage.instructions
    # Rule 2: the order of the list decides, not the uid.
    assert [phase.demand for phase in instruction.phases] == [
        Delta(regulation_w=0.0),
        Delta(regulation_w=-1.0),
    ]


def test_intervals_without_uid_are_borne() -> None:
    stage = registered()
    rewritten(stage, "<xcal:uid><xcal:text>0</xcal:text></xcal:uid>", "", event())
    assert stage.opts("E1") == [("200", "optIn", 0)]


def test_an_interval_with_two_payloads_costs_its_event() -> None:
    stage = registered()
    payload = (
        "<ei:signalPayload><ei:payloadFloat><ei:value>-7</ei:value></ei:payloadFloat></ei:signalPayload>"
    )
    rewritten(stage, payload, payload + payload.replace("-7", "-8"), event(value=-7.0), event("good"))
    assert stage.opts("E1") == [("454", "optOut", 0)]
    assert [i.event_id for i in stage.instructions] == ["good"]


@pytest.mark.parametrize(
    ("period", "interval", "fits"),
    [
        ("PT1H", "PT60M", True),
        ("P0DT1H", "PT3600S", True),
        ("3W", "P21D", True),
        ("P", "P", True),
        ("P0D", "PT0S", True),
        ("PT0S", "PT1H", True),
        ("-PT1S", "-PT1S", False),
        ("PT1H", "-PT1H", False),
        ("P200Y", "P200Y", False),
    ],
)
def test_durations_in_every_form_of_the_schema(period: str, interval: str, fits: bool) -> None:
    stage = registered()
    hour = "<xcal:duration>PT1H</xcal:duration>"

    def rewrite(body: bytes) -> bytes:
        head, middle, tail = body.decode().split(hour)
        return (
            hour.replace("PT1H", period).join([head, middle + hour.replace("PT1H", interval) + tail]).encode()
        )

    stage.rewrite = lambda body: rewrite(body) if hour.encode() in body else body
    say(stage, event())
    assert stage.opts("E1") == [("200", "optIn", 0) if fits else ("454", "optOut", 0)]
    if fits:  # rule 47: zero is an open end
        assert (stage.facts_of(EventHeld)[0].active_until is None) is (period in ("P", "P0D", "PT0S"))


@pytest.mark.parametrize(
    ("start_at", "code", "opt"),
    [
        (0.0, "200", "optOut"),  # over long ago
        (START - 60, "200", "optIn"),
        (START + 20 * 365 * 86400, "200", "optIn"),
        (253_402_300_000.0, "454", "optOut"),  # would end after the year 9999
    ],
)
def test_starts_far_in_the_past_and_in_the_future(start_at: float, code: str, opt: str) -> None:
    stage = registered()
    say(stage, event(start_at=start_at))
    assert stage.opts("E1") == [(code, opt, 0)]
    assert len(stage.instructions) == (opt == "optIn")
    stage.restart()
    stage.run(60)
    assert stage.session.status().state == "registered"


def test_an_open_event_that_began_long_ago_is_in_force() -> None:
    stage = registered()
    say(stage, replace(event(start_at=START - 30 * 86400, duration_s=0.0), status="active"))
    assert stage.instructions[0].phase_at(stage.now) is not None
    assert stage.opts("E1") == [("200", "optIn", 0)]


# -- rules 12, 36, 62: answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["none", "far", "near", "active"])
def test_every_status_of_a_new_event_is_answered(status: str) -> None:
    stage = registered()
    say(stage, replace(event(), status=status))
    assert stage.opts("E1") == [("200", "optIn", 0)]
    assert stage.instructions[0].start_at == START + 600  # we act by dtstart, whatever the status says


def test_response_required_may_change_between_repeats() -> None:
    stage = registered()
    say(stage, event(response_required=False))
    assert stage.opts("E1") == []
    say(stage, event(response_required=True), request_id="second")
    assert stage.opts("E1") == [("200", "optIn", 0)]
    assert stage.vtn.opts["E1"][0].response.request_id == "second"
    say(stage, event(response_required=False))
    out = Answer(
        room=ROOM, instruction=InstructionId("tso/E1"), modification=0, opt="out", reason="battery lost"
    )
    stage.take(stage.session.answer([out], stage.now))
    stage.run(11)
    assert len(stage.opts("E1")) == 1  # never means never, also for a change of mind
    say(stage, event(response_required=True), request_id="fourth")
    assert stage.opts("E1")[1:] == [("200", "optOut", 0)]
    assert len(stage.instructions) == 1


def test_an_undecided_event_repeated_with_never_is_not_answered() -> None:
    stage = registered(Stage(opt=lambda instruction: None))
    stage.vtn.add_event(event())
    while not stage.facts_of(EventHeld):
        stage.now = max(stage.now, stage.session.next_wake() or 0.0)
        stage.take(stage.session.wake(stage.now, stage.meter))
    stage.vtn.modify("E1", modification=0, response_required=False)
    desk = stage.session._desk
    judge = Judge(state=desk.state, party=desk.party, program=desk.program, rng=desk.rng, now=stage.now)
    again = event(response_required=False)
    judge.distribute(DistributeEvent(request_id="r2", vtn_id="VTN-1", events=(again,)))
    stage.take(Turn(facts=tuple(judge.facts)))
    stage.run(30)
    assert stage.opts("E1") == [] and len(stage.instructions) == 1


def test_completed_with_a_new_modification_changes_nothing() -> None:
    stage = registered()
    say(stage, event())
    say(stage, replace(event(duration_s=60.0), status="completed", modification=1))
    assert stage.withdrawn == [] and len(stage.instructions) == 1  # rule 66
    assert stage.opts("E1")[1] == ("200", "optIn", 1)
    say(stage, replace(event(), status="active", modification=1))
    assert [i.modification for i in stage.instructions] == [0, 1]


def test_modification_numbers_may_jump() -> None:
    stage = registered()
    for modification in (0, 7, 4_000_000_000, 4_294_967_295):
        say(stage, replace(event(), modification=modification))
    assert [i.modification for i in stage.instructions] == [0, 7, 4_000_000_000, 4_294_967_295]
    say(stage, replace(event(), modification=4_294_967_294))
    assert stage.opts("E1")[-1][0] == "450"


# -- rules 19, 21, 41, 48, 60: lists ----------------------------------------------------------------------------


def test_of_an_event_that_stands_twice_the_highest_modification_counts() -> None:
    stage = registered()
    say(stage, event(), replace(event(), modification=2), replace(event(), modification=1), event("other"))
    assert [(i.event_id, i.modification) for i in stage.instructions] == [("E1", 2), ("other", 0)]
    assert stage.opts("E1") == [("200", "optIn", 2)]
    assert stage.opts("other") == [("200", "optIn", 0)]
    assert stage.session.refused() == {"event": 2}
    assert "stands twice" in stage.session.status().detail


def test_an_event_that_stands_twice_alike_is_answered_once() -> None:
    stage = registered()
    for _ in range(2):
        say(stage, event(), event())
    assert len(stage.instructions) == 1
    assert stage.opts("E1") == [("200", "optIn", 0)] * 2


def test_an_event_without_an_id_costs_only_itself() -> None:
    stage = registered()
    say(stage, event("known"))
    rewritten(stage, "<ei:eventID>gone<", "<ei:eventID><", event("gone"), event("good"))
    assert [i.event_id for i in stage.instructions] == ["known", "good"]
    assert stage.withdrawn == []  # the nameless one may be any
    assert "no readable id" in stage.session.status().detail


def test_a_payload_of_the_wrong_type_costs_only_its_event() -> None:
    stage = registered()
    status = (
        "<oadr:oadrPayloadResourceStatus><oadr:oadrOnline>true</oadr:oadrOnline>"
        "<oadr:oadrManualOverride>false</oadr:oadrManualOverride></oadr:oadrPayloadResourceStatus>"
    )
    number = "<ei:payloadFloat><ei:value>-7</ei:value></ei:payloadFloat>"
    rewritten(stage, number, status, event("odd", value=-7.0), event("good"))
    assert stage.opts("odd") == [("454", "optOut", 0)]
    assert [i.event_id for i in stage.instructions] == ["good"]


def test_identifiers_stay_text() -> None:
    stage = registered()
    names = ("007", "7", "1.0", "1", "true", "A&B<c>", " x ", "２")
    say(stage, *(event(name) for name in names), request_id="0042")
    assert [i.event_id for i in stage.instructions] == list(names)
    (created,) = stage.sent(CreatedEvent)
    assert [response.event_id for response in created.event_responses] == list(names)
    assert {response.request_id for response in created.event_responses} == {"0042"}


def test_an_empty_request_id_is_repeated_as_it_is() -> None:
    stage = registered()
    say(stage, event(), request_id="")
    (created,) = stage.sent(CreatedEvent)
    assert created.event_responses[0].request_id == ""  # rules 43, 44


def test_a_list_of_good_bad_and_ended_events_is_answered_one_by_one() -> None:
    stage = registered()
    say(stage, event("modified"), event("cancelled"), event("kept"), event("dropped"))
    say(
        stage,
        replace(event("modified"), modification=1),
        replace(event("cancelled"), modification=1, status="cancelled"),
        event("kept"),
        event("new"),
        event("foreign", ven_ids=["VEN-9"]),
        replace(event("unknown"), status="cancelled"),
        replace(event("past"), status="completed"),
        event("silent", response_required=False),
    )
    (created,) = stage.sent(CreatedEvent)[1:]
    answers = {r.event_id: (r.code, r.opt) for r in created.event_responses}
    assert answers == {
        "modified": ("200", "optIn"),
        "cancelled": ("200", "optIn"),
        "kept": ("200", "optIn"),
        "new": ("200", "optIn"),
        "foreign": ("462", "optOut"),
        "unknown": ("200", "optIn"),
        "past": ("200", "optOut"),
    }
    assert created.response.code == "200" and created.response.request_id == ""  # rules 25, 42
    assert stage.withdrawn == [("tso/dropped", "implied"), ("tso/cancelled", "cancelled")]


def test_the_order_of_the_list_does_not_matter() -> None:
    pending, running = event("later", start_at=START + 900), event("running", start_at=START - 60)
    for order in ((pending, running), (running, pending)):  # rule 15 binds the VTN, not us
        stage = registered()
        say(stage, *order)
        assert {i.event_id for i in stage.instructions} == {"later", "running"}


def test_the_list_asked_for_counts_like_the_list_polled() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.restart()  # asks with oadrRequestEvent (rule 23)
    stage.run(1)
    assert isinstance(stage.posts[-1][1].message, CreatedEvent | Poll | RequestEvent)
    assert stage.opts("E1") == [("200", "optIn", 0)]


# -- rules 21, 22, 48: targets ----------------------------------------------------------------------------------


def named(**more: object) -> Stage:
    """A stage whose session was given group, party and resource names."""
    stage = Stage()
    stage.make_session = lambda: VenSession(  # type: ignore[method-assign]
        room=ROOM,
        ven_name="centre",
        ven_id=None,
        program=stage.program,
        sites=SITES,
        rng=SeededRng(stage.seed),
        signing=False,
        resources={"R-1": SITES[0], "R-1b": SITES[0], "R-2": SITES[1], "R-3": SITES[2]},
        level_base_w=dict.fromkeys(SITES, 100_000.0),
        groups=["G-1", "G-2"],
        parties=["P-1"],
        **more,  # type: ignore[arg-type]
    )
    stage.session = stage.make_session()
    return registered(stage)


@pytest.mark.parametrize(
    ("targets", "scope"),
    [
        (Targets(), ()),
        (Targets(group_ids=("G-1",)), ()),
        (Targets(group_ids=("G-9", "G-2")), ()),
        (Targets(group_ids=("G-9",)), None),
        (Targets(party_ids=("P-1",)), ()),
        (Targets(party_ids=("P-9",)), None),
        (Targets(ven_ids=("VEN-9",), group_ids=("G-1",)), ()),
        (Targets(group_ids=("G-9",), resource_ids=("R-1b",)), (SITES[0],)),
        (Targets(resource_ids=("R-1", "R-1b", "R-3")), (SITES[0], SITES[2])),
        (Targets(resource_ids=("tokyo",)), None),  # the utility's names replace ours
        (Targets(device_classes=("Thermostat",)), None),
        (Targets(others=("pnode",)), None),
    ],
)
def test_groups_parties_and_resources_are_or_ed(targets: Targets, scope: tuple[str, ...] | None) -> None:
    stage = named()
    asked = replace(event(), targets=targets)
    if targets.others:  # such criteria cannot be written by ours, only read
        asked = replace(event(), targets=Targets(party_ids=("nobody",)))
    say(stage, asked)
    if scope is None:
        assert stage.opts("E1") == [("462", "optOut", 0)] and stage.instructions == []
    else:
        assert [i.scope for i in stage.instructions] == [scope]


def test_a_refused_target_names_what_we_are_and_what_was_found() -> None:
    stage = named()
    say(stage, replace(event(), targets=Targets(group_ids=("G-9",), party_ids=("P-9",))))
    (created,) = stage.sent(CreatedEvent)
    said = created.event_responses[0].description
    assert all(name in said for name in ("VEN-1", "R-1b", "G-1", "P-1", "'G-9'", "'P-9'"))


def test_a_site_with_two_names_is_reported_once() -> None:
    stage = named()
    assert sorted(stage.vtn.offered) == ["R-1", "R-2", "R-3", "portfolio"]


def test_a_program_with_load_capacities_needs_the_contracted_import() -> None:
    capacity = {"name": "LOAD_CONTROL", "type": "x-loadControlCapacity", "meaning": "capacity"}
    with pytest.raises(ConfigError, match="contracted import; missing for tokyo, chubu, kansai"):
        Stage(program=program(signals=[capacity], levels=[]))


# -- remarks ----------------------------------------------------------------------------------------------------


def detail(*events: Event, rules: dict[str, object] | None = None) -> str:
    stage = registered(Stage(program=program(**(rules or {}))))
    say(stage, *events)
    return stage.session.status().detail


@pytest.mark.parametrize(
    ("status", "start_s", "duration_s", "startafter_s", "said"),
    [
        ("active", 600, HOUR, 0, "the VTN says active, by our clock it begins in 5"),
        ("active", 14, HOUR, 0, ""),
        ("active", -600, 300, 0, "the VTN says active, by our clock it ended 3"),
        ("active", -600, 300, 400, ""),
        ("far", -60, HOUR, 0, "the VTN says far, by our clock it began 7"),
        ("near", -60, HOUR, 120, ""),
        ("near", 600, HOUR, 0, ""),
        ("none", -2, HOUR, 0, "the VTN says none"),
        ("completed", -60, HOUR, 0, "the VTN says completed, by our clock it ends in 3"),
        ("completed", -60, 0, 0, "the VTN says completed, the event has no end"),
        ("completed", -600, 300, 0, ""),
        ("cancelled", -600, 300, 0, ""),
    ],
)
def test_a_status_against_our_clock_is_a_remark_and_no_refusal(
    status: str, start_s: float, duration_s: float, startafter_s: float, said: str
) -> None:
    stage = registered()
    asked = event(start_at=START + start_s, duration_s=float(duration_s), startafter_s=float(startafter_s))
    say(stage, replace(asked, status=status))
    found = stage.session.status().detail
    assert said in found if said else "the VTN says" not in found
    assert stage.opts("E1")[0][0] == "200" and stage.session.refused() == {}


def test_a_remark_goes_with_the_list_that_it_was_about() -> None:
    stage = registered()
    say(stage, replace(event(), status="active"))
    assert "the VTN says active" in stage.session.status().detail
    say(stage, event())
    assert stage.session.status().detail == ""


def test_an_event_from_the_future_is_taken_with_a_remark() -> None:
    assert "in our future" in detail(event(created_at=START + HOUR))
    assert detail(event(created_at=START)) == ""


def test_a_current_value_while_pending_is_a_remark() -> None:
    simple = event(name="SIMPLE", type="level", value=1.0, unit=None)
    (signal,) = simple.signals
    for value, said in ((1.0, True), (0.0, False), (None, False)):
        asked = replace(simple, signals=(replace(signal, current_value=value),))
        assert ("currentValue" in detail(asked)) is said  # rule 14


def test_a_setpoint_with_a_ramp_is_asked_in_full_and_said() -> None:
    asked = replace(event(type="setpoint", value=1000.0), ramp_up_s=300.0)
    stage = registered()
    say(stage, asked)
    assert len(stage.instructions[0].phases) == 1
    assert "a setpoint has no ramp" in stage.session.status().detail
    assert "no ramp" not in detail(replace(event(), ramp_up_s=300.0))


def test_a_notice_that_came_late_is_a_remark_on_first_sight_alone() -> None:
    stage = registered()
    late = replace(event(), notification_s=900.0)
    say(stage, late)
    assert "told 590 s before its start, its notification is 900 s" in stage.session.status().detail
    assert stage.opts("E1") == [("200", "optIn", 0)]
    say(stage, late)
    assert stage.session.status().detail == ""
    assert detail(replace(event(), notification_s=300.0)) == ""


def test_overlaps_in_one_market_context_are_a_remark() -> None:
    other = "http://other.example/program"
    assert "'A' and 'B' overlap in one market context" in detail(event("A"), event("B", start_at=START + 900))
    assert detail(event("A"), event("B", market_context=other)) == ""
    assert detail(event("A"), event("B", start_at=START + 600 + HOUR)) == ""
    assert "overlap" in detail(event("A", duration_s=0.0), event("B", start_at=START + 90 * 86400))
    assert detail(event("A"), replace(event("B"), status="cancelled")) == ""


def test_many_remarks_are_cut() -> None:
    found = detail(*(event(f"E{index:04}", start_at=START + 600 + index) for index in range(40)))
    assert "34 more remarks on the list of events" in found and len(found) < 1500


# -- status by our clock ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ramp_up_s", "after_s", "status"),
    [
        (None, 20, "far"),
        (None, 599, "far"),
        (300.0, 299, "far"),
        (300.0, 301, "near"),
        (-300.0, 599, "far"),
        (300.0, 601, "active"),
        (None, 601, "active"),
        (None, 600 + HOUR - 1, "active"),
        (None, 600 + HOUR + 1, "completed"),
    ],
)
def test_far_near_active_and_completed_are_ours(ramp_up_s: float | None, after_s: float, status: str) -> None:
    stage = registered()
    say(stage, replace(event(), ramp_up_s=ramp_up_s, notification_s=900.0, status="none"))
    held = stage.session._desk.state.events["E1"]
    assert held.status(START + after_s) == status
    assert (held.notification_s, held.ramp_up_s) == (900.0, ramp_up_s or 0.0)
    stage.restart()
    assert stage.session._desk.state.events["E1"] == held


def test_an_open_event_is_active_until_it_is_cancelled() -> None:
    stage = registered()
    say(stage, event(duration_s=0.0))
    held = stage.session._desk.state.events["E1"]
    assert held.status(START + 30 * 86400) == "active"
    say(stage, replace(event(duration_s=0.0), status="cancelled", modification=1))
    assert stage.session._desk.state.events["E1"].status(stage.now) == "cancelled"


# -- rule 30 ----------------------------------------------------------------------------------------------------------


def test_the_draw_outlives_a_modification_that_is_refused() -> None:
    """Otherwise the corrected event would start in every VEN of the programme in the same second."""
    stage, late = registered(), replace(event(), startafter_s=600.0)
    unknown = replace(late, signals=(replace(late.signals[0], name="x-nobody-knows"),))
    for modification, one in enumerate((unknown, late, unknown, late)):
        say(stage, replace(one, modification=modification))
    draws = [fact.offset_s for fact in stage.facts_of(EventHeld)]
    assert len(draws) == 4
    assert len(set(draws)) == 1
    assert draws[0] > 1.0
    assert [one.start_at - late.start_at for one in stage.instructions] == pytest.approx([draws[0]] * 2)


def test_what_a_vtn_writes_for_people_is_kept_and_shown() -> None:
    stage = registered()
    stage.vtn.add_event(replace(event(), comment="call 42"))
    stage.run(12)
    stage.vtn.modify(
        "E1", status="cancelled", modified_at=stage.now - 5.0, modification_reason="x" * 1000, comment=""
    )
    stage.run(12)
    stage.restart()
    (row,) = operate(stage.session, VenRequest(verb="events"), stage.now)[1]["events"]  # type: ignore[misc,union-attr]  # JSON
    assert row["comment"] == "" and row["modification_reason"] == "x" * 300
    assert row["modified"] == write_date(stage.now - 17.0)
    first = next(fact for fact in stage.facts_of(EventHeld) if fact.modification == 0)
    assert first.comment == "call 42"


def test_a_modification_from_the_future_and_a_baseline_of_the_vtn_are_named() -> None:
    """Rule 46: optional elements that are received are understood."""
    stage = registered()
    stage.vtn.add_event(replace(event(), modified_at=stage.now + 600.0))
    given = (
        b"<ei:eiEventBaseline><xcal:dtstart><xcal:date-time>2026-01-01T00:00:00Z</xcal:date-time></xcal:dtstart>"
        b"<xcal:duration><xcal:duration>PT1H</xcal:duration></xcal:duration><strm:intervals><ei:interval>"
        b"<xcal:duration><xcal:duration>PT1H</xcal:duration></xcal:duration><xcal:uid><xcal:text>0</xcal:text></xcal:uid>"
        b"<ei:signalPayload><ei:payloadFloat><ei:value>5</ei:value></ei:payloadFloat></ei:signalPayload></ei:interval>"
        b"</strm:intervals><ei:baselineID>B1</ei:baselineID><ei:baselineName>ten of ten</ei:baselineName>"
        b"</ei:eiEventBaseline></ei:eiEventSignals>"
    )
    stage.rewrite = lambda body: body.replace(b"</ei:eiEventSignals>", given)
    stage.run(12)
    detail = stage.session.status().detail
    assert "event 'E1': modified 5" in detail and "s in our future" in detail
    assert "carries the VTN's baseline 'ten of ten', delivery is measured against our own" in detail
    assert stage.opts("E1")[-1][:2] == ("200", "optIn")
