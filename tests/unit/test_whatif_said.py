"""Lines of events and failures: what they mean, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from vpp_gateway.catalogue import LANGS, text
from vpp_gateway.domain.instruction import Delta, Limit, Setpoint, SiteId
from vpp_gateway.whatif.said import Known, SpecError, event_said, fault_said

KNOWN = Known(
    {SiteId("dc-1"): "tokyo", SiteId("dc-2"): "tokyo", SiteId("dc-3"): "chubu"},
    ["dc-1-bat-1", "dc-1-bat-2"],
    ["dc-1-meter"],
)


def test_an_event_in_full() -> None:
    asked = event_said("down 2MW area=tokyo in 60s for 15min priority=0 name=EV-7 known=10s", KNOWN, "E1")
    assert asked.demand == Delta(regulation_w=2e6)
    assert asked.scope == ("dc-1", "dc-2")
    assert (asked.start_s, asked.duration_s, asked.end_s) == (60.0, 900.0, 960.0)
    assert (asked.rank, asked.name, asked.received_s) == (0, "EV-7", 10.0)


def test_what_is_left_out_and_in_any_order() -> None:
    plain = event_said("up 500kW", KNOWN, "E1")
    assert plain.demand == Delta(regulation_w=-5e5)
    assert (plain.scope, plain.start_s, plain.duration_s, plain.name) == ((), 60.0, 900.0, "E1")
    turned = event_said("up 0.5MW for 1.5h site=dc-3,dc-1 in 2min", KNOWN, "E1")
    assert (turned.scope, turned.start_s, turned.duration_s) == (("dc-3", "dc-1"), 120.0, 5400.0)


def test_the_other_demands() -> None:
    assert event_said("setpoint 8MW site=dc-1", KNOWN, "E").demand == Setpoint(import_w=8e6)
    assert event_said("limit 9MW site=dc-1", KNOWN, "E").demand == Limit(import_max_w=9e6, export_max_w=None)


def test_an_event_may_be_known_after_its_start_but_not_after_its_end() -> None:
    late = event_said("down 1MW known=1min in 10s for 51s", KNOWN, "E")
    assert (late.received_s, late.begins_s) == (60.0, 60.0)
    assert event_said("down 1MW known=5s in 10s for 51s", KNOWN, "E").begins_s == 10.0
    with pytest.raises(SpecError) as raised:
        event_said("down 1MW known=1min in 10s for 50s", KNOWN, "E")
    for lang in LANGS:
        told = text(raised.value.code, lang, **raised.value.values)
        assert "'known=60s'" in told and "60s" in told and ("word 3" in told or "3 語目" in told)


def test_the_wrong_word_is_counted_where_it_stands() -> None:
    with pytest.raises(SpecError) as raised:
        event_said("down 2MW in 60 for 2min name=a", KNOWN, "E")
    assert raised.value.values["word"] == "4"


@pytest.mark.parametrize(
    ("said", "what", "how", "where", "at_s", "for_s"),
    [
        ("battery dc-1-bat-2 refusing in 5min for 60s", "battery", "refusing", "dc-1-bat-2", 300.0, 60.0),
        ("meter dc-1-meter stuck", "meter", "stuck", "dc-1-meter", 300.0, None),
        ("plug-in in 3min", "plug-in", "dead", "work", 180.0, None),
        ("plug-in liar", "plug-in", "liar", "work", 300.0, None),
        ("link dc-2 in 90s for 30s", "link", "cut", "dc-2", 90.0, 30.0),
        ("site dc-3", "site", "agent", "dc-3", 300.0, None),
    ],
)
def test_failures(said: str, what: str, how: str, where: str, at_s: float, for_s: float | None) -> None:
    fault = fault_said(said, KNOWN)
    assert (fault.what, fault.how, fault.where, fault.at_s, fault.for_s) == (what, how, where, at_s, for_s)


@pytest.mark.parametrize(
    ("said", "word", "allowed"),
    [
        ("down", "down", "down 2MW in 60s for 15min"),
        ("dwn 2MW", "dwn", "did you mean 'down'?"),
        ("down 2", "2", "2MW, 500kW"),
        ("down 2mw", "2mw", "MW"),
        ("down -2MW", "-2MW", "2MW, 500kW"),
        ("down nanMW", "nanMW", "2MW, 500kW"),
        ("down 2MW area=tokio", "tokio", "did you mean 'tokyo'?"),
        ("down 2MW site=dc-1,dc-9", "dc-9", "dc-1, dc-2, dc-3"),
        ("down 2MW in", "in", "60s, 15min, 1.5h"),
        ("down 2MW in 60", "60", "60s, 15min, 1.5h"),
        ("down 2MW for 0s", "0s", "1s - 24h"),
        ("down 2MW for 25h", "25h", "1s - 24h"),
        ("down 2MW in 5s in 6s", "in", "once"),
        ("down 2MW colour=red", "colour=", "area=, site="),
        ("down 2MW now", "now", "in, for"),
        ("down 2MW area=", "area=", "in, for"),
        ("down 2MW priority=-1", "-1", "0 - 1000"),
        ("down 2MW name=a/b", "a/b", "1-64"),
    ],
)
def test_a_wrong_event_is_named_with_what_is_allowed(said: str, word: str, allowed: str) -> None:
    with pytest.raises(SpecError) as raised:
        event_said(said, KNOWN, "E")
    told = text(raised.value.code, "en", **raised.value.values)
    assert f"'{word}'" in told and allowed in told
    for lang in LANGS:
        assert text(raised.value.code, lang, **raised.value.values)


@pytest.mark.parametrize(
    ("said", "word", "allowed"),
    [
        ("", "", "battery dc-1-bat-2 dead in 5min"),
        ("batery dc-1-bat-1", "batery", "did you mean 'battery'?"),
        ("battery", "battery", "dc-1-bat-1, dc-1-bat-2"),
        ("battery dc-1-bat-9", "dc-1-bat-9", "dc-1-bat-1"),
        ("battery dc-1-bat-1 broken", "broken", "in, for"),
        ("link dc-1 for", "for", "60s"),
    ],
)
def test_a_wrong_failure_is_named(said: str, word: str, allowed: str) -> None:
    with pytest.raises(SpecError) as raised:
        fault_said(said, KNOWN)
    told = text(raised.value.code, "en", **raised.value.values)
    assert f"'{word}'" in told and allowed in told
