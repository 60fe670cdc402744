"""Standard output that takes nothing, and text that would command the terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.repository import ROOT
from tests.unit.test_cli import call
from vpp_gateway.cli.common import Within, safe
from vpp_gateway.cli.screen import Screen

FULL = Path("/dev/full")
"""A device of Linux that has never room."""
COMMANDS = [
    ("--help",),
    ("--version",),
    ("replay", "--help"),
    ("config", "schema"),
    ("config", "check", "docs/scenarios/gateway.yaml", "--no-files"),
]


def run(*arguments: str, stdout: int | io.IOBase, module: str = "vpp_gateway") -> tuple[int, str]:
    """Exit code and what was said on stderr."""
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, cwd=ROOT, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_full_disk_behind_standard_output_is_one_line(arguments: tuple[str, ...]) -> None:
    with FULL.open("wb") as full:
        code, said = run(*arguments, stdout=full)
    assert (code, said) == (1, "vpp-gateway: standard output cannot be written: No space left on device\n")


def test_it_is_told_in_the_language_that_was_chosen() -> None:
    with FULL.open("wb") as full:
        code, said = run("--lang", "ja", "config", "schema", stdout=full)
    assert (code, said) == (1, "vpp-gateway: 標準出力に書けません: No space left on device\n")


@pytest.mark.parametrize("arguments", COMMANDS)
def test_nobody_listening_any_more_is_quiet(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code, said = run(*arguments, stdout=writing)
    finally:
        os.close(writing)
    assert said == "" and code in (0, 1)


def test_a_closed_standard_output_is_told_and_a_command_that_says_nothing_there_does_not_mind() -> None:
    shell = f"exec {sys.executable} -m vpp_gateway.cli "
    told, silent = (
        subprocess.run(
            ["sh", "-c", f"{shell} {rest} >&-"],
            stderr=subprocess.PIPE, text=True, timeout=60, cwd=ROOT, check=False,
        )
        for rest in ("config schema", "nonsense")
    )  # fmt: skip
    assert told.returncode == 1 and "standard output cannot be written: Bad file descriptor" in told.stderr
    assert silent.returncode == 2 and "standard output" not in silent.stderr


TASKS = """
import asyncio, click
from vpp_gateway.cli.output import watched_output
async def say():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(click.echo, "here"))
with watched_output():
    asyncio.run(say())
"""


def test_it_is_one_line_also_from_a_group_of_tasks() -> None:
    with FULL.open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", TASKS],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
        )
    told = "vpp-gateway: standard output cannot be written: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (1, told)


def test_both_modules_are_the_command() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-m", module, "--version"], capture_output=True, check=True, cwd=ROOT
        ).stdout
        for module in ("vpp_gateway", "vpp_gateway.cli")
    }
    assert len(said) == 1 and said.pop().startswith(b"vpp-gateway, version ")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[31mX", r"\x1b[31mX"),
        ("a\x9bb", r"a\x9bb"),
        ("a\u202eb", r"a\u202eb"),
        ("東京\u3000拠点", "東京\u3000拠点"),
        ("a\nb", r"a\nb"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(said: str, shown: str) -> None:
    assert safe(said) == shown


def test_a_screen_obeys_its_own_colours_alone() -> None:
    written = io.StringIO()
    screen = Screen(file=written, highlight=False, force_terminal=True, color_system="standard", width=80)
    screen.print("[red]\x1b[32mX\a[/]\nnext")
    assert written.getvalue() == "\x1b[31m\\x1b[32mX\\x07\x1b[0m\nnext\n"


def test_a_key_of_a_file_is_shown_escaped(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text('"\\e[31mX": 3\n', "utf-8")
    told = call("config", "check", file)
    assert told.exit_code == 3
    assert "\x1b" not in told.stderr and r"\x1b[31mX" in told.stderr


@pytest.mark.parametrize("said", ["nan", "inf", "-inf", "3"])
def test_a_number_in_no_range_is_refused_with_the_range(said: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is not in the range 0<x<=2\."):
        Within(min=0, min_open=True, max=2).convert(said, None, None)  # type: ignore[arg-type]  # as click calls it
    with pytest.raises(click.BadParameter, match=r"nan is not in the range x>=1\."):
        Within(1.0).convert("nan", None, None)  # type: ignore[arg-type]  # as above


def test_a_number_in_the_range_is_taken() -> None:
    assert Within(0.5, 168).convert("24", None, None) == 24.0  # type: ignore[arg-type]  # as click calls it


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (("status", "--timeout", "nan"), "0.1<=x<=60"),
        (("ven", "opts", "--timeout", "nan"), "0.1<=x<=60"),
        (("ven", "register", "--wait", "nan"), "0<=x<=3600"),
        (("ven", "create-opt", "--hours", "nan"), "0<x<=744"),
        (("ven", "create-opt", "--need-kw", "nan"), "x>0"),
        (("conform", "openadr2", "--poll-s", "nan"), "x>=1"),
        (("capacity", "show", "--timeout", "nan"), "0.1<=x<=120"),
    ],
)
def test_no_option_takes_nan(arguments: tuple[str, ...], allowed: str) -> None:
    told = call(*arguments)
    assert told.exit_code == 2 and f"nan is not in the range {allowed}" in told.stderr
