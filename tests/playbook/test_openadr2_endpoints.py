"""Main and standby site of one utility: which one is in use, and what becomes of the events of the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.playbook.ven_stage import START, Stage, program, registered
from vpp_gateway.clock import SeededRng
from vpp_gateway.domain.fact import Instructed
from vpp_gateway.northbound.openadr2.facts import EventHeld, Registered
from vpp_gateway.northbound.openadr2.messages import (
    CancelPartyRegistration,
    CreatePartyRegistration,
    Failed,
    Poll,
    Post,
    Received,
    RequestEvent,
)
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.sim.vtn import Vtn, dispatch

MAIN, STANDBY = "https://main.example", "https://standby.example"
POLLING = {"poll_s": 10.0, "jitter_share": 0.0, "lost_after": 3}


@dataclass
class Sites(Stage):
    """A stage with two sites; those whose number is in `dead` cannot be reached."""

    def __post_init__(self) -> None:
        self.dead: set[int] = set()
        self.other = Vtn(rng=SeededRng("other"))
        self.sites = [self.vtn, self.other]
        super().__post_init__()

    def make_session(self) -> VenSession:
        made = super().make_session()
        return VenSession(
            room=made.room,
            ven_name="centre",
            ven_id=None,
            program=self.program,
            sites=tuple(made.desk.resources.values()),
            rng=SeededRng(self.seed),
            signing=False,
            level_base_w=made.desk.level_base_w,
            addresses=(MAIN, STANDBY),
        )

    def carry(self, post: Post) -> Received | Failed:
        if post.endpoint in self.dead:
            return Failed(number=post.number, cause="unreachable", detail="nobody listens")
        self.vtn = self.sites[post.endpoint]
        return super().carry(post)

    def used(self, since: float) -> list[int]:
        return [post.endpoint for at, post in self.posts if at >= since]


def stage(*, shared: bool = True, **standby: Any) -> Sites:
    """Registered at the main site. `shared`: the standby is the same VTN behind another address."""
    given = {"failback_s": 300.0, "standby_shares_state": shared, **standby}
    made = Sites(program=program(polling=POLLING, standby=given, reports=None))
    if shared:
        made.sites[1] = made.sites[0]
    registered(made)
    return made


def event(name: str = "E1", at: float = START) -> Any:
    return dispatch(name, start_at=at + 7200, duration_s=900.0, value=-50_000.0)


def test_after_lost_after_failures_the_standby_is_used_and_said() -> None:
    scene = stage()
    assert scene.used(START) and set(scene.used(START)) == {0}
    scene.dead = {0}
    scene.run(60)
    assert scene.used(START + 30)[-1] == 1
    failed = [post for at, post in scene.posts if at > START + 1 and post.endpoint == 0]
    assert len(failed) == 3
    status = scene.session.status()
    assert status.state == "registered"
    assert f"standby 1 of 1 in use ({STANDBY})" in status.detail and MAIN in status.detail


def test_the_first_question_to_the_standby_is_for_the_whole_list() -> None:
    scene = stage()
    scene.dead = {0}
    scene.run(60)
    first = next(post for _, post in scene.posts if post.endpoint == 1)
    assert isinstance(first.message, RequestEvent)


def test_the_main_site_is_tried_again_and_kept_when_it_answers() -> None:
    scene = stage()
    scene.dead = {0}
    scene.run(60)
    scene.dead = set()
    scene.run(320)
    assert scene.used(scene.now - 20)[-1] == 0
    assert "standby" not in scene.session.status().detail
    scene.run(3600)
    assert set(scene.used(scene.now - 3000)) == {0}


def test_while_the_main_site_is_away_one_try_in_each_failback_period_costs_no_poll() -> None:
    scene = stage()
    scene.dead = {0}
    scene.run(60)
    since = scene.now
    scene.run(3000)
    tries = [at for at, post in scene.posts if at >= since and post.endpoint == 0]
    assert 9 <= len(tries) <= 11
    polls = [at for at, post in scene.posts if at >= since and isinstance(post.message, Poll | RequestEvent)]
    served = [at for at, post in scene.posts if at >= since and post.endpoint == 1]
    assert max(b - a for a, b in pairwise(served)) < 12.0, polls
    assert scene.session.status().state == "registered"


def test_when_nobody_answers_they_are_tried_in_turn_with_the_usual_pauses() -> None:
    scene = stage()
    scene.dead = {0, 1}
    scene.run(3600)
    tries = [post.endpoint for at, post in scene.posts if at > START + 20]
    assert {0, 1} == set(tries) and len(tries) < 150
    assert scene.session.status().state == "lost"
    scene.dead = {0}
    scene.run(300)
    assert scene.session.status().state == "registered"


def test_the_same_event_from_both_sites_is_dispatched_once() -> None:
    scene = stage(shared=False)
    for vtn in scene.sites:
        vtn.add_event(event())
    scene.run(30)
    scene.dead = {0}
    scene.run(60)
    assert len(scene.other.said(CreatePartyRegistration)) == 1  # it did not know us
    scene.dead = set()
    scene.run(600)
    assert len(scene.facts_of(Instructed)) == 1 and scene.withdrawn == []
    assert {opt.response.opt for opt in scene.other.opts["E1"]} == {"optIn"}


def test_a_standby_that_does_not_know_us_gets_a_registration_and_the_main_site_keeps_its_own() -> None:
    scene = stage(shared=False)
    scene.dead = {0}
    scene.run(60)
    assert scene.session.status().state == "registered"
    assert [fact.registration_id for fact in scene.facts_of(Registered)] == [
        scene.sites[0].registration_id,
        scene.other.registration_id,
    ]
    scene.dead = set()
    scene.run(400)
    assert scene.session.status().state == "registered" and scene.used(scene.now - 15)[-1] == 0


def test_a_standby_that_shares_the_state_cancels_what_it_does_not_list() -> None:
    scene = stage(shared=False, standby_shares_state=True)
    scene.sites[0].add_event(event())
    scene.run(30)
    scene.dead = {0}
    scene.run(60)
    assert [cause for _, cause in scene.withdrawn] == ["implied"]


def test_events_of_the_main_site_stay_in_force_while_a_standby_of_its_own_mind_serves() -> None:
    scene = stage(shared=False)
    scene.sites[0].add_event(event("E1"))
    scene.other.add_event(event("E2"))
    scene.run(30)
    scene.dead = {0}
    scene.run(120)
    assert sorted(one.event_id for one in scene.instructions) == ["E1", "E2"] and scene.withdrawn == []
    assert {fact.event_id: fact.endpoint for fact in scene.facts_of(EventHeld)} == {"E1": 0, "E2": 1}
    scene.other.drop("E2")  # what the standby told, the standby can take back
    scene.run(60)
    assert [name.rpartition("/")[2] for name, _ in scene.withdrawn] == ["E2"]
    scene.restart()
    scene.dead = set()
    scene.sites[0].drop("E1")
    scene.run(60)  # the main site answers: its word counts for all
    assert sorted(name.rpartition("/")[2] for name, _ in scene.withdrawn) == ["E1", "E2"]


def test_a_restart_begins_at_the_main_site() -> None:
    scene = stage()
    scene.dead = {0}
    scene.run(60)
    scene.restart()
    scene.run(1)
    assert scene.posts[-1][1].endpoint == 0
    scene.run(60)
    assert scene.posts[-1][1].endpoint == 1


def test_a_pause_over_the_moment_of_return_does_not_spin() -> None:
    scene = stage(failback_s=70.0)
    scene.dead = {0}
    scene.run(30)
    assert scene.used(START)[-1] == 1
    for _ in range(60):  # `run` fails when the session wants to be woken without having anything to do
        scene.dead = {0, 1} if 1 not in scene.dead else {0}
        scene.run(45)


def failed_over_and_back() -> Sites:
    """Two sites with a memory of their own: registered at both, the main one in use again."""
    scene = stage(shared=False)
    scene.other.vtn_id, scene.other.ven_id = "VTN-2", "VEN-2"
    scene.dead = {0}
    scene.run(60)
    assert scene.session.status().state == "registered" and scene.session.desk.name == "VEN-2"
    scene.dead = set()
    scene.run(400)
    assert scene.used(scene.now - 20) and set(scene.used(scene.now - 20)) == {0}
    scene.vtn = scene.sites[0]
    return scene


def test_after_the_return_the_main_site_hears_the_names_that_it_gave() -> None:
    scene = failed_over_and_back()
    for _ in range(2):
        scene.vtn.add_event(event("E1", scene.now))
        scene.run(30)
        assert scene.opts("E1")[-1][:2] == ("200", "optIn")  # its vtnID is expected, not the standby's
        polls = [post.message for at, post in scene.posts if isinstance(post.message, Poll)]
        assert polls[-1].ven_id == "VEN-1"
        scene.restart()
    assert len(scene.facts_of(Registered)) == 2


def test_after_the_return_a_cancellation_by_the_main_site_is_followed() -> None:
    scene = failed_over_and_back()
    scene.vtn.add_event(event("E1", scene.now))
    scene.run(30)
    scene.vtn.cancel_registration()
    scene.run(30)
    assert scene.session.status().state == "cancelled"
    assert [cause for _, cause in scene.withdrawn] == ["unregistered"]


def test_after_the_return_our_cancellation_names_the_main_sites_registration() -> None:
    scene = failed_over_and_back()
    given = scene.vtn.registration_id
    scene.take(scene.session.leave(scene.now))
    scene.run(30)
    (said,) = scene.vtn.said(CancelPartyRegistration)
    assert said.registration_id == given and said.ven_id == "VEN-1"


def test_a_main_site_that_forgot_us_is_asked_with_the_venid_that_it_gave() -> None:
    scene = failed_over_and_back()
    scene.vtn.forget_ven()
    scene.run(60)
    asked = scene.vtn.said(CreatePartyRegistration)[-1]
    assert asked.registration_id is None and asked.ven_id == "VEN-1"
    assert scene.session.status().state == "registered"
