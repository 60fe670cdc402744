"""Messages for another VEN (rule 21) in place of an answer: refused, and the session goes on."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from tests.playbook.test_openadr2_events import say
from tests.playbook.test_openadr2_session import event
from tests.playbook.ven_stage import Stage, registered
from vpp_gateway.northbound.openadr2.facts import Settled
from vpp_gateway.northbound.openadr2.messages import (
    CreatedEvent,
    Message,
    Poll,
    RequestReregistration,
    Response,
)
from vpp_gateway.northbound.openadr2.report_words import RegisteredReport, RegisterReport


def misnamed(said: Message) -> Message:
    """A VTN that writes its own name for us."""
    if isinstance(said, Response | RegisteredReport):
        return replace(said, ven_id="centre-of-another")
    return said


def test_an_answer_that_is_never_taken_ends_before_it_silences_the_polls() -> None:
    stage = registered()
    stage.mangle = misnamed
    say(stage, event())
    stage.run(600)
    times = [at for at, post in stage.posts if isinstance(post.message, CreatedEvent)]
    waits = [after - before for before, after in pairwise(times)]
    assert len(times) == 5
    assert waits[-1] > 2 * waits[0]
    assert [fact.outcome for fact in stage.facts_of(Settled)] == ["given-up"]
    assert [(instruction.event_id) for instruction in stage.instructions] == ["E1"]
    assert sum(at > times[-1] and isinstance(post.message, Poll) for at, post in stage.posts) > 50


def test_metadata_that_are_never_taken_end_as_well() -> None:
    stage = Stage(mangle=misnamed)
    stage.run(600)
    assert len(stage.sent(RegisterReport)) == 5
    assert stage.session.status().state == "registered"
    assert len(stage.sent(Poll)) > 40


def test_polls_keep_their_time() -> None:
    stage = registered()
    stage.mangle = misnamed
    stage.run(600)
    times = [at for at, post in stage.posts if isinstance(post.message, Poll)]
    assert all(10.0 <= after - before <= 10.5 for before, after in pairwise(times))


@pytest.mark.parametrize("ven_id", ["VEN-10", "ven-1", " VEN-1", ""])
def test_a_request_to_register_again_that_is_for_another_is_answered(ven_id: str) -> None:
    stage = registered()
    stage.vtn.queue(RequestReregistration(ven_id=ven_id))
    stage.run(20)
    (answer,) = stage.sent(Response)
    assert answer.response.code == "452"
    assert answer.ven_id == "VEN-1"
    assert stage.session.status().state == "registered"


def test_an_answer_with_an_empty_ven_id_is_borne() -> None:
    stage = registered()
    stage.mangle = lambda said: replace(said, ven_id="") if isinstance(said, Response) else said
    say(stage, event())
    stage.run(60)
    assert [fact.outcome for fact in stage.facts_of(Settled)] == ["taken"]
    assert stage.session.refused() == {}
