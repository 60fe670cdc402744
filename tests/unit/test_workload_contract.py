"""The wire of the plug-in contract: what passes, what is refused and in which words, and its published schema."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.repository import ROOT
from vpp_gateway.domain.instruction import InstructionId, SiteId
from vpp_gateway.domain.order import (
    Leg,
    Offer,
    OfferId,
    OrderId,
    PluginName,
    ShiftOrder,
    ShiftState,
    ShiftVerb,
)
from vpp_gateway.errors import MisuseError, PeerError
from vpp_gateway.southbound.workload import contract, serve
from vpp_gateway.southbound.workload.check import Checked, check_offers
from vpp_gateway.southbound.workload.spec import PluginSpec

SCHEMA = ROOT / "docs" / "schemas" / "plugin-messages.schema.json"
TOKYO, KANAGAWA = SiteId("tokyo1"), SiteId("kanagawa")
SPEC = PluginSpec(name=PluginName("lever"), entry_point="x:y", sites=(TOKYO, KANAGAWA))
OFFER = Offer(
    id=OfferId("lever/move/1"),
    plugin=PluginName("lever"),
    kind="move",
    legs=(
        Leg(site=TOKYO, import_delta_w=-2000.0, latency_s=0.1),
        Leg(site=KANAGAWA, import_delta_w=2000.0, latency_s=0.4),
    ),
    steps=(0.5, 1.0),
    valid_until=1000.0,
    sustain_s=3600.0,
)
ORDER = ShiftOrder(
    id=OrderId("007"),
    plugin=PluginName("lever"),
    offer=OFFER.id,
    verb=ShiftVerb.COMMIT,
    step=1,
    fence=3,
    deadline_at=1_790_000_000.25,
    instruction=InstructionId("tso/EV-1"),
)
SAMPLE = contract.Sample(at=1.0, site=TOKYO, w=5.5, quality="modelled", source="cpu")
REQUESTS: list[contract.Request] = [
    contract.Hello(
        id=1, name=SPEC.name, sites=SPEC.sites, config={"a": [1, {"b": None}]}, state_dir="/var/x", fence=3
    ),
    contract.Order(id=2, order=ORDER),
    contract.StatusQuery(id=3, order=ORDER.id),
    contract.Recover(id=4, orders=(ORDER,), fence=3),
    contract.EmergencyStop(id=5),
    contract.Heartbeat(id=6),
]
ANSWERS: list[contract.FromPlugin] = [
    contract.Capabilities(id=1, api_version=1, name=SPEC.name, sites=SPEC.sites, fail_state="hold"),
    contract.Ack(id=2, accepted=False, reason="理由"),
    contract.States(
        id=3, states=(contract.OrderStatus(order=ORDER.id, state=ShiftState.ACTIVE, reason="held"),)
    ),
    contract.Beat(id=6),
    contract.Failure(id=7, reason="no"),
    contract.Offers(offers=(OFFER,)),
    contract.Shift(order=ORDER.id, state=ShiftState.FAILED, reason="gone"),
    contract.Samples(samples=(SAMPLE,)),
]


def words(message: contract.Request | contract.FromPlugin) -> dict[str, object]:
    found: dict[str, object] = json.loads(contract.encode(message))
    return found


# --- round trip ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", REQUESTS, ids=lambda message: str(message.type))
def test_requests_come_back_as_they_went(message: contract.Request) -> None:
    assert contract.decode_request(contract.encode(message)) == message


@pytest.mark.parametrize("message", ANSWERS, ids=lambda message: str(message.type))
def test_answers_and_notices_come_back_as_they_went(message: contract.FromPlugin) -> None:
    line = contract.encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert contract.decode_from_plugin(line) == message


@given(text=st.text(max_size=200), at=st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_any_finite_number_survive(text: str, at: float) -> None:
    order = replace(ORDER, id=OrderId(text), deadline_at=at)
    message = contract.Order(id=1, order=order)
    try:
        line = contract.encode(message)
    except MisuseError:
        assert any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)  # lone surrogates are not text
        return
    assert contract.decode_request(line) == message


# --- refusals -----------------------------------------------------------------------------------------------


def samples_line(w: bytes) -> bytes:
    return (
        b'{"type": "samples", "samples": [{"at": 1.0, "site": "tokyo1", "w": %b, "quality": "modelled", "source": ""}]}'
        % w
    )


def offers_line(**change: object) -> bytes:
    message = words(contract.Offers(offers=(OFFER,)))
    message["offers"][0].update(change)  # type: ignore[index]
    return json.dumps(message).encode()


REFUSED = {
    "NaN": (samples_line(b"NaN"), "NaN is not a number here"),
    "Infinity": (samples_line(b"-Infinity"), "Infinity is not a number here"),
    "overflow": (samples_line(b"1e999"), "1e999 is not finite"),
    "NaN and more": (offers_line(sustain_s=math.nan, id=7), "NaN is not a number here"),
    "long integer": (offers_line().replace(b"3600.0", b"9" * 5000), "a number of 5000 digits"),
    "double key": (b'{"type": "beat", "id": 1, "id": 2}', "key 'id' given twice"),
    "double key inside": (
        offers_line().replace(b'"cost"', b'"kind": "move", "cost"'),
        "key 'kind' given twice",
    ),
    "text for a number": (offers_line(cost="1"), "cost: Input should be a valid number, found '1'"),
    "boolean for a number": (offers_line(cost=True), "cost: Input should be a valid number, found True"),
    "number for text": (offers_line(id=7), "id: Input should be a valid string, found 7"),
    "float for an integer": (b'{"type": "beat", "id": 1.0}', "id: Input should be a valid integer"),
    "missing field": (b'{"type": "beat"}', "id: Field required"),
    "unknown field": (offers_line(import_detla_w=1), "import_detla_w: Unexpected keyword argument"),
    "unknown type": (b'{"type": "beet", "id": 1}', "does not match any of the expected tags"),
    "no type": (b'{"id": 1}', "Unable to extract tag"),
    "list": (b"[1, 2]", "message"),
    "empty": (b"\n", "not a message"),
    "half": (offers_line()[:-10], "not a message"),
    "two": (b'{"type": "beat", "id": 1}{}', "not a message"),
    "not UTF-8": (b'{"type": "\xff"}', "not a message"),
    "deep": (b"[" * 60_000, "nested too deeply"),
    "state": (b'{"type": "shift", "order": "1", "state": "done"}', "state: Input should be 'prepared'"),
    "long": (b'"' + b"x" * contract.LINE_MAX_BYTES + b'"', "allowed are 65536"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_words(name: str) -> None:
    line, told = REFUSED[name]
    with pytest.raises(PeerError) as refusal:
        contract.decode_from_plugin(line)
    assert told in str(refusal.value)
    assert len(str(refusal.value)) < 1000  # a log line, whatever was sent


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_peer_error(line: bytes) -> None:
    try:
        contract.decode_from_plugin(line)
    except PeerError:
        return
    jsonschema.validate(json.loads(line), contract.json_schema())


def test_what_would_break_the_contract_is_not_sent() -> None:
    with pytest.raises(MisuseError, match="offers: line of"):
        contract.encode(contract.Offers(offers=(OFFER,) * 1000))
    with pytest.raises(MisuseError, match="shift"):
        contract.encode(contract.Shift(order=OrderId("1"), state="done"))  # type: ignore[arg-type]
    with pytest.raises(MisuseError, match=r"samples\.0\.w"):
        contract.encode(contract.Samples(samples=(replace(SAMPLE, w=math.nan),)))
    with pytest.raises(MisuseError, match="not JSON"):
        contract.encode(
            contract.Hello(id=1, name=SPEC.name, sites=(), config={"a": object()}, state_dir="", fence=0)
        )


# --- offer arithmetic ---------------------------------------------------------------------------------------


def test_a_true_offer_passes() -> None:
    assert check_offers([OFFER], SPEC, now=900.0) == Checked(sound=(OFFER,), refused=())


SOURCE, DESTINATION = OFFER.legs
WRONG: dict[str, tuple[Offer, str]] = {
    "plugin": (replace(OFFER, plugin=PluginName("other")), "plugin is 'other'"),
    "kind": (replace(OFFER, kind="teleport"), "allowed are cap, pause, shed, move, absorb"),
    "expired": (replace(OFFER, valid_until=899.0), "valid_until is -1.0 s from now"),
    "for ever": (replace(OFFER, valid_until=1e9), "valid_until"),
    "negative cost": (replace(OFFER, cost=-1.0), "cost is -1.0"),
    "no number": (replace(OFFER, cost=math.nan), "cost is nan"),
    "endless": (replace(OFFER, sustain_s=math.inf), "sustain_s is inf"),
    "no number in a step": (replace(OFFER, steps=(math.nan, 1.0)), "must ascend"),
    "no number in a leg": (
        replace(OFFER, legs=(replace(SOURCE, import_delta_w=math.nan), DESTINATION)),
        "import_delta_w is nan",
    ),
    "no end of validity": (replace(OFFER, valid_until=math.nan), "valid_until"),
    "longer dwell than hold": (replace(OFFER, min_dwell_s=3601.0), "min_dwell_s is 3601.0"),
    "negative rebound": (replace(OFFER, rebound_wh=-1.0), "rebound_wh is -1.0"),
    "rebound in no time": (
        replace(OFFER, rebound_within_s=0.0),
        "rebound_within_s is 0.0, allowed are values > 0",
    ),
    "SLA tier": (replace(OFFER, sla_tier=-1), "sla_tier is -1, allowed are 0 to 9"),
    "no steps": (replace(OFFER, steps=()), "the last must be 1"),
    "last step": (replace(OFFER, steps=(0.5, 0.9)), "the last must be 1"),
    "descending": (replace(OFFER, steps=(0.6, 0.5, 1.0)), "must ascend"),
    "zero step": (replace(OFFER, steps=(0.0, 1.0)), "must ascend inside (0, 1]"),
    "one leg": (replace(OFFER, legs=(SOURCE,)), "1 legs, a move has 2"),
    "legs turned": (replace(OFFER, legs=(DESTINATION, SOURCE)), "source < 0, destination > 0"),
    "same site": (replace(OFFER, legs=(SOURCE, replace(DESTINATION, site=TOKYO))), "the same site"),
    "foreign site": (replace(OFFER, legs=(SOURCE, replace(DESTINATION, site=SiteId("osaka")))), "'osaka'"),
    "no change": (replace(OFFER, legs=(replace(SOURCE, import_delta_w=0.0), DESTINATION)), "and not 0"),
    "gigawatts": (replace(OFFER, legs=(replace(SOURCE, import_delta_w=-2e9), DESTINATION)), "allowed are"),
    "latency": (replace(OFFER, legs=(replace(SOURCE, latency_s=-0.1), DESTINATION)), "latency_s is -0.1"),
    "pause that takes": (replace(OFFER, kind="pause", legs=(DESTINATION,)), "takes less from the grid"),
    "absorb that sheds": (replace(OFFER, kind="absorb", legs=(SOURCE,)), "takes more from the grid"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_offer_that_cannot_be_true_is_refused_by_name_and_the_others_stay(name: str) -> None:
    offer, told = WRONG[name]
    good = replace(OFFER, id=OfferId("good"))
    checked = check_offers([good, offer], SPEC, now=900.0)
    assert checked.sound == (good,)
    ((id, why),) = checked.refused
    assert id == offer.id
    assert why.startswith(f"plug-in lever, offer {offer.id!r}: ")
    assert told in why


def test_an_id_given_twice_is_refused_each_time() -> None:
    good = replace(OFFER, id=OfferId("good"))
    checked = check_offers([OFFER, good, replace(OFFER, cost=2.0)], SPEC, now=900.0)
    assert checked.sound == (good,)
    assert checked.refused == ((OFFER.id, "plug-in lever, offer 'lever/move/1': its id is given twice"),)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_crosses_the_wire_inside_an_offer_and_costs_it_alone(number: float) -> None:
    good = replace(OFFER, id=OfferId("good"))
    bad = replace(OFFER, cost=number)
    heard = contract.decode_from_plugin(contract.encode(contract.Offers(offers=(bad, good))))
    assert isinstance(heard, contract.Offers)
    checked = check_offers(heard.offers, SPEC, now=900.0)
    assert checked.sound == (good,)
    assert [why for _, why in checked.refused] == [
        f"plug-in lever, offer {bad.id!r}: cost is {number}, allowed are values >= 0"
    ]


# --- what is published --------------------------------------------------------------------------------------


def test_the_published_schema_is_current() -> None:
    """To renew it, write `json_schema()` there: two spaces of indent, newline at the end."""
    assert json.loads(SCHEMA.read_text("utf-8")) == contract.json_schema()


@pytest.mark.parametrize("message", [*REQUESTS, *ANSWERS], ids=lambda message: str(message.type))
def test_the_schema_knows_every_message(message: contract.Request | contract.FromPlugin) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(words(message), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**words(message), "surplus": 1}, schema)


def test_first_party_entry_points_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"][contract.ENTRY_POINT_GROUP] == serve.FIRST_PARTY
    for name in serve.FIRST_PARTY:
        assert serve.load(name) is not serve.load(name)  # each call makes a fresh plug-in


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no-such-lever", "no plug-in 'no-such-lever' in entry-point group vpp_gateway.site_plugins"),
        ("no.such.module:plugin", "No module named 'no'"),
        ("vpp_gateway.errors:plugin", "has no attribute 'plugin'"),
    ],
)
def test_a_plugin_that_is_not_there_is_told(name: str, told: str) -> None:
    with pytest.raises(MisuseError) as refusal:
        serve.load(name)
    assert told in str(refusal.value)
