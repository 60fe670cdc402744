"""The plug-in of docs/plugins.md: exactly that text, in a process of its own, behind the real host."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.repository import ROOT
from tests.wire.plugin_bench import Bench, running
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import PluginName, ShiftState, ShiftVerb
from vpp_gateway.southbound.workload.contract import ENTRY_POINT_GROUP
from vpp_gateway.southbound.workload.process import Limits, command, process_factory
from vpp_gateway.southbound.workload.spec import PluginSpec, Timing

PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
LINES_MAX = 40


def source() -> str:
    """The page's Python."""
    (text,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert isinstance(text, str)
    return text


def bench(folder: Path) -> Bench:
    (folder / "pause_file.py").write_text(source(), encoding="utf-8")
    (folder / "queue").mkdir()
    spec = PluginSpec(
        name=PluginName("batch"),
        entry_point="pause_file:plugin",
        sites=(SiteId("tokyo-1"),),
        config={"folder": str(folder / "queue"), "w": 40_000},
        state_dir=str(folder),
    )
    made = Bench(spec)

    def with_its_module(spec: PluginSpec) -> list[str]:
        """As installed: its module can be imported."""
        *line, entry_point = command(spec, Limits())
        return [*line, f"--path={folder}", entry_point]

    made.furnish(process_factory(argv=with_its_module), Timing(respawn_first_s=0.05))
    return made


def play(folder: Path, act: Callable[[Bench, Path], Awaitable[None]]) -> None:
    async def main() -> None:
        made = bench(folder)
        async with asyncio.timeout(60), running(made):
            await made.ready()
            await act(made, folder / "queue")

    asyncio.run(main())


def test_it_is_short_and_its_entry_point_is_the_group_of_the_host() -> None:
    assert len([line for line in source().splitlines() if line.strip()]) <= LINES_MAX
    assert f'[project.entry-points."{ENTRY_POINT_GROUP}"]' in PAGE


def held(queue: Path) -> list[str]:
    """What pauses the queue."""
    return [file.name for file in queue.iterdir()]


def test_it_offers_pauses_and_gives_back(tmp_path: Path) -> None:
    async def act(bench: Bench, queue: Path) -> None:
        offer = await bench.offers("pause")
        assert [(leg.site, leg.import_delta_w) for leg in offer.legs] == [("tokyo-1", -40_000.0)]
        bench.give("1-1", ShiftVerb.PREPARE, offer.id)
        await bench.state("1-1", ShiftState.PREPARED)
        assert held(queue) == []
        bench.give("1-1", ShiftVerb.COMMIT, offer.id)
        await bench.state("1-1", ShiftState.ACTIVE)
        assert held(queue) == ["1-1"]
        bench.give("1-1", ShiftVerb.ROLLBACK, offer.id)
        await bench.state("1-1", ShiftState.RETURNED)
        assert held(queue) == []

    play(tmp_path, act)


def test_its_next_life_knows_what_it_holds(tmp_path: Path) -> None:
    async def act(bench: Bench, queue: Path) -> None:
        offer = await bench.offers("pause")
        bench.give("1-1", ShiftVerb.COMMIT, offer.id)
        await bench.state("1-1", ShiftState.ACTIVE)
        killed = bench.host.status().pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await bench.until(lambda: bench.host.status().restarts == 1 and bench.host.status().state == "ready")
        assert bench.states("1-1")[-1] is ShiftState.ACTIVE
        assert held(queue) == ["1-1"]
        bench.give("1-1", ShiftVerb.ROLLBACK, offer.id)
        await bench.state("1-1", ShiftState.RETURNED)
        assert held(queue) == []

    play(tmp_path, act)


def test_the_emergency_stop_gives_everything_back(tmp_path: Path) -> None:
    async def act(bench: Bench, queue: Path) -> None:
        offer = await bench.offers("pause")
        bench.give("1-1", ShiftVerb.COMMIT, offer.id)
        await bench.state("1-1", ShiftState.ACTIVE)
        answer = await bench.host.estop()
        assert answer.accepted
        assert held(queue) == []

    play(tmp_path, act)
