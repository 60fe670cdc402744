"""Kept runs that are not whole: what is wrong is said first, plainly, and the exit code is the documented one."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.house.test_simulate_command import CONFIG, SHORT, simulate
from tests.repository import ROOT
from tests.unit.test_journal_full import files_limited_to
from vpp_gateway.cli import root
from vpp_gateway.whatif.keep import MADE

FILES = ("journal.db", "journal.head", "run.json", "decisions.jsonl")
ASKED = ("--event", "down 1MW area=tokyo in 30s for 60s")


def call(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "400"}).invoke(root, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short play, kept."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    assert simulate(*SHORT, "--keep", str(folder)).exit_code == 0
    return folder


@pytest.fixture
def run(kept: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    for name in FILES:
        (tmp_path / name).write_bytes((kept / name).read_bytes())
    return tmp_path


def emptied(run: Path) -> None:
    (run / "journal.db").write_bytes(b"")


def cut(run: Path) -> None:
    whole = (run / "journal.db").read_bytes()
    (run / "journal.db").write_bytes(whole[: len(whole) // 2])


def without_its_head(run: Path) -> None:
    whole = (run / "journal.db").read_bytes()
    (run / "journal.db").write_bytes(b"garbage" * 100 + whole[700:])


def altered(run: Path) -> None:
    with sqlite3.connect(run / "journal.db") as database:
        database.execute(
            "update record set body = cast(replace(cast(body as text), 'EV-1', 'EV-9') as blob) where kind = 'Instructed'"
        )
    database.close()


DAMAGE = [emptied, cut, without_its_head, altered]


@pytest.mark.parametrize("damage", DAMAGE)
def test_why_says_first_that_the_journal_is_damaged(damage: Callable[[Path], None], run: Path) -> None:
    damage(run)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    told = call("events", "why", "EV-1", "--state-dir", str(run))
    assert told.exit_code == 6, told.output
    first, *rest = told.stderr.splitlines()
    assert f"{run / 'journal.db'} is not whole: " in first
    assert rest == ["there is no event 'EV-1'; known: -"]
    assert "set aside" not in told.stderr
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    japanese = call("events", "why", "EV-1", "--state-dir", str(run), "--lang", "ja").stderr
    assert "に欠損があります" in japanese and "イベント 'EV-1' はありません" in japanese


def test_a_second_that_a_damaged_journal_lacks_is_told_with_the_damage(run: Path) -> None:
    with sqlite3.connect(run / "journal.db") as database:
        (seq,) = database.execute("select max(seq) - 5 from record").fetchone()
        database.execute("update record set at = at + 1 where seq = ?", (seq,))
    database.close()
    told = call("events", "why", "EV-1", "--state-dir", str(run), "--at", "+5000")
    assert told.exit_code == 6
    first, second = told.stderr.splitlines()
    assert f"record {seq} " in first and "not whole" in first and "2026-" in second


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_journal_is_replayed_as_far_as_it_can_be_read(
    damage: Callable[[Path], None], run: Path
) -> None:
    damage(run)
    told = call("replay", str(run))
    assert told.exit_code == 6, told.output
    assert "is not whole: " in told.output and "identical as far as it can be read" in told.output
    assert "different" not in told.output and "set aside" not in told.output
    document = json.loads(call("replay", str(run), "--json").output)
    decided = len((run / "decisions.jsonl").read_text("utf-8").splitlines())
    assert document["compared"] + document["beyond"] == decided and document["beyond"] > 0
    assert document["problem"] and document["difference"] is None
    if damage is not emptied:
        assert "the file itself was left as it is" in told.output


def test_a_decision_that_differs_before_the_damage_is_still_a_difference(run: Path) -> None:
    altered(run)
    lines = (run / "decisions.jsonl").read_text("utf-8").splitlines()
    (run / "decisions.jsonl").write_text("\n".join(lines[1:]), "utf-8")
    told = call("replay", str(run))
    assert told.exit_code == 1 and "is not whole" in told.output and "different at record" in told.output


@pytest.mark.parametrize("config", [(), ("--config", CONFIG)])
def test_another_file_is_no_journal(config: tuple[str, ...], tmp_path: Path) -> None:
    text, empty, other = tmp_path / "a.yaml", tmp_path / "b.png", tmp_path / "c.db"
    text.write_text("seed: 1\n", "utf-8")
    empty.write_bytes(b"")
    for path in (text, empty):
        told = call("replay", str(path), *config)
        assert (told.exit_code, told.stderr) == (1, f"vpp-gateway: {path} is no journal\n")
    with sqlite3.connect(other) as database:
        database.execute("create table message (id integer)")
    database.close()
    told = call("replay", str(other), "--config", CONFIG)
    assert (told.exit_code, told.stderr) == (1, f"vpp-gateway: {other} is no journal\n")


def test_why_refuses_another_file_too(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("seed: 1\n", "utf-8")
    told = call("events", "why", "E1", "--state-dir", str(tmp_path))
    assert told.exit_code == 1 and told.stderr.endswith("journal.db is no journal\n")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "it is empty"),
        ('{"fleet": {', "Invalid JSON: "),
        ('{"policy": {}, "hosts": {}}', "fleet: Field required"),
    ],
)
def test_a_run_json_that_is_damaged_is_said_in_one_line(said: str, why: str, run: Path) -> None:
    (run / "run.json").write_text(said, "utf-8")
    for told in (call("replay", str(run)), call("events", "why", "EV-1", "--state-dir", str(run))):
        assert told.exit_code == 1 and why in told.stderr and "--config" in told.stderr
        assert "pydantic" not in told.stderr and told.stderr.count("\n") == 1
    assert "設定" in call("replay", str(run), "--lang", "ja").stderr


def test_the_field_of_a_plan_that_differs_is_named(run: Path) -> None:
    ground = (run / "run.json").read_text("utf-8")
    assert '"charge_max_w":1500000.0' in re.sub(r":\s+", ":", ground)
    other = re.sub(r'("(?:dis)?charge_max_w":\s*)1500000\.0', r"\g<1>1400000.0", ground)
    (run / "run.json").write_text(other, "utf-8")
    told = call("replay", str(run))
    assert told.exit_code == 1
    assert (
        "Plan: problem.stores.0.charge_max_w was 1500000.0 in the run, is 1400000.0 in the replay"
        in told.output
    )
    assert max(map(len, told.output.splitlines())) < 400
    field = json.loads(call("replay", str(run), "--json").output)["difference"]["field"]
    assert field == {
        "kind": "Plan",
        "path": "problem.stores.0.charge_max_w",
        "was": "1500000.0",
        "now": "1400000.0",
    }


def test_a_decision_that_was_cut_is_said_to_be_cut(run: Path) -> None:
    lines = (run / "decisions.jsonl").read_text("utf-8").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if '"Plan"' in line)
    (run / "decisions.jsonl").write_text("\n".join([*lines[: number - 1], lines[number - 1][:500]]), "utf-8")
    told = call("replay", str(run))
    assert told.exit_code == 1 and f"line {number} of decisions.jsonl is no decision" in told.output
    (run / "decisions.jsonl").write_bytes(b"\xff\xfe")
    told = call("replay", str(run))
    assert told.exit_code == 1 and "the decisions of the run, cannot be read" in told.stderr


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_two_events_of_one_name_are_refused_in_words(lang: str) -> None:
    event = ("--event", "down 1MW name=A for 1min")
    told = simulate(*event, *event, "--lang", lang)
    assert told.exit_code == 2 and "'A'" in told.output and "problem.whatif" not in told.output


def test_the_example_for_a_failure_is_a_failure() -> None:
    assert "'battery dc-1-bat-2 dead in 5min for 60s'" in simulate(*ASKED, "--failure", "").output
    assert "'down 2MW in 60s for 15min'" in simulate("--event", "").output


def test_the_name_of_a_scenario_cannot_command_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "red.yaml"
    path.write_text('name: "\\e[31mX"\nevents: [down 1MW area=tokyo in 20s for 30s]\n', "utf-8")
    told = simulate("--scenario", str(path))
    assert told.exit_code == 0 and "\x1b" not in told.output and "\\x1b[31mX" in told.output


@pytest.mark.parametrize("existed", [False, True])
def test_a_run_that_cannot_be_kept_leaves_nothing_behind(existed: bool, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    if existed:
        folder.mkdir()
        (folder / "mine.txt").write_text("mine", "utf-8")
    with files_limited_to(96 * 1024):
        told = simulate(*ASKED, "--keep", str(folder))
    assert told.exit_code == 1
    assert f"cannot be kept in {folder}" in told.output and "no space left" in told.output
    assert f"could not be written to {folder / 'journal.db'}" in told.output
    assert folder.exists() == existed
    assert not any((folder / name).exists() for name in MADE)
    assert not existed or (folder / "mine.txt").read_text("utf-8") == "mine"


def test_a_full_disk_behind_standard_output_is_one_line(kept: Path) -> None:
    commands = (
        ("replay", str(kept)),
        ("replay", str(kept), "--json"),
        ("events", "why", "EV-1", "--state-dir", str(kept)),
        ("simulate", "--config", CONFIG, *ASKED),
        ("simulate", "--config", CONFIG, *ASKED, "--json"),
    )
    for arguments in commands:
        with open("/dev/full", "wb") as full:
            ended = subprocess.run(
                [sys.executable, "-m", "vpp_gateway", *arguments],
                stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, cwd=ROOT, check=False,
            )  # fmt: skip
        told = "vpp-gateway: standard output cannot be written: No space left on device\n"
        assert (ended.returncode, ended.stderr) == (1, told), arguments
