"""The plug-in host over both transports: the contract kept, and what every kind of misbehaviour costs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.wire import bad_plugins, toy_plugin
from tests.wire.plugin_bench import QUICK, Bench, running
from vpp_gateway.clock import SystemClock
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import PluginName, ShiftState, ShiftVerb
from vpp_gateway.southbound.workload.memory import memory_factory, program_factory
from vpp_gateway.southbound.workload.process import Limits, process_factory
from vpp_gateway.southbound.workload.spec import PluginSpec, Transport, TransportFactory

PREPARE, COMMIT, ROLLBACK = ShiftVerb.PREPARE, ShiftVerb.COMMIT, ShiftVerb.ROLLBACK
PREPARED, ACTIVE, RETURNED, FAILED = (
    ShiftState.PREPARED,
    ShiftState.ACTIVE,
    ShiftState.RETURNED,
    ShiftState.FAILED,
)
BOTH = pytest.mark.parametrize("transport", ["process", "memory"])


def spec(tmp_path: Path, **config: object) -> PluginSpec:
    return PluginSpec(
        name=PluginName("lever"),
        entry_point="tests.wire.toy_plugin:plugin",
        sites=(SiteId("tokyo1"), SiteId("tokyo2")),
        config=config,
        state_dir=str(tmp_path),
    )


def toy(transport: str) -> TransportFactory:
    if transport == "process":
        return process_factory(Limits())
    return memory_factory(toy_plugin.plugin, SystemClock())


def bad(transport: str, mode: str) -> TransportFactory:
    if transport == "process":
        return process_factory(argv=lambda _: [sys.executable, "-I", "-S", bad_plugins.__file__, mode])
    return program_factory(bad_plugins.MODES[mode])  # type: ignore[arg-type]


def bench_of(tmp_path: Path, factory: TransportFactory, **config: object) -> Bench:
    bench = Bench(spec(tmp_path, **config))
    bench.furnish(factory)
    return bench


def scenario(act: Callable[[Bench], object], bench: Bench) -> None:
    """Run `act` beside the host, and end both."""

    async def main() -> None:
        async with asyncio.timeout(30), running(bench):
            await bench.ready()
            await act(bench)  # type: ignore[misc]

    asyncio.run(main())


# --- the contract, over both transports ---------------------------------------------------------------------


@BOTH
def test_ready_with_offers_capabilities_and_samples(tmp_path: Path, transport: str) -> None:
    async def act(bench: Bench) -> None:
        offer = await bench.offers("pause")
        assert offer.legs[0].import_delta_w == -1000.0
        assert bench.host.capabilities is not None
        assert bench.host.capabilities.fail_state == "hold"
        await bench.until(lambda: bench.host.samples() != ())
        assert bench.host.samples()[0].quality == "modelled"
        status = bench.host.status()
        assert (status.state, status.reason, status.restarts, status.offers) == ("ready", "", 0, 1)
        assert (status.pid is None) == (transport == "memory")

    scenario(act, bench_of(tmp_path, toy(transport)))


@BOTH
def test_prepare_commit_rollback_in_order(tmp_path: Path, transport: str) -> None:
    async def act(bench: Bench) -> None:
        for verb in (PREPARE, COMMIT, ROLLBACK):
            bench.give("o1", verb, "toy/1")
        await bench.state("o1", RETURNED)
        assert bench.states("o1") == [PREPARED, ACTIVE, RETURNED]

    scenario(act, bench_of(tmp_path, toy(transport)))


@BOTH
def test_a_repeated_order_changes_nothing_and_is_answered(tmp_path: Path, transport: str) -> None:
    async def act(bench: Bench) -> None:
        bench.give("o1", COMMIT, "toy/1")
        await bench.state("o1", ACTIVE)
        bench.give("o1", COMMIT, "toy/1")
        bench.give("o1", COMMIT, "toy/1")
        assert bench.states("o1") == [ACTIVE] * 3
        bench.give("o2", COMMIT, "toy/1")
        fact = await bench.state("o2", ACTIVE)
        assert fact.reason == "commits=2"  # o1 reached the plug-in once

    scenario(act, bench_of(tmp_path, toy(transport)))


@BOTH
def test_a_lower_fence_and_a_passed_deadline_are_not_begun(tmp_path: Path, transport: str) -> None:
    async def act(bench: Bench) -> None:
        bench.give("new", COMMIT, "toy/1", fence=5)
        await bench.state("new", ACTIVE)
        bench.give("old", COMMIT, "toy/1", fence=4)
        bench.give("late", COMMIT, "toy/1", fence=5, in_s=-1.0)
        assert bench.states("old") == bench.states("late") == [FAILED]
        reasons = {fact.order: fact.reason for fact in bench.shifted}
        assert "fence 4 is lower than 5" in reasons[bench.shifted[-2].order]
        assert "deadline passed 1.0 s ago, not begun" in reasons[bench.shifted[-1].order]
        # A stale centre that knows the order's id does not end it either.
        bench.give("new", ROLLBACK, "toy/1", fence=4)
        assert bench.states("new") == [ACTIVE, ACTIVE]

    scenario(act, bench_of(tmp_path, toy(transport)))


@BOTH
def test_a_refusal_and_an_exception_cost_the_order_only(tmp_path: Path, transport: str) -> None:
    async def act(bench: Bench) -> None:
        bench.give("no", COMMIT, "toy/1", step=toy_plugin.STEP_REFUSES)
        bench.give("bug", COMMIT, "toy/1", step=toy_plugin.STEP_RAISES)
        assert (await bench.state("no", FAILED)).reason == "commit refused: no such step"
        assert "KeyError" in (await bench.state("bug", FAILED)).reason
        bench.give("good", COMMIT, "toy/1")
        await bench.state("good", ACTIVE)
        assert bench.host.status().restarts == 0

    scenario(act, bench_of(tmp_path, toy(transport)))


@BOTH
def test_a_call_that_hangs_is_cut_and_recover_tells_the_truth(tmp_path: Path, transport: str) -> None:
    async def act(bench: Bench) -> None:
        await bench.offers("pause")
        bench.give("o1", COMMIT, "toy/1", step=toy_plugin.STEP_HANGS)
        fact = await bench.state("o1", FAILED)
        assert fact.reason.startswith("outcome unknown: plug-in no answer to order within 0.4 s")
        assert any(offered.offers == () for offered in bench.offered)
        await bench.state("o1", ACTIVE)  # it had been done before the hang
        assert bench.states("o1") == [FAILED, ACTIVE]
        await bench.ready()
        assert bench.host.status().restarts == 1
        await bench.until(lambda: bench.offered[-1].offers != ())

    scenario(act, bench_of(tmp_path, toy(transport)))


@BOTH
def test_offers_that_are_not_renewed_expire(tmp_path: Path, transport: str) -> None:
    async def act(bench: Bench) -> None:
        await bench.offers("pause")
        await bench.until(lambda: bench.offered[-1].offers == ())
        assert bench.offered[-1].reason == "offers expired and were not renewed"
        assert bench.host.status().state == "ready"

    scenario(act, bench_of(tmp_path, toy(transport), valid_s=0.3))


@BOTH
def test_a_wrong_configuration_is_told_to_the_operator(tmp_path: Path, transport: str) -> None:
    bench = bench_of(tmp_path, toy(transport), colour="red")

    async def main() -> None:
        async with asyncio.timeout(20), running(bench):
            await bench.until(lambda: "config.colour: 'red' is not allowed" in bench.host.status().reason)
            assert bench.host.status().state in ("waiting", "starting")

    asyncio.run(main())


@BOTH
def test_emergency_stop_holds_until_it_is_released(tmp_path: Path, transport: str) -> None:
    async def act(bench: Bench) -> None:
        await bench.offers("pause")
        answer = await bench.host.estop()
        assert answer.accepted
        await bench.until(lambda: bench.offered[-1].offers == ())
        bench.give("o1", COMMIT, "toy/1")
        assert "emergency stop" in (await bench.state("o1", FAILED)).reason
        bench.host.release()
        await bench.until(lambda: bench.offered[-1].offers != ())
        bench.give("o2", COMMIT, "toy/1")
        await bench.state("o2", ACTIVE)

    scenario(act, bench_of(tmp_path, toy(transport)))


@BOTH
def test_orders_while_the_plugin_is_away(tmp_path: Path, transport: str) -> None:
    """A commit fails at once, so that batteries take over; a rollback is carried out by the next life."""
    gate = asyncio.Event()
    inner = toy(transport)

    @asynccontextmanager
    async def held_up(which: PluginSpec) -> AsyncIterator[Transport]:
        await gate.wait()
        async with inner(which) as started:
            yield started

    async def act(bench: Bench) -> None:
        bench.give("o1", COMMIT, "toy/1")
        await bench.state("o1", ACTIVE)
        gate.clear()
        bench.give("o2", COMMIT, "toy/1", step=toy_plugin.STEP_HANGS)  # costs the life
        await bench.until(lambda: bench.host.status().state == "starting")
        bench.give("o1", ROLLBACK, "toy/1")
        bench.give("o3", COMMIT, "toy/1")
        assert bench.states("o3") == [FAILED]
        assert bench.states("o1") == [ACTIVE]
        gate.set()
        await bench.state("o1", RETURNED)

    gate.set()
    scenario(act, bench_of(tmp_path, held_up))


# --- misbehaviour -------------------------------------------------------------------------------------------

MISBEHAVIOUR = {
    "never_hello": "no answer to hello",
    "hang": "no answer to heartbeat",
    "crash": "ended",
    "flood": "floods",
    "garbage": "not a message",
    "oversize": "line longer than 65536 bytes",
    "endless_line": "line longer than 65536 bytes",
    "double_key": "key 'type' given twice",
    "wrong_type": "cost: Input should be a valid number, found 'cheap'",
    "unknown_field": "import_detla_w",
    "deep": "nested too deeply",
    "unasked_answer": "which was never made",
}


UNTRUE = {
    "not_a_number": "sustain_s is nan",
    "infinite": "sustain_s is inf",
    "wrong_sign": "takes less from the grid",
    "foreign_site": "site 'osaka' is not one of this plug-in's",
    "expired": "valid_until",
}


@BOTH
@pytest.mark.parametrize("mode", UNTRUE)
def test_an_offer_that_cannot_be_true_costs_itself_and_not_the_plugin(
    tmp_path: Path, transport: str, mode: str
) -> None:
    async def act(bench: Bench) -> None:
        await bench.until(lambda: len(bench.offered) >= 1 and bench.offered[-1].offers != ())
        told = bench.offered[-1]
        assert [offer.id for offer in told.offers] == ["bad/2"]
        (why,) = told.refused
        assert why.startswith("plug-in lever, offer 'bad/1': ") and UNTRUE[mode] in why
        assert bench.host.status().restarts == 0 and told.reason == ""

    bench = Bench(spec(tmp_path))
    bench.furnish(bad(transport, mode))
    scenario(act, bench)


async def _longest_lag() -> AsyncIterator[float]:
    loop = asyncio.get_running_loop()
    longest = 0.0
    while True:
        before = loop.time()
        await asyncio.sleep(0.01)
        longest = max(longest, loop.time() - before - 0.01)
        yield longest


@BOTH
@pytest.mark.parametrize("mode", MISBEHAVIOUR)
def test_misbehaviour_costs_the_offers_and_nothing_else(tmp_path: Path, transport: str, mode: str) -> None:
    timing = replace(QUICK, hello_s=0.4, heartbeat_deadline_s=0.4)
    culprit, neighbour = Bench(spec(tmp_path)), Bench(spec(tmp_path))
    culprit.furnish(bad(transport, mode), timing)
    neighbour.furnish(toy("memory"))
    lag_s = 0.0

    async def feel() -> None:
        nonlocal lag_s
        async for lag in _longest_lag():
            lag_s = lag

    async def main() -> None:
        async with asyncio.timeout(30), running(neighbour):
            await neighbour.offers("pause")
            async with asyncio.TaskGroup() as group:
                feeling = group.create_task(feel())
                async with running(culprit):
                    await culprit.until(lambda: culprit.host.status().restarts >= 2)
                feeling.cancel()
            assert len(neighbour.offered) == 1
            assert neighbour.host.status().restarts == 0

    asyncio.run(main())
    assert culprit.offered[-1].offers == ()
    assert MISBEHAVIOUR[mode] in " ".join(offered.reason for offered in culprit.offered)
    # The loop stays free: generous, because the machine is shared; a blocking host would show whole seconds.
    assert lag_s < 0.3


@BOTH
def test_death_in_commit_is_unknown_until_recovered(tmp_path: Path, transport: str) -> None:
    async def act(bench: Bench) -> None:
        await bench.offers("pause")
        bench.give("o1", COMMIT, "bad/1")
        assert (await bench.state("o1", FAILED)).reason.startswith("outcome unknown")
        await bench.state("o1", ACTIVE)
        assert bench.states("o1") == [FAILED, ACTIVE]

    scenario(act, bench_of(tmp_path, bad(transport, "dies_in_commit")))


def test_a_plugin_that_cannot_be_started_is_told_and_tried_again(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, process_factory(argv=lambda _: ["/nonexistent/plugin"]))

    async def main() -> None:
        async with asyncio.timeout(20), running(bench):
            await bench.until(lambda: bench.host.status().restarts >= 2)

    asyncio.run(main())
    assert "cannot be started" in bench.offered[0].reason
    assert "/nonexistent/plugin" in bench.offered[0].reason


# --- what only a process has --------------------------------------------------------------------------------


def environment(pid: int) -> set[str]:
    return {line.split("=")[0] for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if line}


def soft_limits(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:47].strip() for line in lines}


def test_the_child_is_fenced_in(tmp_path: Path) -> None:
    """Own session, empty environment, no core dumps, limits, and death with its host."""

    async def act(bench: Bench) -> None:
        pid = bench.host.status().pid
        assert pid is not None
        assert os.getpgid(pid) == pid
        assert os.getsid(pid) == pid
        assert environment(pid) <= {"LC_CTYPE"}  # Python's own coercion of the C locale
        soft = soft_limits(pid)
        assert soft["Max core file size"] == "0"
        assert soft["Max open files"] == "64"
        assert soft["Max address space"] == str(512 * 1024 * 1024)

    scenario(
        act, bench_of(tmp_path, process_factory(Limits(memory_max_bytes=512 * 1024 * 1024, files_max=64)))
    )


def test_the_whole_group_dies_with_the_life(tmp_path: Path) -> None:
    """A helper that the plug-in has started does not outlive it."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    time.sleep(60)\n"
        "open(sys.argv[1], 'w').write(str(child))\n"
        "time.sleep(60)\n"
    )
    note = tmp_path / "child.pid"
    bench = bench_of(
        tmp_path, process_factory(argv=lambda _: [sys.executable, "-I", "-S", str(script), str(note)])
    )

    def gone(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    async def main() -> None:
        async with asyncio.timeout(20), running(bench):
            await bench.until(lambda: note.exists() and note.read_text() != "")
        await bench.until(lambda: gone(int(note.read_text())))

    asyncio.run(main())


def test_sigkill_of_the_process_is_noticed_and_said(tmp_path: Path) -> None:
    async def act(bench: Bench) -> None:
        await bench.offers("pause")
        pid = bench.host.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await bench.until(lambda: bench.offered[-1].offers == ())
        await bench.until(lambda: bench.offered[-1].offers != ())
        assert bench.host.status().restarts == 1
        assert bench.host.status().pid != pid

    scenario(act, bench_of(tmp_path, toy("process")))


def test_an_unknown_entry_point_names_what_there_is(tmp_path: Path) -> None:
    bench = Bench(replace(spec(tmp_path), entry_point="no-such-lever"))
    bench.furnish(process_factory())

    async def main() -> None:
        async with asyncio.timeout(20), running(bench):
            await bench.until(lambda: "no plug-in 'no-such-lever'" in bench.host.status().reason)

    asyncio.run(main())
