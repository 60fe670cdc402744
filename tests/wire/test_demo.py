"""The headless demo with real processes, in short: its exit code, its file and its screen tell the same."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import jsonschema
import pytest

from vpp_gateway.demo import command, plan
from vpp_gateway.demo.report import DemoResult
from vpp_gateway.demo.schemas import schema_text
from vpp_gateway.metering.delivery import SETTLE_S

SHORT = plan.Pace(notice_s=5.0, event_s=SETTLE_S + 4.0, gap_s=0.0)
TOO_MUCH = plan.Act(
    title="more than all batteries and all work can give",
    title_ja="蓄電池とワークロードの合計を超える指令",
    orders=(plan.Order(regulation_w=900_000.0),),
)


def played(folder: Path, *acts: plan.Act) -> tuple[int, DemoResult]:
    file = folder / "demo.json"
    world = folder / "world"
    world.mkdir()
    code = asyncio.run(command.play(world, json_file=file, acts=acts, pace=SHORT))
    told = json.loads(file.read_text(encoding="utf-8"))
    jsonschema.validate(told, json.loads(schema_text()))
    return code, DemoResult.model_validate(told)


def test_work_moves_and_both_areas_are_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, result = played(tmp_path, plan.ACTS[2])
    said = capsys.readouterr()
    assert [(event.direction, event.scope) for event in result.events] == [
        ("down", "tokyo-1"),
        ("up", "kanagawa-1"),
    ]
    assert all(event.samples == 4 and event.t_reached_s is not None for event in result.events)
    move = next(m for m in result.moves if (m.from_site, m.to_site) == ("tokyo-1", "kanagawa-1"))
    assert move.source_change_w < 0.0 < move.destination_change_w
    assert move.t_source_down_s is not None and move.t_destination_up_s is not None
    assert all(m.jobs and m.work_proven and m.downtime_s > 0.0 for m in result.moves)
    assert result.reports_received_by_vtn >= 2
    assert said.err == "".join(f"missed: {row}\n" for row in result.missed)
    assert (code, result.missed) == (command.OK, [])


def test_an_order_beyond_all_means_is_a_missed_goal(tmp_path: Path) -> None:
    code, result = played(tmp_path, TOO_MUCH)
    (event,) = result.events
    assert event.t_reached_s is None and event.within_10pct == 0.0 and event.shortfall_w > 100_000.0
    assert code == command.MISSED and not result.within_goals
    assert [row.split(",")[0] for row in result.missed] == [
        "EV-001: target reached never",
        "EV-001: 0 of 4 seconds within 10 % (4 were seen)",
    ]
