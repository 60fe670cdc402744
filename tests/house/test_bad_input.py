"""With an event running, everything bad that peers and devices can do: it costs no accepted event, is answered as the
standard says, and the operator reads why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.house.day import REACH_S, assert_met, play
from tests.house.hostile import PROGRAMS, THROWS, Throw, bad_events, half_true, hangs, lies
from tests.house.house import POLL_S, House
from tests.house.utility import STRANGER, VEN_NAME
from tests.house.world import SITES
from vpp_gateway.domain.command import Shift
from vpp_gateway.northbound.openadr2.messages import Event, Poll
from vpp_gateway.profile import shipped_profiles

W = 120_000.0
SETTLED_S = 3 * POLL_S
"""One bad answer, its back-off, and the next good poll."""


async def running_event(house: House, duration_s: float) -> Event:
    """An accepted event that has begun and is met."""
    event = house.event("E", after_s=15, duration_s=duration_s, regulation_w=W)
    house.vtn.add_event(event)
    await house.until(event.start_at + 5)
    assert house.view("E").state == "active"
    return event


def assert_unharmed(house: House, event: Event, *, but_s: float = 0.0) -> None:
    """The event ran on from its start to now, as it was accepted."""
    assert house.view("E").state == "active"
    assert_met(house, event.start_at, house.clock.utc(), W, but_s=but_s)
    kinds = [entry.kind for entry in house.engine.journal.entries()]
    assert "Withdrawn" not in kinds and "openadr2.Unregistered" not in kinds
    assert not house.engine.trouble, house.engine.trouble
    assert {heard.response.opt for heard in house.vtn.opts["E"]} == {"optIn"}


def test_hostile_answers_of_the_vtn(tmp_path: Path) -> None:
    async def throw(house: House, one: Throw) -> None:
        before = house.link("tso").refused_messages
        assert house.utility is not None
        house.utility.say(one.answer(house))
        await house.run_for(SETTLED_S)
        link = house.link("tso")
        assert link.refused_messages > before, f"{one.name}: {link}"
        assert one.said in link.detail, f"{one.name}: {link.detail}"
        assert (link.state, link.health) == ("registered", "warning"), one.name
        assert any(link.detail in alarm.text for alarm in house.alarms("room")), one.name

    async def scene(house: House) -> None:
        event = await running_event(house, duration_s=600)
        for one in THROWS:
            await throw(house, one)
        assert_unharmed(house, event)

    play(tmp_path, scene, vtn=True)


def test_events_that_must_be_refused_are_answered_with_the_standards_code(tmp_path: Path) -> None:
    profile = YAML(typ="safe").load((shipped_profiles() / "programs/generic-2.0b.yaml").read_text())
    profile |= {"name": "strict", "market_contexts": ["http://utility.example/program"]}
    folder = tmp_path / "profiles" / "programs"
    folder.mkdir(parents=True)
    YAML().dump(profile, folder / "strict.yaml")

    async def scene(house: House) -> None:
        event = await running_event(house, duration_s=120)
        before = house.link("tso").refused_messages
        bad = bad_events(house)
        for one, _, _ in bad:
            house.vtn.add_event(one)
        await house.run_for(SETTLED_S)
        for one, code, words in bad:
            (heard,) = house.vtn.opts[one.event_id]
            said = heard.response
            assert (said.code, said.opt) == (code, "optOut"), said
            assert words in said.description, said
        link = house.link("tso")
        assert link.refused_messages == before + len(bad)
        assert "messages refused, last: event" in link.detail
        assert [view.event_id for view in house.status().events] == ["E"]
        await house.run_for(60)  # past the start that the bad ones asked for
        assert_unharmed(house, event)

    settings = {
        "name": "house",
        "simulated": True,
        "state_dir": tmp_path,
        "profile_dirs": [tmp_path / "profiles"],
    }
    play(tmp_path, scene, vtn=True, program="strict", gateway=settings)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b">12345<", b">NaN<"),
        (b">12345<", b">INF<"),
        (b">12345<", b">twelve<"),
        (b">PT1M17S<", b">tomorrow<"),
        (b">12345<", b"><"),
    ],
)
def test_one_broken_event_in_a_signed_list_costs_only_itself(tmp_path: Path, old: bytes, new: bytes) -> None:
    async def scene(house: House) -> None:
        event = await running_event(house, duration_s=60)
        utility = house.utility
        assert utility is not None
        house.vtn.add_event(house.event("broken", after_s=20, duration_s=77, regulation_w=-12_345.0))
        utility.say(lambda right: utility.signed_again(right, old, new))
        await house.run_for(SETTLED_S)
        (heard,) = house.vtn.opts["broken"]
        assert (heard.response.code, heard.response.opt) == ("454", "optOut"), heard.response
        assert heard.response.description
        assert "event 'broken'" in house.link("tso").detail
        assert_unharmed(house, event)

    play(tmp_path, scene, vtn=True)


def test_a_list_in_which_the_running_event_itself_cannot_be_read(tmp_path: Path) -> None:
    """The same modification, garbled: what was accepted goes on, and the VTN is told so beside the error."""

    async def scene(house: House) -> None:
        event = await running_event(house, duration_s=60)
        utility = house.utility
        assert utility is not None
        house.vtn.add_event(house.event("later", after_s=900, duration_s=60, regulation_w=10_000))
        utility.say(lambda right: utility.signed_again(right, b">LOAD_DISPATCH<", b"><"))
        await house.run_for(SETTLED_S)
        last = house.vtn.opts["E"][-1].response
        assert (last.code, last.opt) == ("454", "optIn"), last
        assert house.vtn.opts["later"][0].response.opt == "optOut"
        assert_unharmed(house, event)

    play(tmp_path, scene, vtn=True)


BATTERY_FAULTS = (
    ("nan", None, "power, W"),
    ("exception", 4, "exception"),
    ("silent", None, "no answer"),
    ("hang", None, "no answer"),
    ("stopped", None, "the inverter is off"),
    ("local", None, "local control"),
    ("clip", 5000.0, "5000"),
)
PROBATION_S = 65.0
"""A battery that did not obey is watched for a minute before it is used again."""


def test_a_battery_that_answers_nonsense_exceptions_or_nothing(tmp_path: Path) -> None:
    id = f"{SITES[0]}-b1"

    async def fail(house: House, fault: str, value: float | None, words: str) -> None:
        house.field.device(id).fault(fault, value)
        at = house.clock.utc()
        await house.run_for(12)
        (view,) = (battery for battery in house.status().sites[0].batteries if battery.id == id)
        assert view.health != "good" and words in view.reason, f"{fault}: {view.health} {view.reason!r}"
        (alarm,) = house.alarms("device")
        assert id in alarm.text and view.reason in alarm.text, fault
        assert house.status().sites[0].health != "good"
        # A clipping device spoils the next write, not the one that stands: its dent comes up to a refresh later.
        assert_met(house, at, house.clock.utc(), W, but_s=1.5 if fault == "clip" else 0.0)
        house.field.device(id).heal(fault)
        await house.run_for(PROBATION_S if view.health == "refusing" else 12)
        assert not house.alarms("device"), f"{fault}: {house.alarms('device')}"

    async def scene(house: House) -> None:
        event = await running_event(house, duration_s=900)
        for fault, value, words in BATTERY_FAULTS:
            await fail(house, fault, value, words)
        assert house.view("E").state == "active"
        assert_met(house, event.start_at, house.clock.utc(), W, but_s=len(BATTERY_FAULTS) * REACH_S)

    play(tmp_path, scene, vtn=True)


@pytest.mark.parametrize("fault", ["nan", "silent", "frozen"])
def test_a_meter_that_answers_nonsense_nothing_or_always_the_same(tmp_path: Path, fault: str) -> None:
    """The batteries change in mid-event, so that a meter which stands still gives itself away."""
    id = f"{SITES[0]}-meter"
    words = {"nan": "import, W", "silent": "no answer", "frozen": "stands still"}[fault]

    async def scene(house: House) -> None:
        event = await running_event(house, duration_s=240)
        house.field.device(id).fault(fault)
        await house.run_for(5)
        signal = event.signals[0]
        doubled = replace(signal.intervals[0], value=-2 * W)
        house.vtn.modify("E", signals=(replace(signal, intervals=(doubled,)),))
        await house.run_for(POLL_S + 1)
        changed = house.clock.utc()
        await house.run_for(20)
        meter = house.status().sites[0].meter
        assert meter.health != "good" and words in meter.reason, meter
        assert any(id in alarm.text and words in alarm.text for alarm in house.alarms("device"))
        assert_met(house, event.start_at, changed - POLL_S - 2, W)
        assert_met(house, changed, house.clock.utc(), 2 * W)
        house.field.device(id).heal(fault)
        healed = house.clock.utc()
        await house.run_for(15)
        assert not house.alarms("device")
        assert_met(house, healed, house.clock.utc(), 2 * W)

    play(tmp_path, scene, vtn=True)


async def gone(house: House, words: str) -> None:
    """Between two of its short lives the operator reads that the plug-in is gone, and why."""
    for _ in range(12):
        if house.link("bad").state == "gone":
            break
        await house.run_for(1)
    link = house.link("bad")
    assert (link.state, link.health) == ("gone", "bad") and words in link.detail, link
    (alarm,) = house.alarms("plugin")
    assert "bad" in alarm.text and words in alarm.text


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_plug_in_that_hangs_or_prints_rubbish(tmp_path: Path, name: str) -> None:
    program, words = PROGRAMS[name]

    async def scene(house: House) -> None:
        event = await running_event(house, duration_s=60)
        await house.run_for(15)
        await gone(house, words)
        assert house.link("work").health == "good", "the good plug-in works on"
        assert_unharmed(house, event)

    play(tmp_path, scene, vtn=True, work=True, programs={"bad": program})


def test_one_offer_that_cannot_be_true_costs_only_itself(tmp_path: Path) -> None:
    """The other one of the same plug-in is called; the operator reads which was refused, and the plug-in lives on."""

    async def scene(house: House) -> None:
        event = house.event("E", after_s=15, duration_s=60, regulation_w=250_000)
        house.vtn.add_event(event)
        await house.until(event.start_at + 5)
        link = house.link("bad")
        assert (link.state, link.health) == ("ready", "warning"), link
        words = "plug-in bad, offer 'bad/1': import_delta_w is nan, allowed are up to"
        assert words in link.detail
        (alarm,) = house.alarms("plugin_offers")
        assert words in alarm.text and "一部拒否" in alarm.text_ja
        called = {c.order.offer for c in house.commands if isinstance(c, Shift) and c.order.plugin == "bad"}
        assert called == {"bad/2"}

    play(tmp_path, scene, vtn=True, programs={"bad": half_true})


def test_a_plug_in_that_dies_over_its_order_is_not_asked_again_and_again(tmp_path: Path) -> None:
    """Its offer is needed and cheapest. Its death costs one dent; then the other plug-in and the batteries carry on."""

    async def scene(house: House) -> None:
        event = house.event("E", after_s=15, duration_s=60, regulation_w=250_000)
        house.vtn.add_event(event)
        await house.until(event.start_at + 55)
        asked = [c.order.id for c in house.commands if isinstance(c, Shift) and c.order.plugin == "bad"]
        assert len(set(asked)) == 1, "asked once"
        assert_met(house, event.start_at, house.clock.utc(), 250_000, but_s=2 * REACH_S)
        await gone(house, "no answer to")

    play(tmp_path, scene, vtn=True, work=True, programs={"bad": hangs})


def test_a_plug_in_that_says_active_and_does_nothing(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        event = house.event("E", after_s=15, duration_s=90, regulation_w=250_000)
        house.vtn.add_event(event)
        await house.until(event.start_at + 85)
        record = house.view("E")
        assert record.state == "active"
        assert_met(house, event.start_at + 5, house.clock.utc(), 250_000)

    play(tmp_path, scene, vtn=True, programs={"bad": lies})


def test_half_a_renewal_is_an_alarm_and_costs_no_poll(tmp_path: Path) -> None:
    """The key is exchanged before its certificate: the old pair goes on, the operator reads which file does not fit."""

    async def scene(house: House) -> None:
        event = await running_event(house, duration_s=120)
        utility = house.utility
        assert utility is not None
        key = utility.pki.ven_key(VEN_NAME)
        old, refused = key.read_bytes(), len(utility.server.refused)
        key.write_bytes(utility.pki.ven_key(STRANGER).read_bytes())
        polls = len(house.vtn.said(Poll))
        await house.run_for(SETTLED_S)
        (alarm,) = house.alarms("credentials")
        assert key.name in alarm.text and "tso" in alarm.text
        assert len(house.vtn.said(Poll)) >= polls + 2 and len(utility.server.refused) == refused
        assert house.link("tso").health == "good"
        key.write_bytes(old)
        await house.run_for(SETTLED_S)
        assert not house.alarms("credentials")
        assert_unharmed(house, event)

    play(tmp_path, scene, vtn=True)
