"""A VEN that is not ours: openleadr's client in a process of its own, as the conformance harness's other subject.

    python -m vpp_gateway.sim.ven_openleadr --vtn-url http://127.0.0.1:8080/OpenADR2/Simple/2.0b --ven-name centre

It opts in to every event and offers one TELEMETRY_USAGE report of a constant, so that what is judged is openleadr's
own protocol work. It runs until it is terminated.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from datetime import timedelta
from typing import Any

IMPORT_KW = 100.0


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="vpp_gateway.sim.ven_openleadr", description="openleadr's VEN as a peer"
    )
    parser.add_argument("--vtn-url", required=True)
    parser.add_argument("--ven-name", default="centre")
    return parser.parse_args(argv)


async def serve(options: argparse.Namespace) -> None:
    """Run the VEN until it is cancelled."""
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
    await asyncio.Event().wait()


def main(argv: list[str] | None = None) -> None:
    """Entry point of the process."""
    options = arguments(argv)
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options))


if __name__ == "__main__":
    main()
