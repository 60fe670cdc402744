"""`vpp-gateway events why`: journals of plays with failures, told in both languages; the journal is only read."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from tests.repository import ROOT
from vpp_gateway.cli import root
from vpp_gateway.domain.fact import FACT_TYPES
from vpp_gateway.journal.archive import Retention
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.settings import load_settings
from vpp_gateway.whatif.house import play_out
from vpp_gateway.whatif.keep import ground_of, keep_play
from vpp_gateway.whatif.quiet import quiet_log
from vpp_gateway.whatif.scenario import load_scenario, play_of
from vpp_gateway.whatif.schemas import WHY, schema_texts
from vpp_gateway.whatif.why import why_of

SCENARIOS = ROOT / "docs" / "scenarios"
CONFIG = str(SCENARIOS / "gateway.yaml")
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")
SCENARIO = """
name: Short
seed: 3
work:
  - {name: pause-tokyo, kind: pause, site: tokyo-dc, kw: 800, units: 4, latency_s: 3, cost: 2}
  - {name: cap-chubu, kind: cap, site: chubu-dc, kw: 800, units: 4, latency_s: 3, cost: 9}
events:
  - down 3MW site=tokyo-dc,chubu-dc in 20s for 80s name=EV-1
  - down 50MW in 30s for 60s name=EV-2 priority=200
failures:
  - battery tokyo-dc-bat-1 dead in 60s
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A play with a failing battery and an event that is refused, kept."""
    return played(tmp_path_factory.mktemp("why"), SCENARIO)


def played(folder: Path, said: str) -> Path:
    """The folder of a play, as `simulate --keep` leaves it."""
    scenario = folder / "scenario.yaml"
    scenario.write_text(said, "utf-8")
    settings = load_settings(SCENARIOS / "gateway.yaml", files=False)
    play = play_of(settings, load_scenario(scenario, settings))
    with quiet_log():
        play_out(play, journal_at=keep_play(folder / "run", play))
    return folder / "run"


def why(folder: Path, event: str, *arguments: str) -> Result:
    told = ("events", "why", event, "--state-dir", str(folder), *arguments)
    return CliRunner(env={"COLUMNS": "400"}).invoke(root, told, catch_exceptions=False)


def document(folder: Path, event: str = "EV-1", *arguments: str) -> dict[str, object]:
    told = why(folder, event, "--json", *arguments)
    found = json.loads(told.output)
    jsonschema.validate(found, json.loads(schema_texts()[WHY]))
    assert isinstance(found, dict)
    return found


def changes(found: dict[str, object]) -> list[dict[str, Any]]:
    rows = found["changes"]
    assert isinstance(rows, list)
    return rows


def sentences(found: dict[str, object], kind: str) -> list[tuple[float, list[str]]]:
    """(Seconds after the start, codes) of the changes of a kind."""
    changes = found["changes"]
    assert isinstance(changes, list)
    return [(c["after_start_s"], [s["code"] for s in c["why"]]) for c in changes if c["kind"] == kind]


def copied(run: Path, folder: Path) -> Path:
    for name in ("journal.db", "journal.head", "run.json"):
        (folder / name).write_bytes((run / name).read_bytes())
    return folder


def test_the_event_is_told_from_its_answer_to_its_end(run: Path) -> None:
    found = document(run)
    assert found["event"] == "what-if/EV-1" and found["state"] == "completed"
    assert found["whole"] is True and found["within_10pct"] is True
    decisions = found["decisions_proven"]
    assert isinstance(decisions, int) and decisions > 100
    assert sentences(found, "answer")[0][1] == ["answer.in"]
    assert sentences(found, "phase") == [(0.0, ["phase.down"]), (80.0, ["phase.over"])]
    assert sentences(found, "shares")[0][1] == ["site.share", "site.share"]
    assert sentences(found, "over")[-1][1] == ["over.completed"]
    ordered = [code for _, codes in sentences(found, "order") for code in codes]
    assert {"order.ordered", "order.active", "order.back_at_end", "order.returned"} <= set(ordered)
    assert sentences(found, "hand_over")


MOVED = """
name: Moved
seed: 11
after_s: 10
work:
  - {name: move, kind: move, site: kyushu-dc, to: chubu-dc, kw: 600, units: 3, latency_s: 3, arrive_s: 2}
events:
  - up 1.5MW area=chubu in 20s for 40s name=B-up
  - down 0.5MW area=kyushu in 20s for 40s name=C-down
"""


def test_simulate_and_why_tell_the_same_hand_overs(tmp_path: Path) -> None:
    """Also of the event for which the work was not ordered."""
    scenario, kept = tmp_path / "moved.yaml", tmp_path / "run"
    scenario.write_text(MOVED, "utf-8")
    arguments = ("simulate", "--config", CONFIG, "--scenario", str(scenario), "--keep", str(kept), "--json")
    result = json.loads(CliRunner().invoke(root, arguments, catch_exceptions=False).stdout)
    for event in result["events"]:
        told = [
            (change["after_start_s"], float(sentence["values"]["w"]))
            for change in changes(document(kept, event["name"]))
            if change["kind"] == "hand_over"
            for sentence in change["why"]
        ]
        assert told == [
            (over["real_s"] - event["start_s"], abs(over["grown_regulation_w"]))
            for over in event["hand_overs"]
        ]
        assert told, event["name"]
        assert all(over["lasted_s"] == over["real_s"] - over["ordered_s"] for over in event["hand_overs"])


def test_what_was_left_is_told_with_its_price(run: Path) -> None:
    changes = document(run)["changes"]
    assert isinstance(changes, list)
    left = [s for c in changes if c["kind"] == "plan" for s in c["why"] if s["code"].startswith("lever.")]
    dear = [s for s in left if s["values"]["offer"] == "work: cap chubu-dc"]
    assert dear and all(s["values"]["cost"] == "9" and "cost 9" in s["text"] for s in dear)


def test_the_battery_that_fails_and_who_takes_over(run: Path) -> None:
    at, codes = sentences(document(run), "failure")[0]
    assert 40.0 <= at <= 45.0 and codes == ["battery.gone", "battery.taken_over"]
    english, japanese = why(run, "EV-1").output, why(run, "EV-1", "--lang", "ja").output
    assert "tokyo-dc-bat-1 at tokyo-dc cannot be used (no answer)" in english
    assert "tokyo-dc の tokyo-dc-bat-1 は使えない(応答がない)" in japanese
    assert "引き継ぎ完了" in japanese and "費用 9" in japanese


def test_every_sentence_exists_in_japanese(run: Path) -> None:
    for event in ("EV-1", "EV-2"):
        changes = document(run, event)["changes"]
        assert isinstance(changes, list)
        for sentence in (s for c in changes for s in c["why"]):
            assert JAPANESE.search(sentence["text_ja"]) and not JAPANESE.search(sentence["text"])
            assert sentence["text"].endswith(".") and sentence["text_ja"].endswith("。")


def test_an_event_that_was_refused(run: Path) -> None:
    found = document(run, "what-if/EV-2")
    assert found["state"] == "refused" and found["within_10pct"] is None
    assert sentences(found, "answer") == [(-30.0, ["answer.out", "opt.short_down", "opt.held"])]
    (answer,) = (c for c in changes(found) if c["kind"] == "answer")
    assert answer["why"][2]["values"] == {"other": "what-if/EV-1", "sites": "tokyo-dc, chubu-dc"}


def test_one_second_in_full(run: Path) -> None:
    second = document(run, "EV-1", "--at", "+30")["second"]
    assert isinstance(second, dict)
    assert second["target_regulation_w"] == 3e6 and second["short_w"] == 0.0
    given = sum(battery["regulation_w"] for battery in second["batteries"])
    assert second["battery_regulation_w"] == pytest.approx(given, rel=0.05)
    assert second["delivered_regulation_w"] == pytest.approx(3e6, rel=0.05)
    assert second["orders"]
    assert {site["site"] for site in second["sites"]} == {"tokyo-dc", "chubu-dc"}
    assert second["rejected"] and second["called"]
    told = why(run, "EV-1", "--at", "+60", "--lang", "ja")
    assert told.exit_code == 0
    assert "目標" in told.output and "tokyo-dc-bat-1 は使えない" in told.output and "不使用" in told.output


def test_times_as_they_stand_in_the_table(run: Path) -> None:
    row = next(line for line in why(run, "EV-1").output.splitlines() if "From here on" in line)
    same = why(run, "EV-1", "--at", row[:8])
    assert same.exit_code == 0 and row[:8] in same.output
    start_at = document(run)["start_at"]
    by_date = document(run, "EV-1", "--at", "2026-09-21T23:18:50+09:00")
    assert by_date["start_at"] == start_at


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("EV-9",), 1, "there is no event 'EV-9'; known: what-if/EV-1, what-if/EV-2"),
        (("EV-1", "--at", "noon"), 1, "--at 'noon' is no time; allowed:"),
        (("EV-1", "--at", "25:00"), 1, "--at '25:00' is no time"),
        (("EV-1", "--at", "+5000"), 1, "the journal has no reading of"),
        (("EV-2", "--at", "+5"), 1, "the journal has no reading with this event"),
    ],
)
def test_what_cannot_be_told_is_said(run: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    told = why(run, arguments[0], *arguments[1:])
    assert told.exit_code == code and said in told.output


def test_without_a_journal_or_its_configuration(run: Path, tmp_path: Path) -> None:
    told = why(tmp_path, "EV-1")
    assert told.exit_code == 1 and "there is no journal" in told.output
    folder = copied(run, tmp_path)
    (folder / "run.json").unlink()
    assert "--config" in why(folder, "EV-1").output
    told = why(folder, "EV-1", "--config", CONFIG)
    assert told.exit_code == 1 and "the configuration has no 'work'" in told.output


def test_the_journal_is_only_read_also_while_it_is_written(run: Path, tmp_path: Path) -> None:
    folder = copied(run, tmp_path)
    with Journal.open(folder / "journal.db", FactCodec(FACT_TYPES), reserve_bytes=0) as journal:
        there = sorted(path.name for path in folder.iterdir())
        before, head = hashlib.sha256((folder / "journal.db").read_bytes()).digest(), journal.head
        assert why(folder, "EV-1").exit_code == 0
        assert sorted(path.name for path in folder.iterdir()) == there
        assert CliRunner().invoke(root, ["replay", str(folder)]).exit_code == 0
        assert journal.head == head and journal.verify().problem == ""
        assert hashlib.sha256((folder / "journal.db").read_bytes()).digest() == before


def test_archived_readings_are_said_and_the_rest_is_told(run: Path, tmp_path: Path) -> None:
    folder = copied(run, tmp_path)
    start_at = document(run)["start_at"]
    assert isinstance(start_at, float)
    archive(folder, start_at + 20.0)
    told = why(folder, "EV-1")
    assert told.exit_code == 6
    assert "were archived or lost: nothing can be told of these seconds" in told.output
    found = document(folder)
    assert found["whole"] is False and found["gaps"]
    assert sentences(found, "over")[-1][1] == ["over.completed"]


def test_an_event_of_which_all_readings_are_gone_is_told_by_its_record(run: Path, tmp_path: Path) -> None:
    folder = copied(run, tmp_path)
    start_at = document(run)["start_at"]
    assert isinstance(start_at, float)
    archive(folder, start_at + 1000.0)
    told = why(folder, "EV-1", "--lang", "ja")
    assert told.exit_code == 6 and "もうジャーナルにありません" in told.output
    assert "費用" in told.output


def archive(folder: Path, before: float) -> None:
    with Journal.open(folder / "journal.db", FactCodec(FACT_TYPES), reserve_bytes=0) as journal:
        retention = Retention(journal)
        while retention.compact(before):
            assert journal.problem == ""


def test_another_configuration_than_that_of_the_run_is_noticed(run: Path, tmp_path: Path) -> None:
    folder = copied(run, tmp_path)
    kept = json.loads((folder / "run.json").read_text("utf-8"))
    kept["policy"]["baseline_window_s"] = 5.0
    (folder / "run.json").write_text(json.dumps(kept), "utf-8")
    told = why(folder, "EV-1")
    assert told.exit_code == 6 and "the replay decides otherwise than the run did from" in told.output
    assert document(folder)["replay_differs_at"] is not None


LOST = """
name: Lost
events:
  - down 1MW area=tokyo in 20s for 80s name=EV-1
failures:
  - meter tokyo-dc-meter dead in 40s for 15s
  - link tokyo-dc in 65s for 20s
"""


def test_a_meter_and_a_link_that_are_lost(tmp_path: Path) -> None:
    found = document(played(tmp_path, LOST))
    codes = [code for _, codes in sentences(found, "failure") for code in codes]
    assert [code for code in codes if code.startswith("meter.")][:2] == ["meter.check", "meter.back"]
    lost, back = [code for code in codes if code.startswith("site.")]
    assert lost in ("site.alone", "site.gone") and back == "site.back"
    assert found["whole"] is True


def test_an_event_that_still_runs_is_told_so_far(run: Path, tmp_path: Path) -> None:
    """Half of a journal is the journal of a gateway in mid-event."""
    ground = ground_of(run)
    assert ground is not None
    types = FactCodec(FACT_TYPES)
    start_at = document(run)["start_at"]
    assert isinstance(start_at, float)
    with (
        Journal.open(run / "journal.db", types, reserve_bytes=0) as whole,
        Journal.open(tmp_path / "journal.db", types, reserve_bytes=0) as half,
    ):
        half.append([record.fact for record in whole.records() if record.at < start_at + 30.0])
    found = why_of(tmp_path / "journal.db", ground, "EV-1")
    assert found.record is None and found.whole
    assert found.seen is not None and found.seen[1] < start_at + 30.0
    assert [row.kind for row in found.rows][:2] == ["answer", "plan"]
