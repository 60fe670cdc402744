"""Program: does the client leave its loop free? `python -m tests.bench.openadr2_lag FILE ROUNDS`

The VEN's client asks a server in another process for its events; the answer is FILE. A probe sleeps 1 ms at a time
in the same loop. Answers with one line of JSON, times in s.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from statistics import median

from tests.bench.children import command, environment
from tests.bench.samples import percentile
from tests.wire.ven_bench import free_port
from vpp_gateway.clock import SystemClock
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.client import VenClient
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import DistributeEvent, Failed, Post, Received, RequestEvent

STEP_S = 0.001


async def probe(late: list[float]) -> None:
    """How much later than asked each sleep ended."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(STEP_S)
        late.append(time.perf_counter() - began - STEP_S)


async def play(port: int, rounds: int) -> dict[str, object]:
    """All exchanges, then as long in idleness."""
    heard: asyncio.Queue[Received | Failed] = asyncio.Queue()

    async def deliver(room: RoomName, message: Received | Failed) -> None:
        heard.put_nowait(message)

    client = VenClient(
        room=RoomName("tso"),
        base_url=f"http://127.0.0.1:{port}",
        codec=Codec(schema=schema.load()),
        tls=None,
        clock=SystemClock(),
        deliver=deliver,
        deadline_s=30.0,
    )
    gc.collect()
    gc.freeze()  # as the centre does when it has started
    events, took = 0, []
    busy: list[float] = []
    idle: list[float] = []
    async with asyncio.TaskGroup() as group:
        running = group.create_task(client.run())
        for number in range(rounds + 1):
            watching = group.create_task(probe(busy if number else []))  # the first connects and warms up
            began = time.perf_counter()
            client.send(
                Post(number=number, service="EiEvent", message=RequestEvent(request_id="r", ven_id="ven-1"))
            )
            answer = await heard.get()
            watching.cancel()
            assert isinstance(answer, Received) and isinstance(answer.message, DistributeEvent), answer
            if number:
                took.append(time.perf_counter() - began)
                events += len(answer.message.events)
        watching = group.create_task(probe(idle))
        await asyncio.sleep(sum(took))
        watching.cancel()
        running.cancel()
    return {
        "busy_s": max(busy),
        "p99_s": percentile(busy, 99),
        "idle_s": max(idle),
        "exchange_s": median(took),
        "events": events,
    }


def main(arguments: list[str]) -> None:
    """Command line."""
    port = free_port()
    with subprocess.Popen(
        command("openadr2_site", port, arguments[0]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as site:
        assert site.stdin is not None and site.stdout is not None
        assert site.stdout.readline().strip() == b"ready"
        print(json.dumps(asyncio.run(play(port, int(arguments[1])))))
        site.stdin.close()


if __name__ == "__main__":
    main(sys.argv[1:])
