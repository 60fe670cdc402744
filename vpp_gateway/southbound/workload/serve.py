"""The author-side runner: loads a plug-in in this process and speaks the wire for it.

    python -m vpp_gateway.southbound.workload.serve ENTRYPOINT_NAME

`ENTRYPOINT_NAME` is a name of the entry-point group `vpp_gateway.site_plugins`, or `module:attribute`.
Standard output is the wire and nothing else: before the plug-in is loaded the real descriptor is moved away, so
that its prints land on standard error. When standard input ends the host is gone, and the runner ends.

`serve()` knows no process: the in-memory transport runs the same code in virtual time.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

from vpp_gateway.clock import Clock, SystemClock
from vpp_gateway.domain.order import Offer, OrderId, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.errors import GatewayError, MisuseError, PeerError, leaves
from vpp_gateway.southbound.workload import contract
from vpp_gateway.southbound.workload.plugin import Answer, Briefing, Profile, SitePlugin

Write = Callable[[bytes], None]

FIRST_PARTY = {"process-lever": "vpp_gateway.southbound.workload.process_lever:plugin"}
"""Entry points of this package, known also where it runs from its source tree and is not installed."""


@dataclass(frozen=True, slots=True)
class LineDesk:
    """The plug-in's desk: every word becomes a line."""

    clock: Clock
    write: Write

    def offer(self, offers: Sequence[Offer]) -> None:
        self.write(contract.encode(contract.Offers(offers=tuple(offers))))

    def shifted(self, order: OrderId, state: ShiftState, reason: str = "") -> None:
        self.write(contract.encode(contract.Shift(order=order, state=state, reason=reason)))

    def measured(self, samples: Sequence[contract.Sample]) -> None:
        self.write(contract.encode(contract.Samples(samples=tuple(samples))))


async def serve(plugin: SitePlugin, lines: AsyncIterator[bytes], write: Write, clock: Clock) -> None:
    """Serve `plugin` until `lines` end. Raises what the plug-in's `run` raises, and PeerError on a bad host."""
    desk = LineDesk(clock, write)
    tasks: set[asyncio.Task[None]] = set()
    working = False
    async with asyncio.TaskGroup() as group:
        async for line in lines:
            request = contract.decode_request(line)
            task = group.create_task(_answer(plugin, request, desk))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if isinstance(request, contract.Hello):
                await task  # nothing else is said to a plug-in that has not been briefed
            if isinstance(request, contract.Recover) and not working:
                working = True
                tasks.add(group.create_task(_work_after(task, plugin)))
        for task in tasks:
            task.cancel()


async def _work_after(recovered: asyncio.Task[None], plugin: SitePlugin) -> None:
    await recovered
    await plugin.run()
    raise MisuseError("the plug-in's run() returned; it works until it is cancelled")


async def _answer(plugin: SitePlugin, request: contract.Request, desk: LineDesk) -> None:
    try:
        reply = await _reply(plugin, request, desk)
        line = contract.encode(reply)
    except GatewayError as error:
        line = contract.encode(contract.Failure(id=request.id, reason=str(error)[:2000]))
    except Exception as error:  # noqa: BLE001 - the runner is the boundary of foreign code: it ends in a reply
        traceback.print_exc(file=sys.stderr)
        line = contract.encode(
            contract.Failure(id=request.id, reason=f"{type(error).__name__}: {error}"[:2000])
        )
    desk.write(line)


async def _reply(plugin: SitePlugin, request: contract.Request, desk: LineDesk) -> contract.Reply:
    match request:
        case contract.Hello():
            if request.api_version != contract.API_VERSION:
                raise PeerError(
                    f"host speaks contract version {request.api_version}, this runner {contract.API_VERSION}"
                )
            return _capabilities(request, await plugin.hello(_briefing(request), desk))
        case contract.Order():
            return _ack(request.id, await _carry(plugin, request.order))
        case contract.StatusQuery():
            state = await plugin.status(request.order)
            return contract.States(id=request.id, states=() if state is None else (state,))
        case contract.Recover():
            states = await plugin.recover(request.orders, request.fence)
            return contract.States(id=request.id, states=tuple(states))
        case contract.EmergencyStop():
            return _ack(request.id, await plugin.estop())
        case contract.Heartbeat():
            return contract.Beat(id=request.id)


def _carry(plugin: SitePlugin, order: ShiftOrder) -> Coroutine[None, None, Answer]:
    match order.verb:
        case ShiftVerb.PREPARE:
            return plugin.prepare(order)
        case ShiftVerb.COMMIT:
            return plugin.commit(order)
        case ShiftVerb.ROLLBACK:
            return plugin.rollback(order)


def _briefing(hello: contract.Hello) -> Briefing:
    return Briefing(
        name=hello.name, sites=hello.sites, config=hello.config, state_dir=hello.state_dir, fence=hello.fence
    )


def _capabilities(hello: contract.Hello, profile: Profile) -> contract.Capabilities:
    return contract.Capabilities(
        id=hello.id,
        api_version=contract.API_VERSION,
        name=hello.name,
        sites=profile.sites,
        fail_state=profile.fail_state,
        revert_after_s=profile.revert_after_s,
        config_schema=profile.config_schema or {},
    )


def _ack(id: int, answer: Answer) -> contract.Ack:
    return contract.Ack(id=id, accepted=answer.accepted, reason=answer.reason)


# --- the process ------------------------------------------------------------------------------------------


def load(name: str) -> SitePlugin:
    """The plug-in that the entry point (or `module:attribute`) `name` makes. Raises MisuseError."""
    name = FIRST_PARTY.get(name, name)
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            factory = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise MisuseError(f"plug-in {name!r}: {error}") from error
    else:
        found = {point.name: point for point in entry_points(group=contract.ENTRY_POINT_GROUP)}
        if name not in found:
            known = ", ".join(sorted(found)) or "none installed"
            raise MisuseError(
                f"no plug-in {name!r} in entry-point group {contract.ENTRY_POINT_GROUP}; known: {known}"
            )
        factory = found[name].load()
    plugin: SitePlugin = factory()
    return plugin


async def stdin_lines() -> AsyncIterator[bytes]:
    """Lines of standard input until it ends."""
    reader = asyncio.StreamReader(limit=contract.LINE_MAX_BYTES)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    try:
        while (line := await reader.readline()).endswith(b"\n"):
            yield line
    finally:
        transport.close()


def take_wire() -> Write:
    """Move standard output away for the wire alone; from here on prints go to standard error."""
    sys.stdout.flush()
    wire = os.dup(1)
    os.dup2(2, 1)

    def write(line: bytes) -> None:
        # Blocking on purpose: a host that does not read slows the plug-in down instead of filling its memory.
        view = memoryview(line)
        while view:
            view = view[os.write(wire, view) :]

    return write


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one plug-in on standard input and output; the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m vpp_gateway.southbound.workload.serve ENTRYPOINT_NAME\n")
        return 2
    write = take_wire()
    status = 0
    try:
        asyncio.run(serve(load(arguments[0]), stdin_lines(), write, SystemClock()))
    except* (GatewayError, BrokenPipeError) as errors:
        for error in leaves(errors):
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
