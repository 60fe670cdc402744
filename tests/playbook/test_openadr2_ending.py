"""The end of events by playbook: explicit and implied cancellation, and its randomised termination (rules 36, 59-61, 65)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.playbook.test_openadr2_events import say
from tests.playbook.test_openadr2_session import event
from tests.playbook.ven_stage import START, Stage, program, registered
from vpp_gateway.catalogue import Told
from vpp_gateway.domain.command import Answer
from vpp_gateway.domain.fact import Instructed, Withdrawn
from vpp_gateway.domain.instruction import InstructionId
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.northbound.openadr2 import operate_view as view
from vpp_gateway.northbound.openadr2.facts import FACT_TYPES, EventDropped, EventEnded, EventEnding, EventHeld
from vpp_gateway.northbound.openadr2.messages import CreatedEvent
from vpp_gateway.northbound.openadr2.operate import VenRequest
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.state import VenState

HOUR = 3600.0
STARTAFTER = 600.0


def active(rules: ProgramProfile | None = None, seed: int = 1, **changes: object) -> Stage:
    """A stage with E1 active by our clock, whatever its offset."""
    stage = registered(Stage(program=rules or program(), seed=seed))
    stage.vtn.add_event(event(**{"startafter_s": STARTAFTER, **changes}))
    stage.run(600 + STARTAFTER + 60)
    assert stage.session._desk.state.events["E1"].status(stage.now) == "active"
    return stage


def end_of(stage: Stage, how: str) -> float:
    """Cancel E1 and hear of it; when that was."""
    stage.vtn.cancel("E1") if how == "cancelled" else stage.vtn.drop("E1")
    stage.run(11)
    (ending,) = stage.facts_of(EventEnding)
    assert ending.cause == how
    return ending.at


@pytest.mark.parametrize("how", ["cancelled", "implied"])
def test_the_end_of_an_active_event_with_startafter_is_randomised(how: str) -> None:
    stage = active()
    heard_at = end_of(stage, how)
    assert stage.withdrawn == []
    (ending,) = stage.facts_of(EventEnding)
    assert heard_at < ending.ending_at < heard_at + STARTAFTER
    assert "ends by draw" in stage.session.status().detail
    stage.run(ending.ending_at - stage.now - 0.1)
    assert stage.withdrawn == []
    stage.run(0.2)
    assert stage.withdrawn == [("tso/E1", how)]
    assert stage.facts_of(Withdrawn)[0].at == pytest.approx(ending.ending_at)
    assert "draw" not in stage.session.status().detail
    stage.run(HOUR)
    assert len(stage.withdrawn) == 1
    assert len(stage.facts_of(EventEnded)) == (how == "cancelled")
    assert len(stage.facts_of(EventDropped)) == (how == "implied")


def test_the_randomised_end_spreads_over_startafter() -> None:
    delays = []
    for seed in range(12):
        stage = active(seed=seed)
        heard_at = end_of(stage, "cancelled")
        delays.append(stage.facts_of(EventEnding)[0].ending_at - heard_at)
    assert min(delays) < 0.25 * STARTAFTER and max(delays) > 0.75 * STARTAFTER
    assert len({round(delay) for delay in delays}) > 8


def test_a_randomised_end_is_answered_at_once() -> None:
    stage = active()
    end_of(stage, "cancelled")
    assert stage.withdrawn == []
    assert stage.opts("E1")[-1] == ("200", "optIn", 1)  # rule 36: will cancel


@pytest.mark.parametrize("how", ["cancelled", "implied"])
def test_a_randomised_end_survives_restarts(how: str) -> None:
    stage = active()
    end_of(stage, how)
    stage.restart()
    (ending,) = stage.facts_of(EventEnding)
    due = stage.session.next_wake()
    assert due is not None and due <= ending.ending_at
    stage.run(STARTAFTER)
    assert stage.withdrawn == [("tso/E1", how)]
    assert stage.facts_of(Withdrawn)[0].at == pytest.approx(ending.ending_at)
    stage.restart()
    stage.run(STARTAFTER)
    assert len(stage.withdrawn) == 1


def test_a_randomised_end_that_fell_due_while_we_were_down_comes_at_once() -> None:
    stage = active()
    end_of(stage, "implied")
    (ending,) = stage.facts_of(EventEnding)
    stage.now = ending.ending_at + 100
    stage.restart()
    stage.run(0.5)
    assert stage.withdrawn == [("tso/E1", "implied")]


def test_it_ends_while_the_vtn_is_away() -> None:
    stage = active()
    end_of(stage, "cancelled")
    stage.down = "unreachable"
    stage.run(STARTAFTER)
    assert stage.withdrawn == [("tso/E1", "cancelled")]


@pytest.mark.parametrize("how", ["cancelled", "implied"])
def test_a_higher_modification_undoes_a_randomised_end(how: str) -> None:
    stage = active()
    first = stage.instructions[0]
    end_of(stage, how)
    stage.vtn.add_event(replace(event(startafter_s=STARTAFTER), modification=2, status="active"))
    stage.run(11)
    assert [i.modification for i in stage.instructions] == [0, 2]
    assert stage.instructions[1].start_at == first.start_at  # the same offset (rule 30)
    assert stage.opts("E1")[-1] == ("200", "optIn", 2)
    stage.run(STARTAFTER + 60)
    assert stage.withdrawn == [] and stage.facts_of(EventEnded) == stage.facts_of(EventDropped) == []


def test_an_event_listed_again_after_an_implied_cancellation_goes_on_when_it_has_not_ended() -> None:
    stage = active()
    end_of(stage, "implied")
    stage.vtn.add_event(replace(event(startafter_s=STARTAFTER), status="active"))
    stage.run(11)
    stage.run(STARTAFTER + 60)
    assert stage.withdrawn == [] and len(stage.instructions) == 1
    assert stage.opts("E1") == [("200", "optIn", 0)] * 2


def test_an_event_listed_again_after_an_implied_cancellation_is_new_when_it_has_ended() -> None:
    stage = active()
    end_of(stage, "implied")
    stage.run(STARTAFTER)
    stage.vtn.add_event(replace(event(startafter_s=STARTAFTER), status="active"))
    stage.run(11)
    assert stage.withdrawn == [("tso/E1", "implied")]
    assert [i.modification for i in stage.instructions] == [0, 0]
    assert stage.opts("E1") == [("200", "optIn", 0)] * 2


def test_a_cancellation_repeated_or_dropped_keeps_the_moment_that_was_drawn() -> None:
    stage = active()
    end_of(stage, "cancelled")
    (first,) = stage.facts_of(EventEnding)
    stage.vtn.modify("E1", modification=1)
    stage.run(11)
    stage.vtn.cancel("E1")
    stage.run(11)
    stage.vtn.drop("E1")
    stage.run(11)
    assert {fact.ending_at for fact in stage.facts_of(EventEnding)} == {first.ending_at}
    assert stage.opts("E1")[1:] == [("200", "optIn", 1), ("200", "optIn", 1), ("200", "optIn", 2)]
    assert stage.withdrawn == []
    stage.run(STARTAFTER)
    assert stage.withdrawn == [("tso/E1", "cancelled")]


def test_an_implied_cancellation_that_is_then_spelled_out_keeps_its_moment() -> None:
    stage = active()
    end_of(stage, "implied")
    (first,) = stage.facts_of(EventEnding)
    stage.vtn.add_event(replace(event(), modification=1, status="cancelled"))
    stage.run(11)
    assert {fact.ending_at for fact in stage.facts_of(EventEnding)} == {first.ending_at}
    stage.run(STARTAFTER)
    assert stage.withdrawn == [("tso/E1", "cancelled")]


def test_an_event_that_ends_by_itself_before_its_randomised_end_is_not_withdrawn() -> None:
    stage = registered()
    stage.vtn.add_event(event(duration_s=900.0, startafter_s=800.0))
    stage.run(600 + 800 + 30)
    end_at = stage.instructions[0].end_at
    assert end_at is not None
    stage.run(end_at - 20 - stage.now)
    stage.vtn.cancel("E1")
    stage.run(1000)
    (ending,) = stage.facts_of(EventEnding)
    assert ending.ending_at > end_at and stage.withdrawn == []
    assert len(stage.facts_of(EventEnded)) == 1


@pytest.mark.parametrize("how", ["cancelled", "implied"])
def test_an_event_that_has_not_begun_ends_at_once(how: str) -> None:
    stage = registered()
    stage.vtn.add_event(event(startafter_s=STARTAFTER))
    stage.run(30)
    stage.vtn.cancel("E1") if how == "cancelled" else stage.vtn.drop("E1")
    stage.run(11)
    assert stage.withdrawn == [("tso/E1", how)] and stage.facts_of(EventEnding) == []


@pytest.mark.parametrize("how", ["cancelled", "implied"])
def test_an_active_event_without_startafter_ends_at_once(how: str) -> None:
    stage = active(startafter_s=0.0)
    stage.vtn.cancel("E1") if how == "cancelled" else stage.vtn.drop("E1")
    stage.run(11)
    assert stage.withdrawn == [("tso/E1", how)] and stage.facts_of(EventEnding) == []


def test_the_program_can_switch_the_randomised_end_off() -> None:
    stage = active(program(randomise_cancellation=False))
    stage.vtn.cancel("E1")
    stage.run(11)
    assert stage.withdrawn == [("tso/E1", "cancelled")] and stage.facts_of(EventEnding) == []


def test_an_event_that_we_opted_out_of_ends_at_once() -> None:
    stage = active()
    out = Answer(
        room=stage.session.room, instruction=InstructionId("tso/E1"), modification=0, opt="out", reason="lost"
    )
    stage.take(stage.session.answer([out], stage.now))
    stage.run(11)
    stage.vtn.cancel("E1")
    stage.run(11)
    assert stage.withdrawn == [("tso/E1", "cancelled")] and stage.facts_of(EventEnding) == []


def test_no_change_of_mind_is_told_on_an_event_that_is_ending() -> None:
    stage = active()
    end_of(stage, "implied")
    said = len(stage.sent(CreatedEvent))
    out = Answer(
        room=stage.session.room, instruction=InstructionId("tso/E1"), modification=0, opt="out", reason="lost"
    )
    stage.take(stage.session.answer([out], stage.now))
    stage.run(30)
    assert len(stage.sent(CreatedEvent)) == said


def test_a_refused_modification_of_an_event_that_is_ending_ends_it_at_once() -> None:
    stage = active()
    end_of(stage, "cancelled")
    stage.vtn.add_event(replace(event(), modification=2, duration_s=2 * HOUR))
    stage.run(11)
    assert stage.opts("E1")[-1] == ("454", "optOut", 2)
    assert stage.withdrawn == [("tso/E1", "cancelled")]
    stage.run(STARTAFTER + 60)
    assert len(stage.withdrawn) == 1


def test_leaving_ends_what_is_still_ending() -> None:
    stage = active()
    end_of(stage, "cancelled")
    stage.take(stage.session.leave(stage.now))
    stage.run(5)
    assert stage.withdrawn == [("tso/E1", "unregistered")]
    stage.run(STARTAFTER)
    assert len(stage.withdrawn) == 1


def test_replay_of_an_ending_gives_the_same_state() -> None:
    stage = active()
    end_of(stage, "cancelled")
    live = vars(stage.session._desk.state)
    stage.restart()
    assert vars(stage.session._desk.state) == live


def test_the_facts_of_an_ending_are_the_same_after_the_journal() -> None:
    stage = active()
    end_of(stage, "cancelled")
    stage.run(STARTAFTER)
    codec = FactCodec(FACT_TYPES)
    own = [fact for fact in stage.facts if isinstance(fact, EventHeld | EventEnding | EventEnded)]
    assert {type(fact) for fact in own} == {EventHeld, EventEnding, EventEnded}
    assert [codec.decode(*codec.encode(fact)) for fact in own] == own
    kind, body = codec.encode(own[0])
    new = ("start_at", "active_until", "notification_s", "ramp_up_s", "recovery_s", "market_context", "test")
    older = {key: value for key, value in json.loads(body).items() if key not in (*new, "priority")}
    read = codec.decode(kind, json.dumps(older).encode())
    assert isinstance(read, EventHeld) and read.start_at is None and read.event_id == "E1"


def test_a_journal_from_before_the_times_of_events_were_kept_can_be_read() -> None:
    state = VenState()
    state.apply(
        EventHeld(
            at=START,
            room=Stage().session.room,
            event_id="old",
            modification=0,
            request_id="r",
            answer_required=True,
            instructed=True,
            cancelled=False,
            end_at=START + HOUR,
            startafter_s=60.0,
            offset_s=3.0,
        )
    )
    assert state.events["old"].status(START) == "active" and state.events["old"].running


# -- odd combinations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("modification", "code"), [(3, "200"), (4, "200"), (9, "200"), (2, "450")])
def test_cancellation_with_an_equal_or_higher_modification_is_followed(modification: int, code: str) -> None:
    stage = registered()
    stage.vtn.add_event(replace(event(), modification=3))
    stage.run(30)
    stage.vtn.modify("E1", modification=modification, status="cancelled")
    stage.run(30)
    assert stage.withdrawn == ([("tso/E1", "cancelled")] if code == "200" else [])
    assert stage.opts("E1")[1] == (code, "optIn", modification)


def test_a_cancelled_modification_does_not_come_back_but_a_higher_one_does() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    stage.vtn.modify("E1", modification=5, status="cancelled")
    stage.run(30)
    stage.vtn.modify("E1", modification=5, status="far")
    stage.run(30)
    assert stage.opts("E1")[2][0] == "450" and len(stage.instructions) == 1
    stage.vtn.modify("E1", modification=4)
    stage.run(30)
    assert stage.opts("E1")[3][0] == "450"  # rule 58, also for a cancelled event
    stage.vtn.modify("E1", modification=6)
    stage.run(30)
    assert [i.modification for i in stage.instructions] == [0, 6]
    assert stage.opts("E1")[4] == ("200", "optIn", 6)


def test_a_second_cancellation_raises_the_bar() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    stage.vtn.cancel("E1")
    stage.run(30)
    stage.vtn.modify("E1", modification=7)
    stage.run(30)
    stage.vtn.modify("E1", modification=7, status="far")
    stage.run(30)
    assert stage.opts("E1")[-1][0] == "450"
    assert stage.withdrawn == [("tso/E1", "cancelled")]


def test_after_an_implied_cancellation_the_same_modification_is_a_new_event() -> None:
    stage = registered()
    stage.vtn.add_event(event())
    stage.run(30)
    stage.vtn.drop("E1")
    stage.run(30)
    stage.vtn.add_event(event())
    stage.run(30)
    assert stage.withdrawn == [("tso/E1", "implied")]
    assert [i.modification for i in stage.instructions] == [0, 0]
    assert stage.opts("E1") == [("200", "optIn", 0)] * 2


def test_an_event_whose_active_period_is_over_leaves_the_list_without_harm_to_its_recovery() -> None:
    stage = registered()
    stage.vtn.add_event(replace(event(duration_s=60.0), recovery_s=300.0))
    stage.run(670)
    stage.vtn.drop("E1")
    stage.run(300)
    assert stage.instructions[0].end_at == START + 600 + 60 + 300
    assert stage.withdrawn == []


def in_recovery(startafter_s: float) -> Stage:
    stage = registered()
    stage.vtn.add_event(replace(event(duration_s=300.0, startafter_s=startafter_s), recovery_s=900.0))
    stage.run(600 + 300 + startafter_s + 60)
    assert stage.session._desk.state.events["E1"].status(stage.now) == "completed"
    return stage


def test_a_cancellation_in_the_recovery_ends_it_at_once() -> None:
    stage = in_recovery(startafter_s=100.0)
    stage.vtn.cancel("E1")
    stage.run(11)
    assert stage.withdrawn == [("tso/E1", "cancelled")] and stage.facts_of(EventEnding) == []


def test_a_modification_in_the_recovery_lets_it_go_on() -> None:
    stage = in_recovery(startafter_s=0.0)
    say(stage, replace(event(duration_s=300.0), recovery_s=900.0, modification=1, status="active"))
    assert stage.withdrawn == [] and [i.modification for i in stage.instructions] == [0, 1]
    assert stage.instructions[1].end_at == START + 600 + 300 + 900


def test_a_recovery_is_not_begun_for_its_own_sake() -> None:
    stage = registered()
    say(stage, replace(event(start_at=START - 400, duration_s=300.0), recovery_s=900.0, status="active"))
    assert stage.instructions == [] and stage.opts("E1") == [("200", "optOut", 0)]


def test_every_order_of_withdrawal_follows_an_instruction() -> None:
    """No withdrawal without an instruction before it, and none twice, over a day of changes."""
    stage = active()
    for round in range(1, 4):
        stage.vtn.cancel("E1")
        stage.run(STARTAFTER / 3)
        stage.vtn.modify("E1", status="active")
        stage.run(STARTAFTER)
        stage.vtn.drop("E1")
        stage.run(STARTAFTER + 20)
        stage.vtn.add_event(replace(event(startafter_s=STARTAFTER), modification=50 * round, status="active"))
        stage.run(20)
    running = False
    for fact in stage.facts:
        if isinstance(fact, Instructed):
            running = True
        if isinstance(fact, Withdrawn):
            assert running
            running = False


# -- what the operator sees ------------------------------------------------------------------------------------


def row(stage: Stage) -> dict[str, object]:
    (found,) = view.events(stage.session.desk, stage.now)["events"]  # type: ignore[union-attr]
    assert isinstance(found, dict)
    return dict(found)


def test_the_operator_sees_where_an_event_stands() -> None:
    stage = registered()
    say(stage, replace(event(), ramp_up_s=300.0, test=True))
    assert (row(stage)["status"], row(stage)["start_at"], row(stage)["test"]) == ("far", START + 600, True)
    stage.run(400)
    assert row(stage)["status"] == "near"
    stage.run(300)
    assert row(stage)["status"] == "active"
    stage.run(HOUR)
    assert row(stage)["status"] == "completed"


def test_the_operator_sees_when_a_cancelled_event_ends_and_cannot_opt_on_it() -> None:
    stage = active()
    end_of(stage, "implied")
    (ending,) = stage.facts_of(EventEnding)
    assert (row(stage)["status"], row(stage)["ending_at"]) == ("cancelled", ending.ending_at)
    with pytest.raises(Told, match="cancelled"):
        stage.session.operate(VenRequest(verb="opt", event="E1", opt="optOut"), stage.now)


def test_a_refused_event_has_no_place_in_time() -> None:
    stage = registered()
    say(stage, event(ven_ids=["VEN-9"]))
    assert row(stage)["status"] == "none"
