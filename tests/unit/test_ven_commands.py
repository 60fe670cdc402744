"""`vpp-gateway ven`: acts through the real control socket on a real session, with the scripted VTN behind it."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from tests.playbook.ven_stage import ROOM, START, Stage, registered
from tests.repository import ROOT
from tests.unit.console_fake import FakeSource, ToyClock, World
from tests.unit.control_thread import answering
from vpp_gateway.catalogue_ven import VEN
from vpp_gateway.cli import root
from vpp_gateway.console.operator import Do, Operator
from vpp_gateway.engine import Engine
from vpp_gateway.errors import MisuseError
from vpp_gateway.northbound.openadr2.messages import CreatePartyRegistration
from vpp_gateway.northbound.openadr2.opt_words import CancelOpt, CreateOpt
from vpp_gateway.northbound.openadr2.state import Phase
from vpp_gateway.northbound.turn import SpareBlock
from vpp_gateway.sim.vtn import dispatch

PACKAGE = ROOT / "vpp_gateway"


@dataclass
class Bench:
    """Stands for the engine: one or more sessions, each with its VTN; acts are carried out at once."""

    stages: dict[str, Stage]
    spare_w: float | None = 100e3
    history: Any = None
    clock: ToyClock = field(default_factory=lambda: ToyClock(START + 60))

    def __post_init__(self) -> None:
        self.history = self

    @property
    def rooms(self) -> dict[str, Stage]:
        return self.stages

    def spare(self, direction: str, now: float, block_s: float, horizon_s: float) -> list[SpareBlock]:
        if self.spare_w is None:
            return []
        half = self.spare_w if direction == "down" else 0.0
        return [
            SpareBlock(start_at=START + 3600, end_at=START + 5400, regulation_w=half),
            SpareBlock(start_at=START + 5400, end_at=START + 7200, regulation_w=2 * half),
        ]

    def operate(self, room: str, request: Any) -> dict[str, Any]:
        stage = self.stages[room]
        turn, told = stage.session.operate(request, stage.now)
        stage.take(turn)
        stage.run(2.0)
        return told


def bench(*rooms: str) -> Bench:
    return Bench({room: registered() for room in rooms or (str(ROOM),)})


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Bench, Path]]:
    made = bench()
    with serving(made, tmp_path):
        yield made, tmp_path


def serving(made: Bench, folder: Path) -> Any:
    source = FakeSource(World(START), ToyClock(START + 60))
    return answering(source, folder, Operator(cast(Engine, made)))


def ven(folder: Path, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(root, ["ven", *arguments, "--state-dir", str(folder)])


def said(folder: Path, *arguments: str) -> dict[str, Any]:
    result = ven(folder, *arguments, "--json")
    assert result.exit_code == 0, result.output + result.stderr
    found = json.loads(result.output)
    assert isinstance(found, dict)
    return found


def test_registration_acts(running: tuple[Bench, Path]) -> None:
    made, folder = running
    stage = made.stages[str(ROOM)]
    assert ven(folder, "cancel", "--wait", "2").output.splitlines()[-1] == "tso: cancelled"
    assert ven(folder, "register", "--wait", "2").output.splitlines()[-1] == "tso: registered"
    assert "nothing to do" in ven(folder, "register", "--wait", "2").output
    assert said(folder, "reregister", "--wait", "2")["acted"] is True
    assert said(folder, "reset", "--wait", "2")["events"] == 0
    assert said(folder, "reset", "--stay", "--wait", "2")["stay"] is True
    assert said(folder, "status")["state"] == "cancelled"
    assert len(stage.sent(CreatePartyRegistration)) == 4


def test_opt_of_an_event(running: tuple[Bench, Path]) -> None:
    made, folder = running
    stage = made.stages[str(ROOM)]
    assert ven(folder, "events").output.strip() == "no events"
    stage.vtn.add_event(dispatch("EV-1", start_at=START + 3600, duration_s=1800, value=-500e3))
    stage.run(15)
    result = ven(folder, "opt", "EV-1", "optout", "--reason", "economic", "--wait", "2")
    assert (result.exit_code, result.output.strip()) == (0, "event EV-1: optOut")
    (event,) = said(folder, "events")["events"]
    assert (event["opt"], event["told"], event["status"]) == ("optOut", True, "far")
    assert (event["start"], event["end"]) == ("2026-01-01T01:00:00Z", "2026-01-01T01:30:00Z")
    line = ven(folder, "events", "--lang", "ja").output
    assert "開始前" in line and "2026-01-01 10:00:00 JST" in line and "拒否(optOut)" in line


def test_schedule_made_by_hand_and_from_capacity(running: tuple[Bench, Path]) -> None:
    made, folder = running
    stage = made.stages[str(ROOM)]
    by_hand = said(
        folder, "create-opt", "--start", "2026-01-01T10:00:00+09:00", "--duration", "PT30M",
        "--start", "2026-01-01T03:00:00Z", "--duration", "PT1H", "--resource", "tokyo", "--wait", "2",
    )  # fmt: skip
    (first,) = stage.sent(CreateOpt)
    assert [(one.start_at, one.duration_s) for one in first.available] == [
        (START + 3600, 1800.0),
        (START + 10800, 3600.0),
    ]
    assert by_hand["opt_id"] in ven(folder, "opts").output
    made_by_need = ven(folder, "create-opt", "--from-capacity", "--need-kw", "150", "--wait", "2")
    assert made_by_need.exit_code == 0 and "optOut" in made_by_need.output
    assert [(one.start_at, one.duration_s) for one in stage.sent(CreateOpt)[-1].available] == [
        (START + 3600, 1800.0)
    ]
    up = ["create-opt", "--from-capacity", "--need-kw", "1", "--direction", "up", "--wait", "2"]
    assert ven(folder, *up).exit_code == 0
    assert [one.duration_s for one in stage.sent(CreateOpt)[-1].available] == [3600.0], "neighbours merged"
    enough = ven(folder, "create-opt", "--from-capacity", "--need-kw", "100", "--wait", "2")
    assert "nothing is opted out of" in enough.output
    gone = ven(folder, "cancel-opt", by_hand["opt_id"], "--wait", "2")
    assert gone.exit_code == 0 and [one.opt_id for one in stage.sent(CancelOpt)] == [by_hand["opt_id"]]
    made.spare_w = None
    assert "no site can be read" in ven(folder, "create-opt", "--from-capacity", "--need-kw", "9").stderr


def test_reports_are_listed(running: tuple[Bench, Path]) -> None:
    made, folder = running
    stage = made.stages[str(ROOM)]
    assert ven(folder, "reports").output.strip() == "no reports"
    stage.vtn.order_report(["portfolio"], granularity_s=60, back_duration_s=60)
    stage.run(15)
    assert "every 60.0 s" in ven(folder, "reports").output


@pytest.mark.parametrize(
    ("arguments", "english", "japanese"),
    [
        (("opt", "EV-9", "optIn"), "no event EV-9; known: -", "イベント EV-9 はありません"),
        (("cancel-opt", "x"), "no opt x; known: -", "opt x はありません"),
        (("create-opt",), "give one", "一方です"),
        (("create-opt", "--event", "E", "--from-capacity"), "give one", "一方です"),
        (("create-opt", "--from-capacity"), "--need-kw", "--need-kw"),
        (
            ("create-opt", "--start", "2026-01-01T10:00:00", "--duration", "PT30M"),
            "found 2026-01-01T10:00:00",
            "指定: 2026-01-01T10:00:00",
        ),
        (
            ("create-opt", "--start", "2025-01-01T10:00:00Z", "--duration", "PT30M"),
            "every interval of the schedule is over",
            "すべて過ぎています",
        ),
        (("status", "--room", "x"), "no connection is called x; known: tso", "接続 x はありません"),
    ],
)
def test_refusals_are_told_in_both_languages(
    running: tuple[Bench, Path], arguments: tuple[str, ...], english: str, japanese: str
) -> None:
    for lang, expected in (("en", english), ("ja", japanese)):
        result = ven(running[1], *arguments, "--lang", lang)
        assert result.exit_code == 1, result.output
        assert expected in result.stderr


def test_a_reason_of_no_schema_is_refused(running: tuple[Bench, Path]) -> None:
    arguments = ("create-opt", "--start", "2026-01-02T00:00:00Z", "--duration", "PT1H", "--reason", "whim")
    assert "allowed: economic" in ven(running[1], *arguments).stderr


def test_a_duration_of_no_schema_is_refused(running: tuple[Bench, Path]) -> None:
    result = ven(running[1], "create-opt", "--start", "2026-01-02T00:00:00Z", "--duration", "soon")
    assert result.exit_code == 2 and "PT15M" in result.stderr


def test_waiting_ends_with_4_when_the_vtn_does_not_answer(running: tuple[Bench, Path]) -> None:
    made, folder = running
    stage = made.stages[str(ROOM)]
    stage.down = "unreachable"
    arguments = ("create-opt", "--start", "2026-01-02T00:00:00Z", "--duration", "PT1H", "--wait", "0.1")
    result = ven(folder, *arguments)
    assert result.exit_code == 4 and "has not answered within 0.1 s" in result.stderr
    assert "the line is cut" in result.stderr


def test_a_refused_opt_fails_the_waiting_command(running: tuple[Bench, Path]) -> None:
    made, folder = running
    made.stages[str(ROOM)].vtn.refuse_opts = "450"
    arguments = ("create-opt", "--start", "2026-01-02T00:00:00Z", "--duration", "PT1H", "--wait", "1")
    result = ven(folder, *arguments)
    assert result.exit_code == 1 and "450" in result.stderr


def test_several_connections_need_a_name(tmp_path: Path) -> None:
    with serving(bench("main", "standby"), tmp_path):
        assert "--room: main, standby" in ven(tmp_path, "status").stderr
        assert ven(tmp_path, "status", "--room", "standby").exit_code == 0


def test_no_connection_at_all(tmp_path: Path) -> None:
    with serving(Bench({}), tmp_path):
        assert "northbound" in ven(tmp_path, "status").stderr


def test_no_gateway_is_told_with_4(tmp_path: Path) -> None:
    result = ven(tmp_path, "status")
    assert result.exit_code == 4 and "ven" not in result.output


def raw(folder: Path, line: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(str(folder / "control.sock"))
        connection.sendall(line + b"\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    found = json.loads(answer)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "line",
    [
        b'{"do": "dance"}',
        b'{"do": "opt", "opt": "maybe"}',
        b'{"do": "status", "extra": 1}',
        b'{"do": "create-opt", "available": [{"start_at": NaN, "duration_s": 1}]}',
        b'{"do": ["status"]}',
        b'{"do": "status"',
    ],
)
def test_malformed_acts_are_refused(running: tuple[Bench, Path], line: bytes) -> None:
    made, folder = running
    before = len(made.stages[str(ROOM)].facts)
    answer = raw(folder, line)
    assert answer["ok"] is False and "expected" in answer["error"]
    assert len(made.stages[str(ROOM)].facts) == before


def test_without_acts_the_socket_only_reads(tmp_path: Path) -> None:
    with answering(FakeSource(World(START), ToyClock(START + 60)), tmp_path):
        assert raw(tmp_path, b'{"do": "reset"}')["ok"] is False


def test_other_troubles_of_the_gateway_are_told_as_they_are(tmp_path: Path) -> None:
    class Full:
        def do(self, request: Do) -> dict[str, Any]:
            raise MisuseError("the journal cannot be written")

    with answering(FakeSource(World(START), ToyClock(START + 60)), tmp_path, Full()):
        result = ven(tmp_path, "reset")
    assert result.exit_code == 1 and "the journal cannot be written" in result.stderr


def test_every_text_is_used_and_every_used_one_exists() -> None:
    code = "".join(
        path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.name != "catalogue_ven.py"
    )
    files = {"ven.key", "ven.csr", "ven.pem"}  # of `config init`
    named = set(re.findall(r'"(ven\.[a-z_]+)"', code)) - files
    named |= {f"ven.no_{verb}" for verb in ("events", "opts", "reports")}
    assert named == {key for key in VEN if key.startswith("ven.")}
    phases = {f"word.ven.{phase.value}" for phase in Phase}
    assert phases <= set(VEN)


def test_control_socket_stays_its_owners(tmp_path: Path) -> None:
    with serving(bench(), tmp_path):
        assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "control.sock").exists()
