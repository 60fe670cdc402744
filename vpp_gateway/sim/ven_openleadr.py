"""A VEN that is not ours: openleadr's client in a process of its own, as the conformance harness's other subject.

    python -m vpp_gateway.sim.ven_openleadr --vtn-url http://127.0.0.1:8080/OpenADR2/Simple/2.0b --ven-name centre

It opts in to every event and offers one TELEMETRY_USAGE report of a constant, so that what is judged is openleadr's
own protocol work. It runs until stdin ends or it is terminated; each line on stdin is answered by one line of JSON on
stdout: what openleadr believes of its events.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from datetime import timedelta
from typing import Any, TextIO

IMPORT_KW = 100.0


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="vpp_gateway.sim.ven_openleadr", description="openleadr's VEN as a peer"
    )
    parser.add_argument("--vtn-url", required=True)
    parser.add_argument("--ven-name", default="centre")
    return parser.parse_args(argv)


async def serve(options: argparse.Namespace, out: TextIO) -> None:
    """Run the VEN until stdin ends."""
    import openleadr  # here and not above: importing it costs a second

    client: Any = openleadr.OpenADRClient(
        ven_name=options.ven_name, vtn_url=options.vtn_url, show_fingerprint=False
    )

    async def opt_in(_event: dict[str, Any]) -> str:
        return "optIn"

    async def measure() -> float:
        return IMPORT_KW

    client.add_handler("on_event", opt_in)
    client.add_handler("on_update_event", opt_in)
    client.add_report(
        callback=measure,
        resource_id="portfolio",
        measurement="powerReal",
        unit="W",
        scale="k",
        power_ac=True,
        power_hertz=50,
        power_voltage=6600,
        sampling_rate=timedelta(seconds=1),
        report_specifier_id="usage",
        r_id="portfolio",
    )
    await client.run()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for _line in reader:
        print(
            json.dumps({"events": [_event(client, one) for one in client.received_events]}),
            file=out,
            flush=True,
        )


def _event(client: Any, event: Any) -> dict[str, Any]:
    described = event["event_descriptor"]
    period = event["active_period"]
    start_at = period["dtstart"].timestamp()
    return {
        "event": str(described["event_id"]),
        "modification": described["modification_number"],
        "status": described["event_status"],
        "start_at": start_at,
        "end_at": start_at + period["duration"].total_seconds() if period["duration"] else None,
        "opt": client.responded_events.get(described["event_id"]),
        "test": described.get("test_event", False),
    }


def main(argv: list[str] | None = None) -> None:
    """Entry point of the process."""
    options = arguments(argv)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options, out))


if __name__ == "__main__":
    main()
