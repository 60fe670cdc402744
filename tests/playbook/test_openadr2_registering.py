"""Registration to the end: restarts in each phase, a venID that changes, and cancellations that race with answers."""

from __future__ import annotations

import pytest

from tests.playbook.ven_stage import Stage, program, registered
from vpp_gateway.northbound.openadr2.facts import Registered
from vpp_gateway.northbound.openadr2.messages import (
    CancelPartyRegistration,
    CreatePartyRegistration,
    Failed,
    Poll,
    Post,
    QueryRegistration,
    Received,
    RequestEvent,
)
from vpp_gateway.northbound.openadr2.report_words import RegisterReport
from vpp_gateway.northbound.openadr2.state import Phase
from vpp_gateway.sim.vtn import dispatch


class Held(Stage):
    """A stage on which the answers to messages of one kind are kept back until they are let go."""

    def __post_init__(self) -> None:
        self.hold: type | None = None
        self.kept: list[Received | Failed] = []
        super().__post_init__()

    def carry(self, post: Post) -> Received | Failed:
        answer = super().carry(post)
        if self.hold is not None and isinstance(post.message, self.hold):
            self.kept.append(answer)
            return Received(number=-1, message=None)  # nobody waits for this one
        return answer

    def let_go(self) -> None:
        """The late answers come in."""
        self.hold = None
        for answer in self.kept:
            self.take(self.session.receive(answer, self.now))
        self.kept.clear()


def kind_of(stage: Stage) -> Phase:
    return stage.session.desk.state.phase


STOPS = [
    (QueryRegistration, Phase.UNREGISTERED),
    (CreatePartyRegistration, Phase.REGISTERING),
    (RegisterReport, Phase.REPORTING),
    (RequestEvent, Phase.REGISTERED),
    (Poll, Phase.REGISTERED),
]


@pytest.mark.parametrize(("kind", "phase"), STOPS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_restart_in_any_phase_ends_registered_once(kind: type, phase: Phase) -> None:
    stage = Held()
    stage.hold = kind
    stage.run(1)
    assert kind_of(stage) is phase and stage.kept
    stage.hold = None
    stage.restart()  # the answer finds nobody
    stage.let_go()
    assert kind_of(stage) is phase
    stage.run(30)
    assert kind_of(stage) is Phase.REGISTERED
    assert stage.vtn.registration_id == stage.session.desk.membership.registration_id
    assert len(stage.facts_of(Registered)) == 1
    assert stage.sent(Poll)


@pytest.mark.parametrize("phase", ["leaving", "cancelled"])
def test_a_restart_while_leaving_or_out_stays_out(phase: str) -> None:
    stage = registered(Held())
    if phase == "leaving":
        stage.down = "unreachable"
    stage.take(stage.session.leave(stage.now))
    stage.run(5)
    assert kind_of(stage) is Phase(phase)
    stage.restart()
    stage.down = ""
    stage.run(3600)
    assert kind_of(stage) is Phase.CANCELLED
    assert len(stage.sent(CreatePartyRegistration)) == 1
    assert stage.vtn.registration_id is None


@pytest.mark.parametrize("kind", [QueryRegistration, CreatePartyRegistration])
def test_an_answer_on_its_way_registers_nobody_after_the_operator_has_left(kind: type) -> None:
    stage = Held()
    stage.hold = kind
    stage.run(1)
    stage.take(stage.session.leave(stage.now))
    stage.let_go()
    stage.run(3600)
    assert kind_of(stage) is Phase.CANCELLED
    assert stage.facts_of(Registered) == []
    assert len(stage.sent(kind)) == 1


@pytest.mark.parametrize("kind", [Poll, RequestEvent])
def test_an_answer_on_its_way_brings_no_event_after_the_operator_has_left(kind: type) -> None:
    stage = Held(
        program=program(polling={"poll_s": 5.0, "jitter_share": 0.0}, query_first=False, reports=None)
    )
    if kind is RequestEvent:
        stage.vtn.add_event(dispatch("E1", start_at=stage.now + 3600, duration_s=900.0, value=-50_000.0))
        stage.hold = kind
        stage.run(1)
    else:
        registered(stage)
        stage.vtn.add_event(dispatch("E1", start_at=stage.now + 3600, duration_s=900.0, value=-50_000.0))
        stage.hold = kind
        stage.run(10)
    assert stage.kept
    stage.take(stage.session.leave(stage.now))
    stage.let_go()
    stage.run(3600)
    assert kind_of(stage) is Phase.CANCELLED
    assert stage.instructions == [] and stage.session.desk.state.events == {}


def test_a_cancellation_by_the_vtn_wins_over_everything_that_was_due() -> None:
    stage = registered()
    given = stage.vtn.registration_id
    assert given is not None
    stage.vtn.queue(CancelPartyRegistration(request_id="X", registration_id=given))
    stage.run(60)
    assert kind_of(stage) is Phase.CANCELLED
    before = len(stage.posts)
    stage.run(86400)
    assert len(stage.posts) == before  # nothing is said any more


def test_another_ven_id_at_a_new_registration_is_used_from_then_on() -> None:
    stage = registered()
    stage.vtn.ven_id = "VEN-2"
    stage.vtn.forget_ven()
    stage.run(60)
    assert [fact.ven_id for fact in stage.facts_of(Registered)] == ["VEN-1", "VEN-2"]
    polls = [post.message.ven_id for _, post in stage.posts if isinstance(post.message, Poll)]
    assert polls[0] == "VEN-1" and polls[-1] == "VEN-2"
    stage.vtn.add_event(
        dispatch("E1", start_at=stage.now + 3600, duration_s=900.0, value=-50_000.0, ven_ids=("VEN-2",))
    )
    stage.run(30)
    assert stage.opts("E1")[-1][:2] == ("200", "optIn")
    stage.restart()
    stage.run(30)
    assert stage.sent(Poll)[-1].ven_id == "VEN-2"


def test_a_new_poll_period_of_a_new_registration_is_kept() -> None:
    stage = registered(Stage(program=program(polling={"poll_s": 10.0, "jitter_share": 0.0}, reports=None)))
    stage.vtn.poll_s = 40.0
    stage.vtn.forget_ven()
    stage.run(60)
    since = stage.now
    stage.run(400)
    polls = [at for at, post in stage.posts if at >= since and isinstance(post.message, Poll)]
    assert len(polls) == 10
