from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.journal_facts import CODEC, FACT_TYPES, T0, instructed, lost, obeyed, strategy_of, tick
from vpp_gateway.domain.fact import Concluded, Tick
from vpp_gateway.domain.instruction import InstructionId
from vpp_gateway.domain.plan import Reason
from vpp_gateway.domain.reading import Snapshot
from vpp_gateway.errors import JournalError, MisuseError
from vpp_gateway.journal.records import FactCodec, kind_of
from vpp_gateway.metering.delivery import Delivery
from vpp_gateway.optimise.explain import told


@pytest.mark.parametrize("type_", FACT_TYPES, ids=lambda type_: type_.__name__)
def test_every_fact_of_the_domain_comes_back_the_same(type_: type) -> None:
    @settings(max_examples=60, deadline=None)
    @given(strategy_of(type_))
    def comes_back(fact: Any) -> None:
        kind, body = CODEC.encode(fact)
        again = CODEC.decode(kind, body)
        assert again == fact
        assert repr(again) == repr(fact)  # equality alone takes 1 for True and 1.0
        assert CODEC.encode(again) == (kind, body)

    comes_back()


def test_the_body_is_canonical_json() -> None:
    kind, body = CODEC.encode(instructed(T0))
    value = json.loads(body)
    assert kind == "Instructed"
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert body == canonical.encode()
    assert value["instruction"]["event_id"] == "007"
    assert "調整力".encode() in body


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_on_the_way_in(number: float) -> None:
    with pytest.raises(JournalError, match=r"Tick at .* cannot be written"):
        CODEC.encode(Tick(at=number, snapshot=Snapshot(at=T0, sites=())))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_refused_on_the_way_out(word: str) -> None:
    body = CODEC.encode(obeyed(T0, 1))[1].replace(b"500000.0", word.encode())
    assert word.encode() in body
    with pytest.raises(JournalError, match=f"body is no Obeyed: the number {word} is not allowed"):
        CODEC.decode("Obeyed", body)


def test_the_words_nan_and_infinity_may_stand_in_a_reason() -> None:
    fact = lost(T0, 1, "register 40071 reads NaN, Infinity was expected never")
    assert CODEC.decode(*CODEC.encode(fact)) == fact


def test_a_value_of_the_wrong_type_is_refused_on_the_way_in() -> None:
    wrong: Any = "1"
    with pytest.raises(JournalError, match=r"Obeyed at .* cannot be written"):
        CODEC.encode(obeyed(T0, wrong))


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (b'"seq":1', b'"seq":"1"', "seq"),
        (b'"dc0"', b"5", "site"),
        (b'"epoch":1,', b"", "epoch"),
        (b"}", b"", "whole"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_naming_the_field(old: bytes, new: bytes, where: str) -> None:
    body = CODEC.encode(obeyed(T0, 1))[1]
    assert old in body
    with pytest.raises(JournalError, match=f"body is no Obeyed: {where}: "):
        CODEC.decode("Obeyed", body.replace(old, new))


def test_an_unknown_kind_is_refused_naming_it_and_what_is_known() -> None:
    codec = FactCodec([Tick])
    with pytest.raises(JournalError, match=r"kind 'Solved' is not known here .*known: Tick"):
        codec.decode("Solved", b"{}")
    with pytest.raises(JournalError, match="fact type Lost is not known here; known: Tick"):
        codec.encode(lost(T0, 1))


def test_a_field_of_a_newer_version_is_ignored_and_one_of_an_older_is_filled() -> None:
    body = CODEC.encode(tick(T0, sites=0))[1]
    assert CODEC.decode("Tick", body.replace(b"{", b'{"colour":"red",', 1)) == tick(T0, sites=0)
    known = CODEC.encode(tick(T0))[1]
    assert CODEC.decode(
        "Tick", known.replace(b'"modelled":false,', b"").replace(b',"modelled":false', b"")
    ) == tick(T0)


@pytest.mark.parametrize("words", ["", "asked 9000000 W down for 1800 s, only 1 W can be held so long"])
def test_a_record_from_before_the_opt_had_a_code_keeps_its_words(words: str) -> None:
    """As version 0.1.0 wrote it, field for field."""
    record = {
        "by_site_w": [["dc0", 1.0]],
        "by_tier_w": [["battery", 1.0]],
        "delivered_regulation_w": 0.0,
        "instruction": "tso/007",
        "opt": "out",
        "opt_reason": words,
        "samples": 0,
        "samples_within": 0,
        "shortfall_w": 0.0,
        "state": "refused",
        "stopwatch": {"received_at": T0, "answered_at": T0, "ended_at": T0},
        "target_regulation_w": 0.0,
        "why": [{"code": "bind.missing", "values": [["w", "5"]]}],
    }
    body = json.dumps({"at": T0, "record": record}, sort_keys=True, separators=(",", ":")).encode()
    fact = CODEC.decode("Concluded", body)
    assert isinstance(fact, Concluded) and fact.record.opt_reason == words
    assert told(fact.record.opt_reason, "en") == told(fact.record.opt_reason, "ja") == words


def test_the_reason_of_an_opt_stands_as_code_and_values() -> None:
    reason = Reason(code="opt.short_up", values=(("w", "9"), ("seconds", "60"), ("room_w", "1")))
    delivery = Delivery(instruction=InstructionId("tso/007"), received_at=T0, opt="out", opt_reason=reason)
    kind, body = CODEC.encode(Concluded(at=T0, record=delivery.record()))
    assert json.loads(body)["record"]["opt_reason"]["code"] == "opt.short_up"
    fact = CODEC.decode(kind, body)
    assert isinstance(fact, Concluded) and fact.record.opt_reason == reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    at: float
    room: str
    nonces: frozenset[str] = frozenset()
    polls: tuple[tuple[str, int], ...] = ()


def _in_room(room: str) -> type:
    """The dataclass as if a northbound room had defined it."""
    return type("Registered", (Registered,), {"__module__": f"vpp_gateway.northbound.{room}.facts"})


def test_the_kind_of_a_session_fact_carries_its_room() -> None:
    assert kind_of(_in_room("openadr2")) == "openadr2.Registered"
    assert kind_of(Registered) == "Registered"
    two = FactCodec([_in_room("openadr2"), _in_room("openadr3")])
    with pytest.raises(JournalError, match=r"known: openadr2\.Registered, openadr3\.Registered"):
        two.decode("Registered", b"{}")


@given(st.frozensets(st.text()), st.lists(st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1))))
def test_session_facts_may_hold_sets_and_pairs(nonces: frozenset[str], polls: list[tuple[str, int]]) -> None:
    codec = FactCodec([Registered])
    fact = Registered(at=T0, room="tso", nonces=nonces, polls=tuple(polls))
    assert codec.decode(*codec.encode(fact)) == fact


def test_two_types_of_one_kind_are_refused() -> None:
    with pytest.raises(MisuseError, match=r"two fact types have the kind 'openadr2\.Registered'"):
        FactCodec([_in_room("openadr2"), _in_room("openadr2")])


def test_a_type_that_is_no_dataclass_is_refused() -> None:
    with pytest.raises(MisuseError, match="int is not a dataclass"):
        FactCodec([int])
