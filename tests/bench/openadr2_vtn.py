"""Program: a VTN behind mutual TLS with signatures. `python -m tests.bench.openadr2_vtn PORT FOLDER QUIET_S ROUNDS SEED`

Says `ready` when it listens. After QUIET_S of answering polls with nothing it puts ROUNDS events before the VEN, each
at a random moment and each in place of the one before. Then one line of JSON: when each became available, UTC.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.identity.dev_ca import DevCa
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.sim.vtn import Vtn, dispatch
from vpp_gateway.sim.vtn_http import VtnServer, server_tls

PERIOD_S = 1.0
"""The poll period that it asks for."""


def dev_ca(folder: Path) -> DevCa:
    """The certificates that `make_dev_ca` put there."""
    return DevCa(
        folder=folder,
        ca=folder / "ca.pem",
        vtn_cert=folder / "vtn.pem",
        vtn_key=folder / "vtn.key",
        vens=("ven",),
    )


async def serve(port: int, folder: Path, quiet_s: float, rounds: int, seed: int) -> None:
    """The whole script."""
    pki, clock, rng = dev_ca(folder), SystemClock(), SeededRng(seed)
    vtn = Vtn(rng=rng, poll_s=PERIOD_S)
    server = VtnServer(
        vtn=vtn,
        codec=Codec(
            schema=schema.load(),
            signer=Signer(key_pem=pki.vtn_key.read_bytes(), cert_pem=pki.vtn_cert.read_bytes(), rng=rng),
            verifier=Verifier(pins=[fingerprint(pki.ven_cert("ven").read_bytes())]),
        ),
        clock=clock,
        tls=server_tls(ca_file=str(pki.ca), cert_file=str(pki.vtn_cert), key_file=str(pki.vtn_key)),
    )
    available: dict[str, float] = {}
    async with server.serve(port):
        print("ready", flush=True)
        await asyncio.sleep(quiet_s)
        for round in range(rounds):
            await asyncio.sleep(PERIOD_S * rng.uniform(1.5, 2.5))  # at any phase of the poll
            if round:
                vtn.drop(f"event-{round - 1}")
            now = clock.utc()
            vtn.add_event(
                dispatch(f"event-{round}", start_at=now + 86_400.0, duration_s=900.0, value=-50_000.0)
            )
            available[f"event-{round}"] = clock.utc()
        await asyncio.sleep(3 * PERIOD_S)
        print(json.dumps({"available": available, "refused": server.refused}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(
        serve(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    )
