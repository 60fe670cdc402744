"""Every hostile message as the answer to a poll of a registered VEN with an accepted event: the session says what was
wrong, answers what has an answer, keeps what it accepted, and takes the next good message."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.playbook.ven_stage import Stage, program, registered
from tests.unit.openadr2_hostile import ABSURD, ANSWERED, HOSTILE, KEPT, TAKEN, VTN_ID
from vpp_gateway.northbound.openadr2.messages import CreatedEvent, Failed, Poll, Post, Received
from vpp_gateway.northbound.openadr2.xml_intake import WireError
from vpp_gateway.sim.vtn import dispatch

PACE_S = 10.0


@dataclass
class HostileStage(Stage):
    """Its VTN answers the next poll with `raw`."""

    raw: bytes | None = None

    def carry(self, post: Post) -> Received | Failed:
        if self.raw is None or not isinstance(post.message, Poll):
            return super().carry(post)
        raw, self.raw = self.raw, None
        try:
            message = self.codec.decode(raw, self.now).message
        except WireError as error:
            return Failed(number=post.number, cause="refused", detail=str(error))
        return Received(number=post.number, message=message)


@pytest.fixture
def stage() -> HostileStage:
    made = HostileStage(program=program(polling={"poll_s": PACE_S, "jitter_share": 0.0}))
    registered(made)
    assert made.vtn.vtn_id == VTN_ID
    made.vtn.add_event(KEPT)
    made.run(60)
    assert made.opts("kept") == [("200", "optIn", 0)]
    return made


def throw(stage: HostileStage, raw: bytes) -> list[tuple[str, str, str]]:
    """What was answered meanwhile to other events than the kept one: (event, code, opt)."""
    heard = len(stage.sent(CreatedEvent))
    stage.raw = raw
    stage.run(3 * PACE_S)
    assert stage.raw is None
    answers = [
        (one.event_id, one.code, one.opt)
        for message in stage.sent(CreatedEvent)[heard:]
        for one in message.event_responses
    ]
    assert {answer[1:] for answer in answers if answer[0] == "kept"} <= {("200", "optIn")}
    return [answer for answer in answers if answer[0] != "kept"]


def assert_unharmed(stage: HostileStage) -> None:
    """The accepted event is in force, and the next good message is taken."""
    assert stage.session.status().state == "registered"
    assert stage.withdrawn == []
    stage.vtn.add_event(dispatch("after", start_at=stage.now + 600, duration_s=60, value=-1000))
    stage.run(3 * PACE_S)
    assert stage.opts("after") == [("200", "optIn", 0)]
    assert set(stage.opts("kept")) == {("200", "optIn", 0)}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_counted_with_its_cause(stage: HostileStage, name: str) -> None:
    before = stage.session.status().refused_messages
    assert throw(stage, HOSTILE[name]()) == []
    status = stage.session.status()
    assert status.refused_messages == before + 1 and status.detail, status
    assert_unharmed(stage)


UNANSWERABLE = {name for name in ANSWERED if name.startswith("modification ")}
"""Without a modification number an event cannot be named in an answer; it is counted and said."""


@pytest.mark.parametrize("name", ANSWERED)
def test_a_broken_event_is_answered_with_its_code(stage: HostileStage, name: str) -> None:
    body = ANSWERED[name]()
    before = stage.session.status().refused_messages
    answers = throw(stage, body)
    assert stage.instructions[-1].event_id == "kept"
    if name in UNANSWERABLE:
        assert stage.session.status().refused_messages > before
    else:
        assert [(id, opt) for id, _, opt in answers] == [("bad", "optOut")]
        assert answers[0][1] in ("454", "460"), answers
    assert_unharmed(stage)


@pytest.mark.parametrize("name", TAKEN)
def test_an_odd_and_legal_list_is_carried_out(stage: HostileStage, name: str) -> None:
    answers = throw(stage, TAKEN[name]())
    assert answers and all(code == "200" for _, code, _ in answers if code), answers


@pytest.mark.parametrize("name", ABSURD)
def test_an_absurd_event_is_answered_once(stage: HostileStage, name: str) -> None:
    make, code, opt = ABSURD[name]
    assert throw(stage, make()) == [("bad", code, opt)]
    assert_unharmed(stage)
