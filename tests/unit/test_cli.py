"""The command line: what it says, in both languages, with which exit code, and how little it imports for that."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from tests.repository import ROOT
from tests.unit.console_fake import END_S, START_S, FakeSource, ToyClock, World
from tests.unit.control_thread import answering
from vpp_gateway.cli import root
from vpp_gateway.cli.common import print_json
from vpp_gateway.cli.whereabouts import find
from vpp_gateway.cli.words import age, mw
from vpp_gateway.console.status import Status
from vpp_gateway.identity import make_dev_ca
from vpp_gateway.settings import load_settings
from vpp_gateway.yaml_source import InvalidFile

BEGIN = 1_790_000_000.0


def call(*arguments: str | Path, input: str | None = None, **env: str) -> Result:
    return CliRunner(env={"COLUMNS": "80", **env}).invoke(root, [str(a) for a in arguments], input=input)


def source(at: float = START_S + 60.0, *, faulty: bool = True) -> FakeSource:
    return FakeSource(World(BEGIN, faulty=faulty), ToyClock(BEGIN + at))


def shown(picture: Status) -> FakeSource:
    fake = source()
    fake.shown = picture
    return fake


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    with answering(source(), tmp_path):
        yield tmp_path


# --- start-up --------------------------------------------------------------------------------------------------------

HEAVY = (
    "scipy",
    "numpy",
    "openleadr",
    "aiohttp",
    "pydantic",
    "cryptography",
    "ruamel",
    "pymodbus",
    "lxml",
    "asyncio",
)
PROBE = """
import sys
from vpp_gateway.cli import main
sys.argv = ["vpp-gateway", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    code = ended.code or 0
print("CODE", code, "MODULES", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def imported(*arguments: str | Path) -> tuple[int, set[str]]:
    """Exit code and top-level modules of one run in a fresh interpreter."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE, *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=True, cwd=ROOT,
    )  # fmt: skip
    found = re.search(r"CODE (\d+) MODULES (.*)", run.stderr)
    assert found, run.stderr
    return int(found[1]), set(found[2].split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("status", "--help"), ("nonsense",)])
def test_help_imports_next_to_nothing(arguments: tuple[str, ...]) -> None:
    _, modules = imported(*arguments)
    assert modules & {*HEAVY, "rich"} == set()


def test_status_imports_next_to_nothing(running: Path) -> None:
    code, modules = imported("status", "--json", "--state-dir", running)
    assert code == 6
    assert modules & {*HEAVY, "rich"} == set()
    (running / "gateway.yaml").write_text("gateway:\n  name: x\n  state_dir: .\n", "utf-8")
    code, modules = imported("status", "--config", running / "gateway.yaml")
    assert code == 6
    assert "rich" in modules
    assert modules & set(HEAVY) == set()


# --- status ----------------------------------------------------------------------------------------------------------


def test_status_json_is_the_gateways_own(running: Path) -> None:
    result = call("status", "--state-dir", running, "--json")
    assert Status.model_validate_json(result.stdout) == source().status()
    assert result.exit_code == 6


def test_status_is_ok_without_a_fault(tmp_path: Path) -> None:
    with answering(source(faulty=False), tmp_path):
        result = call("status", "--state-dir", tmp_path)
    assert result.exit_code == 0
    assert result.stdout.startswith("● OK  Kanto portfolio  v0.1.0  epoch 7  up 5 min   SIMULATED \n")
    assert "Alarms" not in result.stdout and "Devices not good" not in result.stdout


def test_status_shows_the_worst_first(running: Path) -> None:
    said = call("status", "--state-dir", running).stdout
    assert said.startswith("▲ DEGRADED")
    order = [
        "Alarms",
        "DEV-REFUSING",
        "CERT-EXPIRY",
        "Sites",
        "saitama-2",
        "tokyo-1",
        "kanagawa-1",
        "Devices not good",
    ]
    places = [
        said.index(word, said.index("Sites") if word in ("tokyo-1", "kanagawa-1") else 0) for word in order
    ]
    assert said.index("saitama-2", said.index("Sites")) < said.index("tokyo-1", said.index("Sites"))
    assert places[:4] == sorted(places[:4])
    links = said[said.index("Links") :]
    assert links.index("saitama-2") < links.index("tso")
    assert re.search(r"tso/EV-2026-0117 +down .* \+9\.00 +\+8\.98 +✔ +active +in", said)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_status_fits_80_columns(lang: str, running: Path) -> None:
    for command in (("status",), ("events", "ls"), ("events", "show", "EV-2026-0117")):
        lines = call(*command, "--state-dir", running, "--lang", lang).stdout.splitlines()
        assert len(lines) > 4
        assert [line for line in lines if cell_len(line) > 80] == []


def test_status_speaks_japanese(running: Path) -> None:
    for said in (
        call("status", "--state-dir", running, "--lang", "ja").stdout,
        call("--lang", "ja", "status", "--state-dir", running).stdout,
    ):
        assert said.startswith("▲ 要確認")
        assert "現地操作モード" in said
        assert "Alarms" not in said
    (running / "gateway.yaml").write_text("gateway: {name: x, state_dir: ., language: ja}\n", "utf-8")
    assert call("status", "--config", running / "gateway.yaml").stdout.startswith("▲ 要確認")
    assert call("status", "--config", running / "gateway.yaml", "--lang", "en").stdout.startswith(
        "▲ DEGRADED"
    )


def test_colours_follow_the_environment(running: Path) -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-9]m")
    assert coloured.search(call("status", "--state-dir", running, FORCE_COLOR="1", TERM="xterm").stdout)
    plain = call("status", "--state-dir", running, FORCE_COLOR="1", TERM="xterm", NO_COLOR="1").stdout
    assert not coloured.search(plain)
    assert "DEGRADED" in plain


def test_what_a_peer_says_steers_nothing(tmp_path: Path) -> None:
    picture = source().status()
    evil = picture.events[0].model_copy(update={"id": "tso/[bold]\x1b[2J\nEV", "opt_reason": "[/] \x07 x"})
    with answering(shown(picture.model_copy(update={"events": (evil,)})), tmp_path):
        listed = call("events", "ls", "--state-dir", tmp_path)
        single = call("events", "show", evil.id, "--state-dir", tmp_path)
    assert listed.exit_code == single.exit_code == 0
    for said in (listed.stdout, single.stdout):
        assert "[bold]" in said
        assert "\x1b" not in said and "\x07" not in said


def test_no_gateway_is_exit_4(tmp_path: Path) -> None:
    result = call("status", "--state-dir", tmp_path)
    assert result.exit_code == 4
    assert f"nobody listens on {tmp_path}/control.sock" in result.stderr
    assert "ゲートウェイが動いていません" in call("status", "--state-dir", tmp_path, "--lang", "ja").stderr
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    assert call("events", "ls", "--state-dir", tmp_path).exit_code == 4


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (b'{"ok":true,"reply":{"schema_version":2}}\n', 1, "speaks status version 2, this command 1"),
        (b"hello\n", 4, "gave no answer that can be used"),
        (b'{"ok":false,"error":"not today"}\n', 4, "not today"),
        (b"", 4, "gave no answer that can be used"),
    ],
)
def test_answers_that_cannot_be_used(answer: bytes, code: int, said: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "control.sock"))
        server.listen()

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        result = call("status", "--state-dir", tmp_path)
        thread.join(10)
    assert result.exit_code == code
    assert said in result.stderr


def test_a_sparse_picture_still_draws(tmp_path: Path) -> None:
    """A newer gateway may leave a field out that this command shows."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "control.sock"))
        server.listen()

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(
                    b'{"ok":true,"reply":{"schema_version":1,"sites":[{"id":"x","health":"odd"}]}}\n'
                )

        thread = threading.Thread(target=serve)
        thread.start()
        result = call("status", "--state-dir", tmp_path)
        thread.join(10)
    assert result.exit_code == 6
    assert "? odd" in result.stdout


# --- where the gateway answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "gateway:\n  state_dir: run/here\n  language: ja\n",
        "# x\n\ngateway:   # mine\n\n  # c\n    \n  name: A\n  language: ja # c\n  state_dir: 'run/here'\nsites: []\n",
        'sites: []\ngateway:\n    language: "ja"\n    state_dir: "run/here"   # c\n',
        "gateway: {language: ja, state_dir: run/here}\n",
        "gateway:\n  profile_dirs:\n    - a\n  state_dir: run/here\n  language: ja\n",
        'gateway:\n  name: "a \\" b"\n  state_dir: run/here\n  language: ja\n',
        "gateway:\n  name: two\n    lines\n  state_dir: run/here\n  language: ja\n",
        "x: &d\n  state_dir: run/here\ngateway:\n  <<: *d\n  language: ja\n",
        '"gateway":\n  state_dir: run/here\n  language: ja\n',
        "gateway:\n  state_dir: &s run/here\n  language: ja\n",
        "---\ngateway:\n  state_dir: >-\n    run/here\n  language: ja\n",
        "gateway:\r\n  state_dir: run/here\r\n  language: ja\r\n",
    ],
)
def test_the_state_folder_is_found_in_any_style(content: str, tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    file.write_bytes(content.encode())
    where = find(file, None)
    assert where.socket == tmp_path / "run" / "here" / "control.sock"
    assert where.language == "ja"


def test_the_state_folder_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(None, None).socket == Path("/var/lib/vpp-gateway/control.sock")
    Path("gateway.yaml").write_text("gateway:\n  name: x\n", "utf-8")
    assert find(None, None).socket == Path("state/control.sock")
    assert find(None, Path("/other")).socket == Path("/other/control.sock")
    with pytest.raises(InvalidFile, match="there is no such file"):
        find(Path("none.yaml"), None)
    assert call("status", "--config", "none.yaml").exit_code == 3


# --- events ----------------------------------------------------------------------------------------------------------


def test_events_are_listed(running: Path) -> None:
    result = call("events", "ls", "--state-dir", running)
    assert result.exit_code == 0
    assert (
        result.stdout.index("EV-2026-0117")
        < result.stdout.index("EV-2026-0115")
        < result.stdout.index("EV-2026-0116")
    )
    listed = json.loads(call("events", "ls", "--state-dir", running, "--json").stdout)
    assert listed["schema_version"] == 1
    assert [event["event_id"] for event in listed["events"]] == [
        "EV-2026-0117",
        "EV-2026-0116",
        "EV-2026-0115",
    ]


def test_no_events(tmp_path: Path) -> None:
    with answering(shown(source().status().model_copy(update={"events": ()})), tmp_path):
        assert call("events", "ls", "--state-dir", tmp_path).stdout == "no events\n"
        result = call("events", "show", "x", "--state-dir", tmp_path)
    assert (result.exit_code, result.stderr) == (1, "vpp-gateway: there is no event 'x'; known: -\n")


def test_one_event_is_shown(running: Path) -> None:
    result = call("events", "show", "EV-2026-0117", "--state-dir", running)
    assert result.exit_code == 0
    for words in (
        "tso/EV-2026-0117 (modification 1)",
        "+9.00 MW, down-DR",
        "all sites",
        "✔ within 10 %",
        "+30.43 s",
    ):
        assert words in result.stdout
    assert "Batteries go first" in result.stdout
    said = call("events", "show", "tso/EV-2026-0117", "--state-dir", running, "--lang", "ja").stdout
    assert "蓄電池が先行" in said and "下げDR" in said
    document = json.loads(call("events", "show", "EV-2026-0117", "--state-dir", running, "--json").stdout)
    assert (document["schema_version"], document["event"]["id"]) == (1, "tso/EV-2026-0117")


def test_a_missed_event_is_exit_5(tmp_path: Path) -> None:
    picture = source(END_S + 10.0).status()
    event = picture.events[0]
    assert event.state == "completed"
    missed = event.model_copy(update={"within_10pct": False, "delivered_regulation_w": 5e6})
    active = missed.model_copy(update={"state": "active", "id": "tso/a", "event_id": "a"})
    with answering(shown(picture.model_copy(update={"events": (missed, active)})), tmp_path):
        result = call("events", "show", event.id, "--state-dir", tmp_path)
        assert result.exit_code == 5
        assert "✖ NOT within 10 %" in result.stdout
        assert call("events", "show", event.id, "--state-dir", tmp_path, "--json").exit_code == 5
        assert call("events", "show", "a", "--state-dir", tmp_path).exit_code == 0


def test_an_id_of_two_events_is_refused(tmp_path: Path) -> None:
    picture = source().status()
    twin = picture.events[0].model_copy(update={"id": "aggregator/EV-2026-0117", "room": "aggregator"})
    with answering(shown(picture.model_copy(update={"events": (picture.events[0], twin)})), tmp_path):
        result = call("events", "show", "EV-2026-0117", "--state-dir", tmp_path)
    assert result.exit_code == 1
    assert "tso/EV-2026-0117, aggregator/EV-2026-0117" in result.stderr


# --- config ----------------------------------------------------------------------------------------------------------


def test_init_writes_what_check_accepts(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    result = call(
        "config", "init", file, "--yes", "--site", "tokyo-1", "--site", "kanagawa-1", "--batteries", "3"
    )
    assert result.exit_code == 0, result.stderr
    assert file.read_text("utf-8").startswith("# yaml-language-server: $schema=./gateway.schema.json\n")
    assert (
        json.loads((tmp_path / "gateway.schema.json").read_text("utf-8"))["title"] == "vpp-gateway settings"
    )
    checked = call("config", "check", file)
    assert checked.exit_code == 0, checked.stderr
    assert "2 sites, 6 batteries (discharge 6 MW, 12 MWh), 1 northbound, 0 plug-ins" in checked.stdout


def test_init_shows_a_check_meter_that_another_site_reads(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    assert call("config", "init", file, "--yes", "--site", "tokyo-1", "--site", "kanagawa-1").exit_code == 0
    assert load_settings(file, files=False).sites[0].check_meter is None, "a comment"
    file.write_text(file.read_text("utf-8").replace("# check_meter:", "check_meter:"), "utf-8")
    first, second = load_settings(file, files=False).sites
    assert first.check_meter is not None and first.check_meter.read_by == "kanagawa-1"
    assert second.check_meter is not None and second.check_meter.read_by == "tokyo-1"
    alone = tmp_path / "alone.yaml"
    assert call("config", "init", alone, "--yes").exit_code == 0
    assert "# check_meter:" in alone.read_text("utf-8") and "read_by:" not in alone.read_text("utf-8")


def test_init_asks(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    answers = "東京 VPP\nja\n\nven-7\njp-simple-command\na b c\n20000\n0\n"
    result = call("config", "init", file, input=answers)
    assert result.exit_code == 0, result.output
    said = call("config", "check", file).stdout
    assert "拠点 3、蓄電池 0" in said
    assert '"東京 VPP"' in file.read_text("utf-8")


def test_init_with_https_needs_keys_and_says_how(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    result = call("config", "init", file, "--yes", "--vtn-url", "https://vtn.example/OpenADR2/Simple/2.0b")
    assert result.exit_code == 0
    assert "vpp-gateway identity csr --key" in result.stdout
    refused = call("config", "check", file)
    assert refused.exit_code == 3
    assert refused.stderr.count("there is no file") == 3
    assert call("config", "check", file, "--no-files").exit_code == 0
    make_dev_ca(tmp_path / "identity", now=BEGIN)
    (tmp_path / "identity" / "ca.pem").rename(tmp_path / "identity" / "utility-ca.pem")
    assert call("config", "check", file).exit_code == 0


def test_init_overwrites_nothing_and_writes_nothing_wrong(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("mine\n", "utf-8")
    assert call("config", "init", file, "--yes").exit_code == 1
    assert file.read_text("utf-8") == "mine\n"
    refused = call("config", "init", file, "--yes", "--force", "--site", "to kyo", "--import-max-kw", "-5")
    assert refused.exit_code == 3
    assert "sites[0].id: is 'to kyo'" in refused.stderr and "the direction is in the name" in refused.stderr
    assert file.read_text("utf-8") == "mine\n"
    assert call("config", "init", file, "--yes", "--force").exit_code == 0
    assert call("config", "init", tmp_path / "none" / "g.yaml", "--yes").exit_code == 1


def test_check_reports_everything_in_both_forms(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    call("config", "init", file, "--yes")
    content = (
        file.read_text("utf-8")
        .replace("language: en", "language: jp")
        .replace("refresh_s: 5", "refresh_s: 50")
    )
    file.write_text(content, "utf-8")
    result = call("config", "check", file)
    assert result.exit_code == 3
    assert result.stdout == ""
    first, second, count = result.stderr.splitlines()
    assert re.fullmatch(rf"{file}:\d+:13: gateway\.language: is 'jp'; allowed: en, ja", first)
    assert "timing.refresh_s: refresh_s 50 is larger than a third" in second
    assert count == "2 to be put right"
    assert "修正が必要: 2 件" in call("config", "check", file, "--lang", "ja").stderr
    document = json.loads(call("config", "check", file, "--json").stdout)
    assert (document["valid"], document["schema_version"]) == (False, 1)
    assert [problem["code"] for problem in document["problems"]] == [
        "problem.choice",
        "problem.timing.refresh",
    ]
    assert "3 分の 1" in document["problems"][1]["text_ja"]


def test_check_of_a_good_file_in_json(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    call("config", "init", file, "--yes")
    document = json.loads(call("config", "check", file, "--json").stdout)
    assert (document["valid"], document["problems"]) == (True, [])


def test_check_of_no_file(tmp_path: Path) -> None:
    result = call("config", "check", tmp_path / "none.yaml")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"{tmp_path}/none.yaml: cannot be read: there is no such file\n")


def test_schema_is_printed() -> None:
    assert json.loads(call("config", "schema").stdout)["additionalProperties"] is False


# --- identity --------------------------------------------------------------------------------------------------------


def test_dev_ca_show_and_fingerprint(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    assert call("identity", "dev-ca", folder, "--ven", "a", "--ven", "b").exit_code == 0
    again = call("identity", "dev-ca", folder)
    assert again.exit_code == 1 and "--force overwrites" in again.stderr
    result = call("identity", "show", "--cert", folder / "a.pem")
    assert result.exit_code == 0
    (row,) = json.loads(call("identity", "show", "--cert", folder / "a.pem", "--json").stdout)["certificates"]
    assert (
        row["fingerprint"] in result.stdout and row["lfdi"] in result.stdout and row["sfdi"] in result.stdout
    )
    assert call("identity", "fingerprint", folder / "a.pem").stdout == row["fingerprint"] + "\n"
    assert json.loads(call("identity", "fingerprint", folder / "a.pem", "--json").stdout)["fingerprint_sha1"]
    broken = call("identity", "fingerprint", folder / "a.key", "--lang", "ja")
    assert broken.exit_code == 1 and "PEM 形式の 証明書 ではありません" in broken.stderr


def test_show_tells_of_an_end_to_come(tmp_path: Path) -> None:
    ten_years = 3650 * 86400.0
    authority = make_dev_ca(tmp_path / "dev", now=1_300_000_000.0)
    assert 1_300_000_000.0 + ten_years < 1_700_000_000.0
    result = call("identity", "show", "--cert", authority.ca)
    assert result.exit_code == 6
    assert "EXPIRED" in result.stdout


def test_show_of_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    call("config", "init", file, "--yes")
    assert "names no certificate" in call("identity", "show", "--config", file).stderr
    call("config", "init", file, "--yes", "--force", "--vtn-url", "https://vtn.example/OpenADR2/Simple/2.0b")
    make_dev_ca(tmp_path / "identity", now=BEGIN)
    result = call("identity", "show", "--config", file)
    assert result.exit_code == 0
    assert result.stdout.startswith("utility  ")


def test_csr_makes_a_key_once(tmp_path: Path) -> None:
    key, csr = tmp_path / "identity" / "ven.key", tmp_path / "identity" / "ven.csr"
    arguments = ("identity", "csr", "--key", key, "--out", csr, "--cn", "ven-1")
    assert call(*arguments).exit_code == 0
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    assert call(*arguments).exit_code == 1
    assert call(*arguments, "--force").exit_code == 0
    assert key.read_bytes() == before
    assert call(*arguments, "--force", "--country", "Japan").exit_code == 1


def test_the_script_makes_the_same(tmp_path: Path) -> None:
    shim = tmp_path / "bin" / "vpp-gateway"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from vpp_gateway.cli import main; main()" "$@"\n', "utf-8"
    )
    shim.chmod(0o755)
    environment = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    script = str(ROOT / "certs" / "make-dev-ca.sh")
    run = subprocess.run([script, str(tmp_path / "dev"), "a", "b"], env=environment, timeout=60, check=False)
    assert run.returncode == 0
    assert (tmp_path / "dev" / "b.key").stat().st_mode & 0o777 == 0o600
    refused = subprocess.run(
        [script, str(tmp_path / "dev2"), "a b"], env=environment, timeout=60, check=False, capture_output=True
    )
    assert refused.returncode == 2


# --- run, and usage --------------------------------------------------------------------------------------------------


def test_run_refuses_a_wrong_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    missing = call("run")
    assert missing.exit_code == 2 and "vpp-gateway config init" in missing.stderr
    Path("gateway.yaml").write_text("gateway: {}\n", "utf-8")
    for command in (("run",), ("site", "run", "--site", "x")):
        result = call(*command)
        assert result.exit_code == 3
        assert "gateway.yaml:1:1: gateway.name: is missing" in result.stderr


def test_site_run_knows_its_sites(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    call("config", "init", file, "--yes", "--site", "tokyo-1")
    result = call("site", "run", "--config", file, "--site", "tokio-1")
    assert result.exit_code == 2
    assert "no site 'tokio-1'; allowed: tokyo-1. Did you mean 'tokyo-1'?" in result.stderr


def test_usage_is_exit_2() -> None:
    assert "Did you mean 'status'?" in call("stauts").stderr
    for wrong in (
        ("stauts",),
        ("status", "--nonsense"),
        ("events", "show"),
        ("identity", "csr"),
        ("--lang", "fr", "status"),
    ):
        assert call(*wrong).exit_code == 2


def test_every_command_has_help() -> None:
    for command in (
        "run", "status", "events", "events ls", "events show", "config", "config check", "config schema", "config init",
        "identity", "identity show", "identity csr", "identity fingerprint", "identity dev-ca", "site", "site run",
    ):  # fmt: skip
        result = call(*command.split(), "--help")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) > 4, command


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (-1, "0 s"), (59.4, "59 s"), (60, "1 min"), (8040, "2 h 14 min"), (90000, "1 d 1 h")],
)
def test_ages(seconds: float | None, said: str) -> None:
    assert age(seconds) == said


@pytest.mark.parametrize(
    ("watts", "said"), [(None, "–"), (9e6, "+9.00"), (-1e3, "0.00"), (1.0, "0.00"), (-2.5e6, "-2.50")]
)
def test_megawatts(watts: float | None, said: str) -> None:
    assert mw(watts, signed=True) == said


def test_json_never_holds_a_number_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"rows": [float("inf"), -float("inf"), {"w": float("nan")}, 1.5], "pair": (float("nan"), 2)})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "rows": [None, None, {"w": None}, 1.5],
        "pair": [None, 2],
    }
