"""`vpp-gateway simulate` and `replay`, as an operator calls them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from tests.repository import ROOT
from vpp_gateway.cli import root
from vpp_gateway.whatif.picture import has_matplotlib
from vpp_gateway.whatif.schemas import RESULT, schema_texts

CONFIG = str(ROOT / "docs" / "scenarios" / "gateway.yaml")
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
SHORT = ("--event", "down 1MW area=tokyo in 20s for 60s name=EV-1")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(root, arguments, catch_exceptions=False)


def simulate(*arguments: str) -> Result:
    return call("simulate", "--config", CONFIG, *arguments)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short play, kept."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    assert simulate(*SHORT, "--keep", str(folder)).exit_code == 0
    return folder


def copy_of(kept: Path, folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes((kept / name).read_bytes())
    return folder


def test_the_table_says_what_was_asked_and_delivered() -> None:
    told = simulate(*SHORT)
    assert told.exit_code == 0, told.output
    flat = " ".join(told.output.split())
    assert "EV-1" in flat and "+1.000" in flat and "battery" in flat and "tokyo-dc" in flat
    assert "every power is modelled" in flat and "assumed:" in flat


def test_json_is_the_same_play_again_and_its_schema_is_kept() -> None:
    first, second = (simulate(*SHORT, "--json", "--seed", "5") for _ in range(2))
    assert first.output == second.output
    document = json.loads(first.output)
    jsonschema.validate(document, json.loads(schema_texts()[RESULT]))
    (event,) = document["events"]
    assert event["met"] is True and event["opt"] == "in" and event["share_within_10pct"] >= 0.99
    assert event["delivered_regulation_w"] == pytest.approx(1e6, rel=0.02)
    assert sum(event["by_tier_w"].values()) == pytest.approx(event["delivered_regulation_w"], rel=1e-9)
    assert sum(event["by_site_w"].values()) == pytest.approx(event["delivered_regulation_w"], rel=1e-9)


def test_what_cannot_be_delivered_is_refused_with_the_reason() -> None:
    told = simulate("--event", "down 50MW in 20s for 60s")
    assert told.exit_code == 5
    assert "opted out" in told.output and "50000" in told.output.replace(",", "")


def test_japanese() -> None:
    told = simulate("--lang", "ja", *SHORT)
    assert "実績" in told.output and "目標" in told.output and "推定値" in told.output


@pytest.mark.parametrize("option", ["event", "failure"])
def test_a_line_that_is_wrong_is_refused_before_anything_is_played(option: str) -> None:
    told = simulate(f"--{option}", "dwn 2MW")
    assert told.exit_code == 2
    assert f"--{option} 'dwn 2MW': word 1, 'dwn'" in told.output


def test_an_order_that_comes_after_its_start_is_played_as_late() -> None:
    line = "down 1MW in 20s for 60s name=EV-1"
    late, prompt = (
        json.loads(simulate("--event", f"{line} {known}", "--json").output)["events"][0]
        for known in ("known=50s", "known=0s")
    )
    assert (late["opt"], late["met"], late["received_s"]) == ("in", True, 50.0)
    assert (late["samples"], prompt["samples"]) == (20, 50)
    assert 30.0 < late["reached_after_s"] <= 33.0 and prompt["reached_after_s"] < 3.0
    told = simulate("--event", f"{line} known=50s")
    assert "EV-1: received 30 s after its start; 20 s count, from 10 s after that" in told.output
    assert "received" not in simulate("--event", line).output
    limit = simulate("--lang", "ja", "--event", "limit 11MW site=tokyo-dc in 20s for 60s name=L known=50s")
    assert "L: 開始の 30 秒後に受信\n" in limit.output


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_line_that_comes_to_nothing_is_refused(lang: str) -> None:
    told = simulate("--lang", lang, *SHORT, "--failure", "battery tokyo-dc-bat-1 dead in 2h")
    assert told.exit_code == 2
    assert "--failure 'battery tokyo-dc-bat-1 dead in 2h'" in told.output
    assert "7200" in told.output and "140" in told.output
    told = simulate("--lang", lang, "--event", "down 1MW in 20s for 60s known=80s")
    assert told.exit_code == 2 and "'known=80s'" in told.output
    told = simulate("--lang", lang, *SHORT, *SHORT)
    assert told.exit_code == 2 and "'EV-1'" in told.output


def test_a_load_beyond_the_contract_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("sites:\n  tokyo-dc: {load_kw: 50000}\n", "utf-8")
    told = simulate("--scenario", str(path), *SHORT, "--json")
    document = json.loads(told.output)
    jsonschema.validate(document, json.loads(schema_texts()[RESULT]))
    assert (
        "contracted import of 20000 kW" in document["notices"][0] and "契約電力" in document["notices_ja"][0]
    )
    assert (
        "notice: the load of tokyo-dc rises to 50000 kW" in simulate("--scenario", str(path), *SHORT).output
    )


def test_nothing_asked() -> None:
    assert simulate().exit_code == 2


def test_every_mistake_of_a_scenario_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "seed: 1\nwork:\n  - {name: a, kind: move, site: tokyo-dc, kw: 3}\nsites:\n  nowhere: {soc: 0.5}\n"
        "events:\n  - down 2MW\n  - dwn 3MW\nfailures:\n  - battery nothing\n",
        "utf-8",
    )
    told = simulate("--scenario", str(path))
    assert told.exit_code == 3
    for place in (":3:5: work[0]", ":5:3: sites.nowhere", ":8:5: events[1]", ":10:5: failures[0]"):
        assert f"bad.yaml{place}" in told.output, told.output
    path.write_text("sead: 1\nsites:\n  tokyo-dc: {load_kw: -1, pv_curve: [[0, .nan]]}\n", "utf-8")
    told = simulate("--scenario", str(path))
    assert told.exit_code == 3
    assert "did you mean 'seed'?" in told.output and ">= 0" in told.output and "finite" in told.output


def test_a_picture(tmp_path: Path) -> None:
    assert has_matplotlib(), "make dev installs the extra [simulate]"
    path = tmp_path / "out.png"
    assert simulate(*SHORT, "--png", str(path)).exit_code == 0
    assert path.read_bytes().startswith(PNG_HEAD) and path.stat().st_size > 20_000
    told = simulate(*SHORT, "--png", str(tmp_path / "nowhere" / "out.png"))
    assert told.exit_code == 1 and "cannot be written" in told.output


def test_a_folder_that_holds_a_journal_is_not_written_over(kept: Path) -> None:
    told = simulate(*SHORT, "--keep", str(kept))
    assert told.exit_code == 1 and "holds a journal already" in told.output


def test_the_replay_is_identical(kept: Path) -> None:
    told = call("replay", str(kept), "--json")
    assert told.exit_code == 0, told.output
    document = json.loads(told.output)
    assert document["identical"] is True
    assert document["compared"] == document["decisions"] > 20
    assert call("replay", str(kept / "journal.db"), "--lang", "ja").output.count("一致") == 1


def test_a_decision_that_differs_is_named(kept: Path, tmp_path: Path) -> None:
    folder = copy_of(kept, tmp_path, "journal.db", "journal.head", "run.json", "decisions.jsonl")
    lines = (folder / "decisions.jsonl").read_text("utf-8").splitlines()
    number = next(n for n, line in enumerate(lines) if '"Arrange"' in line)
    changed = lines[number].replace('"seq": 1', '"seq": 9')
    assert changed != lines[number]
    (folder / "decisions.jsonl").write_text(
        "\n".join([*lines[:number], changed, *lines[number + 1 :]]), "utf-8"
    )
    told = call("replay", str(folder))
    assert told.exit_code == 1
    assert "different at record" in told.output
    assert "Arrange: schedule.seq was 9 in the run, is 1 in the replay" in told.output
    (folder / "decisions.jsonl").write_text("\n".join([*lines, lines[-1]]), "utf-8")
    told = call("replay", str(folder))
    assert told.exit_code == 1 and "the replay decides nothing" in told.output


def test_without_written_decisions_the_facts_prove_them(kept: Path, tmp_path: Path) -> None:
    folder = copy_of(kept, tmp_path, "journal.db", "journal.head", "run.json")
    document = json.loads(call("replay", str(folder), "--json").output)
    assert document["identical"] is True and document["compared"] > 20


def test_another_policy_decides_otherwise_and_the_facts_show_it(kept: Path, tmp_path: Path) -> None:
    folder = copy_of(kept, tmp_path, "journal.db", "journal.head", "run.json")
    run = json.loads((folder / "run.json").read_text("utf-8"))
    run["policy"]["baseline_window_s"] = 7.0
    (folder / "run.json").write_text(json.dumps(run), "utf-8")
    told = call("replay", str(folder))
    assert told.exit_code == 1 and "different at record" in told.output


def test_a_journal_that_was_tampered_with_is_not_replayed_to_its_end(kept: Path, tmp_path: Path) -> None:
    folder = copy_of(kept, tmp_path, "journal.db", "journal.head", "run.json", "decisions.jsonl")
    with sqlite3.connect(folder / "journal.db") as database:
        (table,) = next(
            row
            for row in database.execute("select name from sqlite_master where type = 'table'")
            if "journal" in row[0] or "record" in row[0] or "fact" in row[0]
        )
        database.execute(f"update {table} set at = at + 1 where seq = 40")
    database.close()
    told = call("replay", str(folder))
    assert told.exit_code == 6
    assert "record 40" in told.output and "only its records up to 39 can be read" in told.output


def test_what_is_missing_is_said(tmp_path: Path, kept: Path) -> None:
    told = call("replay", str(tmp_path))
    assert told.exit_code == 1 and "there is no journal" in told.output
    folder = copy_of(kept, tmp_path, "journal.db", "journal.head")
    told = call("replay", str(folder))
    assert told.exit_code == 1 and "--config" in told.output
    assert call("replay", str(folder), "--config", CONFIG).exit_code == 0
