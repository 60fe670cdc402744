"""The VTN is silent: what the program says becomes of accepted events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.playbook.ven_stage import ROOM, START, Stage, program, registered
from vpp_gateway.domain.command import Answer
from vpp_gateway.northbound.openadr2.facts import EventReleased
from vpp_gateway.sim.vtn import dispatch

SILENCE_S = 600.0


def silent_stage(release_after_s: float | None, **more: Any) -> Stage:
    """Registered, one event of two hours under way, then the line is cut."""
    rules = {"loss_of_communication": {"release_after_s": release_after_s}, **more}
    stage = registered(Stage(program=program(**rules)))
    stage.vtn.add_event(
        dispatch("E1", start_at=START + 60, duration_s=7200, value=-1e6, startafter_s=300, created_at=START)
    )
    stage.run(120)
    assert len(stage.instructions) == 1
    stage.down = "timeout"
    return stage


def test_by_default_silence_ends_nothing() -> None:
    stage = silent_stage(None)
    stage.run(6000)
    assert stage.session.status().state == "lost"
    assert stage.withdrawn == []


def test_events_are_let_go_after_the_programs_silence() -> None:
    stage = silent_stage(SILENCE_S)
    contact_at = stage.session.status().last_contact_at
    assert contact_at is not None
    stage.run(contact_at + SILENCE_S - 1.0 - stage.now)
    assert stage.withdrawn == []
    stage.run(2.0)
    assert stage.withdrawn == [("tso/E1", "silence")]
    (released,) = stage.facts_of(EventReleased)
    assert released.at == contact_at + SILENCE_S and released.silent_s == pytest.approx(SILENCE_S)
    stage.run(3000)
    assert len(stage.withdrawn) == 1, "once"


def test_a_returning_vtn_finds_its_event_taken_up_again_with_the_same_start() -> None:
    stage = silent_stage(SILENCE_S)
    stage.run(SILENCE_S + 60)
    stage.down = ""
    stage.run(120)
    first, again = stage.instructions
    assert (again.id, again.modification) == (first.id, first.modification)
    assert again.phases[0].start_at == first.phases[0].start_at  # rule 30: drawn once
    assert stage.opts("E1")[-1] == ("200", "optIn", 0)
    stage.vtn.cancel("E1")
    stage.run(400)  # rule 65: its end is drawn as well
    assert stage.withdrawn == [("tso/E1", "silence"), ("tso/E1", "cancelled")]


def test_a_released_event_that_is_no_longer_listed_is_dropped_without_a_word() -> None:
    stage = silent_stage(SILENCE_S)
    stage.run(SILENCE_S + 60)
    stage.vtn.drop("E1")
    stage.down = ""
    stage.run(120)
    assert stage.withdrawn == [("tso/E1", "silence")]
    assert len(stage.instructions) == 1


def test_what_was_opted_out_of_is_not_taken_up_again_by_silence() -> None:
    stage = Stage(program=program(loss_of_communication={"release_after_s": SILENCE_S}))
    stage.opt = lambda one: Answer(
        room=ROOM, instruction=one.id, modification=one.modification, opt="out", reason="no room"
    )
    registered(stage)
    stage.vtn.add_event(dispatch("E1", start_at=START + 60, duration_s=7200, value=-1e6, created_at=START))
    stage.run(120)
    stage.down = "timeout"
    stage.run(SILENCE_S * 2)
    stage.down = ""
    stage.run(120)
    assert stage.withdrawn == [] and len(stage.instructions) == 1
    assert {opt for _, opt, _ in stage.opts("E1")} == {"optOut"}


def test_a_restart_does_not_let_go_early_but_counts_anew() -> None:
    stage = silent_stage(SILENCE_S)
    stage.run(SILENCE_S - 100)
    stage.restart()
    stage.run(SILENCE_S - 100)
    assert stage.withdrawn == []
    stage.run(200)
    assert stage.withdrawn == [("tso/E1", "silence")]
    stage.restart()
    stage.run(SILENCE_S * 2)
    assert len(stage.withdrawn) == 1
