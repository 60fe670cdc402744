"""The table of device profiles in the documents is that of the files, and each file says what the table needs."""

from __future__ import annotations

import pytest

from tests.repository import ROOT
from vpp_gateway.commission.products import BEGIN, END, main, renewed, shipped, table
from vpp_gateway.errors import MisuseError

PAGE = ROOT / "docs" / "devices.md"


def test_the_page_has_the_table_of_all_shipped_profiles() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert renewed(page, shipped()) == page, "run: python -m vpp_gateway.commission.products docs/devices.md"
    for profile in shipped():
        assert f"| `{profile.name}` |" in page


def test_a_profile_that_is_gone_leaves_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    fewer = [profile for profile in shipped() if profile.name != "victron-gx"]
    assert "victron-gx" in page
    assert "victron-gx" not in renewed(page, fewer).split(END)[0]
    assert renewed(renewed(page, fewer), shipped()) == page


def test_how_a_battery_falls_back_stands_in_its_row() -> None:
    rows = {line.split("`")[1]: line for line in table(shipped()).splitlines() if line.startswith("| `")}
    assert "| timer set by us |" in rows["fronius-gen24"]
    assert "| never |" in rows["deye-sun-lp3"]
    assert "| watchdog, 60 s |" in rows["victron-gx"]
    assert "falls back" not in rows["sunspec-meter"]


def test_a_page_without_marks_and_a_wrong_command_line_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(MisuseError, match="the page needs a line"):
        renewed(f"{BEGIN}\n", shipped())
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
