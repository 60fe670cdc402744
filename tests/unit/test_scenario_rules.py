"""Scenario files that cannot be meant: each is refused at its place in both languages, or played with a notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository import ROOT
from vpp_gateway.catalogue import LANGS, text
from vpp_gateway.settings import Settings, load_settings
from vpp_gateway.whatif.said import SpecError
from vpp_gateway.whatif.scenario import load_scenario, play_of
from vpp_gateway.whatif.scenario_words import Scenario
from vpp_gateway.yaml_source import InvalidFile, Problem

FOLDER = ROOT / "docs" / "scenarios"
GOOD = """\
after_s: 60
sites:
  tokyo-dc: {load_kw: 12000, soc: 0.55}
  kyushu-dc: {pv_curve: [[0, 100], [60, 200]]}
work:
  - {name: pause-tokyo, kind: pause, site: tokyo-dc, kw: 1600}
  - {name: cap-chubu, kind: cap, site: chubu-dc, kw: 800}
events:
  - down 1MW in 60s for 60s name=EV-1
failures:
  - battery tokyo-dc-bat-2 dead in 100s
"""
PAUSE = "{name: pause-tokyo, kind: pause, site: tokyo-dc, kw: 1600}"
LATE = "battery tokyo-dc-bat-2 dead in 180s"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(FOLDER / "gateway.yaml", files=False)


def written(folder: Path, *edits: tuple[str, str]) -> Path:
    content = GOOD
    for old, new in edits:
        assert content.count(old) == 1, old
        content = content.replace(old, new)
    path = folder / "case.yaml"
    path.write_text(content, "utf-8")
    return path


def problems(path: Path, settings: Settings, *events: str) -> tuple[Problem, ...]:
    with pytest.raises(InvalidFile) as caught:
        load_scenario(path, settings, events)
    return caught.value.problems


def notices(path: Path, settings: Settings) -> list[str]:
    return [
        text(row.code, "en", **dict(row.values))
        for row in play_of(settings, load_scenario(path, settings)).notices
    ]


def test_the_good_one_is_good(tmp_path: Path, settings: Settings) -> None:
    path = written(tmp_path)
    assert len(play_of(settings, load_scenario(path, settings)).work) == 2
    assert notices(path, settings) == []


@pytest.mark.parametrize(
    ("old", "new", "place", "key", "said"),
    [
        ("[0, 100]", "[0, -500]", "4:30", "sites.kyushu-dc.pv_curve[0][1]", "is -500; allowed: >= 0"),
        ("load_kw: 12000", "load_curve: [[0, 12000], [500, -90000]]", "3:45", "sites.tokyo-dc.load_curve[1][1]",
         "is -90000; allowed: >= 0"),
        ("load_kw: 12000", "load_curve: [[-5, 100]]", "3:28", "sites.tokyo-dc.load_curve[0][0]", "is -5; allowed: >= 0"),
        ("[60, 200]", "[0, 200]", "4:37", "sites.kyushu-dc.pv_curve[1][0]", "is 0 s after 0 s; allowed: seconds that rise"),
        ("load_kw: 12000", "load_curve: [[5, 12000], [4, 12000]]", "3:40", "sites.tokyo-dc.load_curve[1][0]", "is 4 s after 5 s"),
        ("load_kw: 12000", "load_kw: 12000, load_curve: [[0, 12000]]", "3:30", "sites.tokyo-dc.load_curve",
         "beside load_kw 12000 (line 3); allowed: one of the two"),
        ("name: cap-chubu", "name: pause-tokyo", "7:12", "work[1].name", "'pause-tokyo' is already used at line 6"),
        ("load_kw: 12000", "load_kw: 300", "6:58", "work[0].kw", "tokyo-dc takes at most 300 kW"),
        (PAUSE, PAUSE + "\n  - {name: b, kind: move, to: chubu-dc, site: tokyo-dc, kw: 10401}", "7:61", "work[1].kw",
         "earlier work takes 1600 kW of it away; allowed: at most 10400 kW"),
        ("battery tokyo-dc-bat-2 dead in 100s", LATE, "11:5", "failures[0]",
         "would happen at 180 s, but the play is over at 180 s (60 s after its last event at 120 s); allowed: before 180 s"),
        ("failures:", "  - up 1MW name=EV-1 in 70s for 1s\nfailures:", "10:5", "events[1]", "two events are named 'EV-1'"),
        ("name=EV-1", "known=2min", "9:5", "events[0]", "it is over at 120 s; allowed: before 120s"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_where_it_stands(
    tmp_path: Path, settings: Settings, old: str, new: str, place: str, key: str, said: str
) -> None:
    (found,) = problems(written(tmp_path, (old, new)), settings)
    assert (f"{found.line}:{found.column}", found.key) == (place, key), found.say()
    assert said in found.what("en")
    assert found.what("ja") != found.what("en") and all(found.what(lang) for lang in LANGS)


def test_further_events_make_the_play_longer(tmp_path: Path, settings: Settings) -> None:
    path = written(tmp_path, ("battery tokyo-dc-bat-2 dead in 100s", LATE))
    longer = "up 1MW in 2min for 1s"
    scenario = load_scenario(path, settings, [longer])
    assert play_of(settings, scenario, [longer]).faults[0].at_s == 180.0
    assert problems(path, settings)[0].code == "problem.whatif.never"


def test_without_events_nobody_knows_how_long_the_play_is(tmp_path: Path, settings: Settings) -> None:
    path = written(tmp_path, ("  - down 1MW in 60s for 60s name=EV-1\n", ""), ("events:\n", ""))
    assert load_scenario(path, settings).failures


@pytest.mark.parametrize(
    ("events", "failures", "code"),
    [
        (("down 1MW in 60s for 1s name=EV-1",), (), "name_twice"),
        (("down 1MW in 60s for 60s",), ("plug-in dead in 2h",), "never"),
        (("down 1MW in 60s for 60s known=3min",), (), "known_late"),
    ],
)
def test_lines_beside_a_scenario_are_held_to_the_same(
    tmp_path: Path, settings: Settings, events: tuple[str, ...], failures: tuple[str, ...], code: str
) -> None:
    scenario = load_scenario(written(tmp_path), settings)
    with pytest.raises(SpecError) as raised:
        play_of(settings, scenario, events, failures)
    assert raised.value.code == f"problem.whatif.{code}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("load_kw: 12000", "load_kw: 50000",
         "the load of tokyo-dc rises to 50000 kW, more than its contracted import of 20000 kW"),
        ("load_kw: 12000", "load_curve: [[0, 12000], [60, 1500]]",
         "the work of tokyo-dc can take 1600 kW away, more than its load of 1500 kW at its lowest"),
        ("kind: cap, site: chubu-dc, kw: 800", "kind: absorb, site: chubu-dc, kw: 15001",
         "work of 15001 kW can come to chubu-dc, more than its contracted import of 15000 kW and its PV take up"),
    ],
)  # fmt: skip
def test_what_can_be_so_is_played_with_a_notice(
    tmp_path: Path, settings: Settings, old: str, new: str, said: str
) -> None:
    assert notices(written(tmp_path, (old, new)), settings) == [said]


def test_profiles_that_were_not_looked_up_are_assumed(settings: Settings) -> None:
    own = settings.gateway.model_copy(update={"profile_dirs": (Path("own"),)})
    unknown = settings.model_copy(update={"gateway": own})
    events = ["down 1MW for 1min"]
    assert "whatif.assumed.profiles" in play_of(unknown, Scenario(), events).assumed
    assert "whatif.assumed.profiles" not in play_of(settings, Scenario(), events).assumed
