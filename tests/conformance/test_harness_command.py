"""What the command says to a stranger: wrong options, wrong files, taken addresses; and that an empty run is no pass."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vpp_gateway.cli import root
from vpp_gateway.conform.openadr2.options import Options

ONE = {
    "id": "Test-one",
    "title": "one",
    "rules": ["12"],
    "service": "EiEvent",
    "steps": [{"do": "register", "within_s": 0.2}],
    "mutants": [{"name": "mute", "from_ven": [{"on": "any", "drop": True}]}],
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["conform", "openadr2", *arguments])


def folder_of(path: Path, *procedures: dict[str, object]) -> str:
    (path / "p.yaml").write_text(json.dumps({"procedures": procedures}))
    return str(path)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--case", "EiEvent-R56-nw"], "near it: EiEvent-R56-new"),
        (["--json", "/nowhere/r.json"], "/nowhere/r.json: cannot be written: /nowhere: No such directory"),
        (["--html", "/proc/r.html"], "/proc/r.html: cannot be written"),
        (["--signed"], "--signed: only with --against other"),
        (["--against", "openleadr", "--listen", "127.0.0.1:1"], "--listen: only with --against other"),
        (["--against", "other", "--listen", "foo"], "--listen: expected HOST:PORT"),
        (["--against", "other", "--listen", "localhost:99999"], "--listen: expected HOST:PORT"),
        (["--against", "other", "--signed"], "missing: --cert, --key, --ca"),
        (["--against", "other", "--cert", __file__], "missing: --key, --ca"),
        (["--against", "other", "--ven-fingerprint", "00"], "--ven-fingerprint: only with --signed"),
        (["--against", "other", "--prompt-command", "sh"], "expected {verb} in it"),
        (["--against", "other", "--prompt-command", "sh 'x {verb}"], "No closing quotation"),
        (["--against", "other", "--prompt-command", "no-such-ven {verb}"], "no-such-ven: No such file"),
    ],
)
def test_what_cannot_be_had_is_said_before_anything_is_played(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 1 and said in done.output, done.output


def test_a_taken_address_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("--procedures", folder_of(tmp_path, ONE), "--against", "other", "--listen", where)
    assert done.exit_code == 1 and f"cannot listen on {where}: Address already in use" in done.output


@pytest.mark.parametrize(
    ("listen", "address"),
    [(None, ("127.0.0.1", 8080)), ("0.0.0.0:1", ("0.0.0.0", 1)), ("[::1]:8443", ("::1", 8443))],
)
def test_addresses(listen: str | None, address: tuple[str, int]) -> None:
    assert Options(listen=listen).address == address


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": [{"do": "prompt", "verb": "dance"}]}, "procedures[0].steps[0].prompt.verb"),
        ({"vtn": {"poll": 3}}, "procedures[0].vtn.poll"),
        ({"ven": {"poll": 3}}, "procedures[0].ven.poll"),
    ],
)
def test_a_wrong_word_in_a_file_is_told_with_its_place(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    done = run("--procedures", folder_of(tmp_path, {**ONE, **changes}))
    assert done.exit_code == 3 and said in done.output, done.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"program": {"polling": {"pol_s": 3}}}, "program: polling.pol_s"),
        ({"steps": [{"do": "prompt", "verb": "opt", "give": {"hue": 1}}]}, "prompt opt: hue"),
    ],
)
def test_what_a_procedure_gives_wrongly_is_told_in_a_line(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    done = run("--procedures", folder_of(tmp_path, {**ONE, **changes}))
    assert done.exit_code == 1 and said in done.output and "pydantic" not in done.output, done.output


def test_two_of_one_name_and_none_at_all_are_told(tmp_path: Path) -> None:
    none = run("--procedures", str(tmp_path))
    assert none.exit_code == 1 and "expected files *.yaml" in none.output
    twice = run("--procedures", folder_of(tmp_path, ONE, ONE))
    assert twice.exit_code == 1 and "named twice: Test-one" in twice.output


def test_a_rule_that_nobody_knows_is_told(tmp_path: Path) -> None:
    done = run("--procedures", folder_of(tmp_path, {**ONE, "rules": ["R61"]}), "--list")
    assert "not in the table: R61" in done.output


def test_a_run_in_which_nothing_was_heard_is_no_pass(tmp_path: Path) -> None:
    """Nobody connects; or nothing applies: neither the procedures nor the laws of every message may pass."""
    where, report = f"127.0.0.1:{free_port()}", tmp_path / "r.json"
    folder = tmp_path / "procedures"
    folder.mkdir()
    arguments = ("--against", "other", "--listen", where, "--json", str(report))
    silent = run("--procedures", folder_of(folder, ONE), *arguments)
    read = json.loads(report.read_text())["procedures"]
    assert silent.exit_code == 5
    assert read[0]["verdict"] == "fail" and f"nothing was heard at http://{where}" in read[0]["reason"]
    assert {one["verdict"] for one in read[1:]} == {"not_applicable"}
    nothing = run("--procedures", folder_of(folder, {**ONE, "needs": ["opt"]}), *arguments)
    assert nothing.exit_code == 5 and "0 passed" in nothing.output


def test_what_takes_too_long_in_real_time_is_left_out(tmp_path: Path) -> None:
    steps = [{"do": "wait", "for_s": 100}, {"do": "silence", "message": "any", "for_polls": 3}]
    folder, report = tmp_path / "procedures", tmp_path / "r.json"
    folder.mkdir()
    chosen = ("--procedures", folder_of(folder, {**ONE, "steps": steps}), "--against", "other")
    run(*chosen, "--poll-s", "2", "--longest-s", "105", "--json", str(report))
    read = json.loads(report.read_text())["procedures"][0]
    assert read["verdict"] == "not_applicable"
    assert read["reason"] == "it takes 106 s at the least; --longest-s is 105"


def test_what_a_ven_claims_decides_what_is_played(tmp_path: Path) -> None:
    where, report = f"127.0.0.1:{free_port()}", tmp_path / "r.json"
    folder = tmp_path / "procedures"
    folder.mkdir()
    procedures = [
        {**ONE, "id": f"Test-{name}", "needs": needs, "steps": [*steps, {"do": "register", "within_s": 0.2}]}
        for name, needs, steps in (
            ("opt", ["opt"], []),
            ("push", ["push"], []),
            ("poll", [], [{"do": "expect", "message": "oadrPoll", "within_s": 0.2}]),
        )
    ]
    chosen = ("--procedures", folder_of(folder, *procedures), "--against", "other", "--listen", where)
    run(*chosen, "--json", str(report), "--claim", "opt", "--claim", "push")
    read = {one["id"]: one for one in json.loads(report.read_text())["procedures"]}
    assert read["Test-opt"]["verdict"] == read["Test-push"]["verdict"] == "fail"
    assert read["Test-poll"]["reason"].endswith("does not claim pull")
