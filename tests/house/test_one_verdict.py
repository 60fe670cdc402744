"""Overlapping events, limits and short events: `simulate` judges at the true meters, `events why` by the journal, alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from tests.repository import ROOT
from vpp_gateway.cli import root
from vpp_gateway.whatif.schemas import RESULT, WHY, schema_texts

CONFIG = str(ROOT / "docs" / "scenarios" / "gateway.yaml")
Found = dict[str, Any]


def call(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "400"}).invoke(root, arguments, catch_exceptions=False)


@dataclass(frozen=True)
class Played:
    """A play that was kept: its result, its exit code, its table, and the explanation of its events."""

    folder: Path
    result: Found
    code: int
    table: str

    def event(self, name: str) -> Found:
        found: Found = next(event for event in self.result["events"] if event["name"] == name)
        return found

    def why(self, name: str, *arguments: str) -> Result:
        return call("events", "why", name, "--state-dir", str(self.folder), *arguments)

    def explained(self, name: str, *arguments: str) -> Found:
        found: Found = json.loads(self.why(name, "--json", *arguments).output)
        jsonschema.validate(found, json.loads(schema_texts()[WHY]))
        return found

    def said(self, name: str) -> list[Found]:
        """Every reason of its explanation."""
        return [reason for change in self.explained(name)["changes"] for reason in change["why"]]

    def one(self, name: str, code: str) -> Found:
        """The only reason of this code."""
        (found,) = (reason for reason in self.said(name) if reason["code"] == code)
        return found


def played(folder: Path, *events: str, failures: tuple[str, ...] = ()) -> Played:
    said = [word for event in events for word in ("--event", event)]
    said += [word for failure in failures for word in ("--failure", failure)]
    table = call("simulate", "--config", CONFIG, *said, "--keep", str(folder / "run"))
    told = call("simulate", "--config", CONFIG, *said, "--json")
    result = json.loads(told.output)
    jsonschema.validate(result, json.loads(schema_texts()[RESULT]))
    assert table.exit_code == told.exit_code
    return Played(folder=folder / "run", result=result, code=told.exit_code, table=table.output)


# -- events that overlap -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """E2 is more urgent and takes the only site of E1 for a minute."""
    return played(
        tmp_path_factory.mktemp("taken"),
        "down 2MW site=tokyo-dc in 30s for 2min",
        "up 1MW site=tokyo-dc in 60s for 1min priority=0",
    )


def test_seconds_that_another_event_rules_are_not_held_against_the_loser(taken: Played) -> None:
    event, told = taken.event("E1"), taken.one("E1", "over.completed")
    assert taken.code == 0 and event["met"] is True and taken.explained("E1")["within_10pct"] is True
    assert told["values"]["percent"] == f"{event['share_within_10pct']:.1%}" == "98.0%"
    assert float(told["values"]["w"]) == pytest.approx(event["delivered_regulation_w"], rel=1e-3)
    assert event["samples"] == 50 and event["unreported_samples"] == 0
    assert event["samples_elsewhere"] == 60
    assert event["ruled_elsewhere"] == [{"site": "tokyo-dc", "event": "E2", "seconds": 60}]
    assert taken.event("E2")["met"] is True and taken.event("E2")["ruled_elsewhere"] == []


def test_they_are_named_in_both_places(taken: Played) -> None:
    assert "E1: E2 ruled tokyo-dc for 60 s of it: what the site gave then counts for E2 alone." in taken.table
    assert "E1: 60 s in which others ruled all of its sites are not counted." in taken.table
    assert taken.one("E1", "over.elsewhere")["values"] == {
        "site": "tokyo-dc",
        "other": "what-if/E2",
        "seconds": "60",
    }
    assert taken.one("E1", "over.not_counted")["values"] == {"seconds": "60"}
    assert "60 秒、tokyo-dc は what-if/E2 に従った" in taken.why("E1", "--lang", "ja").output


def test_the_reason_at_each_second_is_true(taken: Played) -> None:
    off = [c for c in taken.explained("E1")["changes"] if c["kind"] == "shortfall"]
    assert [round(change["after_start_s"]) for change in off] == [90, 91], "not while another rules its site"
    assert "-999.6 instead of 2000.0 kW" in off[0]["why"][0]["text"]
    second = taken.explained("E1", "--at", "+60")["second"]
    assert second["counts"] is False and second["sites"] == []
    assert [r["code"] for r in second["ruled_elsewhere"]] == ["phase.taken"]
    told = taken.why("E1", "--at", "+60").output
    assert "+2.00 MW, but not in this second: others rule all of its sites" in told
    assert "tokyo-dc is ruled by what-if/E2, which is more urgent." in told and "delivered" not in told
    assert "より優先度の高い what-if/E2 に従う" in taken.why("E1", "--at", "+60", "--lang", "ja").output


def test_what_a_site_gives_counts_once_and_equals_are_not_called_more_urgent(tmp_path: Path) -> None:
    run = played(tmp_path, "down 1MW area=tokyo in 30s for 2min", "down 1MW in 60s for 2min")
    event, told = run.event("E2"), run.one("E2", "over.completed")
    assert run.code == 0 and event["met"] is True
    assert event["delivered_regulation_w"] == pytest.approx(1.01e6, rel=0.01)
    assert told["values"]["percent"] == f"{event['share_within_10pct']:.1%}"
    assert event["samples"] == 110 and event["samples_elsewhere"] == 0
    assert event["ruled_elsewhere"] == [{"site": "tokyo-dc", "event": "E1", "seconds": 90}]
    assert sum(event["by_site_w"].values()) == pytest.approx(event["delivered_regulation_w"], rel=1e-9)
    assert sum(event["by_tier_w"].values()) == pytest.approx(event["delivered_regulation_w"], rel=1e-9)
    assert run.one("E2", "phase.taken_earlier")["values"] == {"site": "tokyo-dc", "other": "what-if/E1"}
    assert "more urgent" not in run.why("E2").output
    second = run.explained("E2", "--at", "+40")["second"]
    assert second["counts"] is True and {site["site"] for site in second["sites"]} == {
        "chubu-dc",
        "kyushu-dc",
    }
    assert [r["code"] for r in second["ruled_elsewhere"]] == ["phase.taken_earlier"]


def test_an_event_that_never_rules_anything_cannot_be_judged(tmp_path: Path) -> None:
    run = played(
        tmp_path,
        "down 1MW site=tokyo-dc in 40s for 60s",
        "up 1MW site=tokyo-dc in 30s for 90s known=5s priority=0",
    )
    event = run.event("E1")
    assert run.code == 5 and event["opt"] == "in" and event["met"] is None and event["samples"] == 0
    assert "? E1" in run.table and "E1: No second was counted, so nothing can be judged" in run.table
    assert event["samples_elsewhere"] == 60
    assert run.explained("E1")["within_10pct"] is None


def test_of_a_refused_event_it_is_said_who_holds_its_site(tmp_path: Path) -> None:
    run = played(tmp_path, "down 1MW site=tokyo-dc in 30s for 2min", "up 1MW site=tokyo-dc in 30s for 2min")
    event = run.event("E2")
    assert run.code == 5 and event["opt"] == "out" and event["met"] is False
    assert event["reason"].endswith(
        "only 0.0 kW can be held so long; in that time tokyo-dc is ruled by E1, which goes before it"
    )
    assert "E1 が tokyo-dc を使う" in event["reason_ja"]
    assert run.one("E2", "opt.held")["values"] == {"other": "what-if/E1", "sites": "tokyo-dc"}


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_limit_that_is_held(tmp_path: Path) -> None:
    run = played(tmp_path, "limit 9MW site=tokyo-dc in 30s for 2min")
    event = run.event("E1")
    assert run.code == 0 and event["met"] is True and event["samples"] == 110
    (site,) = event["limit"]["sites"]
    assert event["limit"]["import_max_w"] == 9e6 and site["held"] is True
    assert site["import_w"] == pytest.approx(9e6, rel=0.005) and site["samples_broken"] == 0
    assert 0.0 < site["worst_excess_w"] < 90e3 and 0 < site["samples_above"] < 110
    assert "✔ E1" in run.table and "E1: Held at tokyo-dc: import of 900" in run.table
    found = run.explained("E1")
    assert found["limit_held"] is True and found["within_10pct"] is None
    told = run.one("E1", "limit.held_near")
    assert told["values"]["total_w"] == "9000000" and "kW missing" not in run.why("E1").output


def test_a_second_of_a_limit_tells_import_limit_and_margin(tmp_path: Path) -> None:
    run = played(tmp_path, "limit 9MW site=tokyo-dc in 30s for 2min")
    (site,) = run.explained("E1", "--at", "+60")["second"]["sites"]
    assert site["import_max_w"] == 9e6 and site["margin_w"] == pytest.approx(9e6 - site["import_w"])
    assert site["delivered_regulation_w"] == pytest.approx(site["baseline_import_w"] - site["import_w"])
    told = run.why("E1", "--at", "+60").output
    assert "9000.0 kW at most are allowed: margin" in told and "target" not in told
    assert "上限 9000.0 kW、余力" in run.why("E1", "--at", "+60", "--lang", "ja").output


def test_a_limit_that_is_not_held(tmp_path: Path) -> None:
    run = played(
        tmp_path,
        "limit 9MW site=tokyo-dc,chubu-dc in 30s for 2min",
        failures=("battery tokyo-dc-bat-1 dead in 60s",),
    )
    event = run.event("E1")
    assert run.code == 5 and event["met"] is False
    tokyo, chubu = event["limit"]["sites"]
    assert tokyo["held"] is False and tokyo["samples_broken"] >= 89 and tokyo["worst_excess_w"] > 1.4e6
    assert chubu["held"] is True
    assert "✖ E1" in run.table and "E1: Not held at tokyo-dc" in run.table
    assert run.why("E1").exit_code == 5 and run.explained("E1")["limit_held"] is False
    assert run.one("E1", "limit.passed")["values"]["site"] == "tokyo-dc"
    assert int(run.one("E1", "limit.broken")["values"]["broken"]) == pytest.approx(
        tokyo["samples_broken"], abs=2
    )


def test_an_event_that_a_limit_pushes_off_its_order_says_so(tmp_path: Path) -> None:
    run = played(
        tmp_path, "down 1MW site=tokyo-dc in 30s for 1min", "limit 9MW site=tokyo-dc in 60s for 1min"
    )
    event, told = run.event("E1"), run.one("E1", "over.completed")
    assert run.code == 5 and event["met"] is False and run.explained("E1")["within_10pct"] is False
    assert told["values"]["percent"] == f"{event['share_within_10pct']:.1%}"
    codes = [reason["code"] for reason in run.said("E1")]
    assert "band.limited" in codes and "held.limit" in codes
    assert "short.begun" not in codes and "band.off" not in codes
    assert run.event("E2")["met"] is True
    assert "E1: E2 limits tokyo-dc in its time, and a limit goes before every order." in run.table


def test_a_setpoint_is_judged_by_what_it_asked_of_the_sites_that_it_ruled(tmp_path: Path) -> None:
    """With another site out of it the same import is another change: the last one is not what counts."""
    run = played(
        tmp_path, "setpoint 24MW in 30s for 90s", "down 0.5MW site=kyushu-dc in 60s for 60s priority=0"
    )
    event, told = run.event("E1"), run.one("E1", "over.completed")
    target_w = event["target_regulation_w"]
    assert float(told["values"]["total_w"]) == pytest.approx(abs(target_w), rel=0.02)
    assert run.explained("E1")["within_10pct"] is event["met"]


def test_a_limit_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "limit.png"
    said = ("--event", "limit 9MW site=tokyo-dc in 30s for 60s", "--png", str(path))
    assert call("simulate", "--config", CONFIG, *said).exit_code == 0
    with_panel = path.stat().st_size
    refused = ("--event", "limit 1MW site=tokyo-dc in 30s for 60s", "--png", str(path))
    assert call("simulate", "--config", CONFIG, *refused).exit_code == 5
    assert with_panel > path.stat().st_size


# -- what counts, and what is called what ------------------------------------------------------------------------------


def test_an_event_too_short_to_be_judged_says_so(tmp_path: Path) -> None:
    run = played(tmp_path, "down 1MW site=tokyo-dc in 30s for 5s")
    assert run.code == 5 and run.event("E1")["met"] is None
    assert "seconds count from the 10th after the start on" in run.table
    assert "seconds count from the 10th" in run.one("E1", "over.completed_unmeasured")["text"]


def test_without_work_the_rest_is_no_workload(taken: Played) -> None:
    told = taken.why("E1", "--at", "+20").output
    assert "workload 0.00 MW, rest " in told
    second = taken.explained("E1", "--at", "+20")["second"]
    assert second["rest_regulation_w"] == pytest.approx(
        second["delivered_regulation_w"] - second["battery_regulation_w"]
    )
    assert "その他 " in taken.why("E1", "--at", "+20", "--lang", "ja").output


def test_ordered_and_given_are_told_apart_and_a_cost_is_explained(tmp_path: Path) -> None:
    """In the second in which a battery has died the others are ordered its part and do not give it yet."""
    scenario = ROOT / "docs" / "scenarios" / "hand-over.yaml"
    folder = tmp_path / "run"
    call("simulate", "--config", CONFIG, "--scenario", str(scenario), "--keep", str(folder))
    told = call("events", "why", "EV-1", "--state-dir", str(folder), "--at", "+420", "--json")
    second = json.loads(told.output)["second"]
    ordered = sum(battery["regulation_w"] for battery in second["batteries"])
    given = sum(battery["given_regulation_w"] or 0.0 for battery in second["batteries"])
    assert given == pytest.approx(second["battery_regulation_w"]) and ordered > 1.2 * given
    text = call("events", "why", "EV-1", "--state-dir", str(folder), "--at", "+420").output
    assert "tokyo-dc-bat-1 at tokyo-dc is ordered 990.5 kW" in text and "It gives 724.4 kW." in text
    assert "workload and rest +" in text
    assert "cost 0.75, half of its own while it stands" in text and "relative price of 1 kW" in text
