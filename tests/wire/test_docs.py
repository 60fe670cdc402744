"""What README and docs tell a reader to type is typed here, and what they claim is compared with the code.

Each fenced `sh` block of a page is run, line by line, in one scratch folder per page that looks like the repository's
root. A comment at the end of a line says what is special about it, in the open, so that nothing is silently untested:

    COMMAND                        must exit with 0
    COMMAND   # exit 6             must exit with that code
    COMMAND   # until it is stopped   runs beside the rest of the page; ended with SIGTERM, must exit with 0
    COMMAND   # tested by NAME     not run here: the test (or test module) of that name does, and exists
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.repository import ROOT, shown, under
from vpp_gateway.catalogue import TEXTS
from vpp_gateway.cli import common, root
from vpp_gateway.settings import RetentionSettings, TimingSettings

PAGES = (ROOT / "README.md", *under("docs", ".md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"\s+#\s*(?P<kind>exit (?P<code>\d+)|until it is stopped|tested by (?P<test>\w+))[^#]*$")
SHELL = {"sh", "console", "bash", "shell"}
IN_SCRATCH = ("profiles", "certs", "docs", "Makefile")
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "COLUMNS": "100",
}
READY_S, STOP_S, COMMAND_S = 60.0, 30.0, 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One command of a page."""

    command: str
    code: int = 0
    stays: bool = False
    test: str | None = None


def blocks(page: Path, *languages: str) -> list[str]:
    """Fenced blocks of these languages."""
    return [
        text for language, text in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages
    ]


def lines(page: Path) -> list[Line]:
    """The page's commands, in order."""
    found = []
    for text in (line for block in blocks(page, *SHELL) for line in block.splitlines() if line.strip()):
        mark = MARK.search(text)
        command = text if mark is None else text[: mark.start()]
        if mark is None:
            found.append(Line(command=command))
        else:
            found.append(
                Line(
                    command=command,
                    code=int(mark["code"] or 0),
                    stays=mark["kind"] == "until it is stopped",
                    test=mark["test"],
                )
            )
    return found


WITH_COMMANDS = tuple(page for page in PAGES if lines(page))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    for name in IN_SCRATCH:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@contextmanager
def kept_running(command: str, folder: Path) -> Iterator[None]:
    """A command that serves: in service within the block, then told to stop."""
    with (folder / "served.log").open("wb") as log:
        served = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log
        )
    try:
        wait_until_it_answers(served, folder)
        yield
    finally:
        served.send_signal(signal.SIGTERM)
        code = served.wait(STOP_S)
    assert code == 0, (folder / "served.log").read_text()


def wait_until_it_answers(served: subprocess.Popen[bytes], folder: Path) -> None:
    """The gateway answers on its control socket, and its page is there."""
    by = time.monotonic() + READY_S
    while time.monotonic() < by and served.poll() is None:
        asked = subprocess.run(
            ["vpp-gateway", "status", "--json"], cwd=folder, env=ENVIRONMENT, capture_output=True, check=False
        )
        if asked.returncode in (common.OK, common.DEGRADED) and (folder / "state" / "console.url").exists():
            return
    raise AssertionError((folder / "served.log").read_text())


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=shown)
def test_commands_do_what_the_page_says(page: Path, scratch: Path) -> None:
    todo = [line for line in lines(page) if line.test is None]
    for tool in ("curl",):
        if shutil.which(tool) is None and any(line.command.startswith(tool) for line in todo):
            pytest.skip(f"no {tool}: apt-get install {tool}")
    with ExitStack() as beside:
        for line in todo:
            if line.stays:
                beside.enter_context(kept_running(line.command, scratch))
                continue
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", line.command],
                cwd=scratch,
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=COMMAND_S,
                check=False,
            )
            assert done.returncode == line.code, f"{line.command}\n{done.stdout}\n{done.stderr}"
        if page.name == "deploy.md":
            check_state_files(page, scratch / "state")


def check_state_files(page: Path, state: Path) -> None:
    """Every file of a gateway that runs stands in the page's table, with the modes that it promises."""
    told = [
        name
        for row in re.findall(r"^\| (`[^|]+`) \|", section(page, "Files"), re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    ]
    untold = [path.name for path in state.iterdir() if not any(path.match(name.rstrip("/")) for name in told)]
    assert not untold
    assert state.stat().st_mode & 0o777 == 0o700
    for name in ("link.secret", "link.sock", "control.sock", "console.url"):
        assert (state / name).stat().st_mode & 0o777 == 0o600


def section(page: Path, heading: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(
        rf"^## {heading}\n(.*?)(?=^## |\Z)", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"{shown(page)} has no section {heading}"
    return found[1]


def first_column(text: str) -> list[str]:
    """Words in backticks at the start of table rows."""
    return [
        word
        for row in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
        for word in re.findall(r"`([^`]+)`", row)
    ]


def test_every_command_stands_in_a_block_that_is_run() -> None:
    """A block without language that holds a command would be tested by nobody."""
    stray = [
        f"{shown(page)}: {line}"
        for page in PAGES
        for block in blocks(page, "", "text")
        for line in block.splitlines()
        if re.match(r"\s*(\$ |vpp-gateway |make |python )", line)
    ]
    assert not stray


def test_commands_named_in_a_sentence_exist() -> None:
    """Command, sub-command and options of `vpp-gateway ...` in running text, by their own help."""
    named = {
        code
        for page in PAGES
        for code in re.findall(r"`(vpp-gateway [^`]+)`", FENCE.sub("", page.read_text(encoding="utf-8")))
    }
    assert len(named) > 5
    for code in sorted(named):
        command: list[str] = []
        found: click.Command = root
        for word in code.split()[1:]:
            if not isinstance(found, click.Group) or not re.fullmatch("[a-z][a-z0-9-]*", word):
                break
            below = found.get_command(click.Context(found), word)
            assert below is not None, f"`{code}`: there is no command {word}"
            found = below
            command.append(word)
        helped = CliRunner().invoke(root, [*command, "--help"])
        assert helped.exit_code == 0, code
        assert [option for option in re.findall(r"--[a-z-]+", code) if option not in helped.output] == [], (
            code
        )


def test_tests_that_pages_refer_to_exist() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in under("tests", ".py")}
    known = {path.stem for path in sources} | {
        name
        for text in sources.values()
        for name in re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE)
    }
    named = {
        (shown(page), name)
        for page in PAGES
        for name in [
            *(line.test for line in lines(page) if line.test),
            *re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")),
        ]
    }
    assert len(named) > 40
    assert not {each for each in named if each[1] not in known}


def rehearsed(target: str) -> str:
    """What `make TARGET` would do."""
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_test_runs_the_tests() -> None:
    assert re.search(r'-m pytest -m "not soak"', rehearsed("test"))
    assert "ruff check" in rehearsed("test")


def test_make_demo_starts_the_demo(tmp_path: Path) -> None:
    """The recipe of `make demo`, with its keys: it comes up, says its state, and ends."""
    recipe = re.search(r"exec \S*/(vpp-gateway demo)", rehearsed("demo"))
    assert recipe is not None
    done = subprocess.run(
        [*recipe[1].split(), "--port", "0"],
        cwd=tmp_path,
        env={**ENVIRONMENT, "TMPDIR": str(tmp_path)},
        input=b"sq",
        capture_output=True,
        timeout=180,
        check=False,
    )
    said = done.stdout.decode()
    assert done.returncode == 0, f"{said}\n{done.stderr.decode()}"
    assert re.search(r"page: http://127\.0\.0\.1:\d+/\?token=[0-9a-f]{64}", said)
    assert "tso=registered" in said
    keys = first_column(section(ROOT / "docs" / "ja" / "README.md", "動かしてみる"))
    assert [key for key in keys if f" {key} " not in said] == [], "the page names another key than the demo"


def test_pictures_are_whole_and_light() -> None:
    """As `python -m docs.images.make_pictures` takes them."""
    shown_in = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    assert len(pictures) >= 2
    for picture in pictures:
        head = picture.read_bytes()
        assert head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) < 400_000
        assert struct.unpack(">II", head[16:24]) == (1440, 900)
        assert picture.name in shown_in, f"no page shows {picture.name}"


def test_numbers_of_the_readme_were_measured() -> None:
    demo = json.loads((ROOT / "tests" / "data" / "demo_recorded.json").read_text(encoding="utf-8"))
    events, moves = demo["events"], demo["moves"]
    samples = sum(event["samples"] for event in events)
    within = round(sum(event["samples"] * event["within_10pct"] for event in events))
    expected = (
        f"{max(event['t_reached_s'] for event in events):.2f} s",
        f"{within} of {samples}",
        f"{max(move['downtime_s'] for move in moves):.2f} s; "
        f"{sum(move['lost_steps'] + move['repeated_steps'] for move in moves)}",
    )
    told = section(ROOT / "README.md", "Measured")
    assert demo["simulated"] and "**simulated field**" in told
    assert [number for number in expected if f"| {number} |" not in told] == []
    assert f"slowest of {len(events)}" in told


def test_alarms_of_the_runbook_are_those_of_the_gateway() -> None:
    codes = {key.removeprefix("alarm.") for key in TEXTS if key.startswith("alarm.")}
    assert set(first_column(section(ROOT / "docs" / "operate.md", "Alarms"))) >= codes
    rows = re.findall(r"^\| `(\w+)` \|", section(ROOT / "docs" / "operate.md", "Alarms"), re.MULTILINE)
    assert set(rows) == codes


def test_exit_codes_and_timers_are_those_of_the_code() -> None:
    page = ROOT / "docs" / "deploy.md"
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", section(page, "Exit codes"), re.MULTILINE)}
    assert told == {
        common.OK, common.FAILED, common.USAGE, common.CONFIG_INVALID, common.UNREACHABLE, common.MISSED,
        common.DEGRADED,
    }  # fmt: skip
    timers = re.findall(r"^\| `(\w+)` \| ([\d.]+) s \|", section(page, "When something dies"), re.MULTILINE)
    assert {name: float(value) for name, value in timers} == TimingSettings().model_dump()
    kept = re.findall(r"`retention\.(\w+)`\s\((\d+)\)", section(page, "Files"))
    assert {name: float(days) for name, days in kept} == RetentionSettings().model_dump()


def test_systemd_unit_starts_what_there_is() -> None:
    (unit,) = blocks(ROOT / "docs" / "deploy.md", "ini")
    started = re.findall(r"^ExecStart(?:Pre)?=\S+/vpp-gateway (.*)$", unit, re.MULTILINE)
    assert len(started) == 2
    for arguments in started:
        words = [word for word in arguments.split() if not word.startswith(("-", "/"))]
        helped = subprocess.run(
            ["vpp-gateway", *words, "--help"], env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert helped.returncode == 0, helped.stderr
        assert all(option in helped.stdout for option in re.findall(r"--\w+", arguments))
