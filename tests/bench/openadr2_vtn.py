"""Program: a VTN behind mutual TLS with signatures. `python -m tests.bench.openadr2_vtn PORT FOLDER QUIET_S ROUNDS SEED PUSH`

Says `ready` when it listens. After QUIET_S of answering polls with nothing it puts ROUNDS events before the VEN, each
at a random moment and each in place of the one before: in the answer to a poll, or (PUSH = 1) posted to the address that
the VEN registered. Then one line of JSON: when each became available, UTC; with push also how long each reply took.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp

from vpp_gateway.clock import Clock, SeededRng, SystemClock
from vpp_gateway.identity.dev_ca import DevCa
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import CreatePartyRegistration, RequestEvent, Response
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.northbound.openadr2.tls import tls_context
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


def codec(pki: DevCa, seed: int) -> Codec:
    """Of the VTN, with nonces of its own."""
    return Codec(
        schema=schema.load(),
        signer=Signer(
            key_pem=pki.vtn_key.read_bytes(), cert_pem=pki.vtn_cert.read_bytes(), rng=SeededRng(f"vtn-{seed}")
        ),
        verifier=Verifier(pins=[fingerprint(pki.ven_cert("ven").read_bytes())]),
    )


class Poster:
    """Posts the list of events to the VEN, over one connection that stays open."""

    def __init__(self, vtn: Vtn, codec: Codec, pki: DevCa, clock: Clock) -> None:
        self._vtn, self._codec, self._clock = vtn, codec, clock
        self._tls = tls_context(
            ca_file=str(pki.ca),
            cert_file=str(pki.vtn_cert),
            key_file=str(pki.vtn_key),
            ciphers=None,
            check_hostname=True,
        )
        self._http = aiohttp.ClientSession()
        self.took_s: list[float] = []

    async def post(self) -> None:
        """The whole list, as it stands."""
        asked = self._vtn.said(CreatePartyRegistration)[-1]
        now = self._clock.utc()
        said = self._vtn.answer("EiEvent", RequestEvent(request_id="list", ven_id=self._vtn.ven_id), now)
        assert said is not None and asked.transport_address is not None
        body, began = self._codec.encode(said, now), self._clock.monotonic()
        url, headers = f"{asked.transport_address}/EiEvent", {"Content-Type": "application/xml"}
        async with self._http.post(url, data=body, headers=headers, ssl=self._tls) as reply:
            answer = self._codec.decode(await reply.read(), self._clock.utc()).message
        self.took_s.append(self._clock.monotonic() - began)
        assert isinstance(answer, Response) and answer.response.ok, answer

    async def close(self) -> None:
        """Hang up."""
        await self._http.close()


async def serve(port: int, folder: Path, quiet_s: float, rounds: int, seed: int, push: bool) -> None:
    """The whole script."""
    pki, clock, rng = dev_ca(folder), SystemClock(), SeededRng(seed)
    vtn = Vtn(rng=rng, poll_s=PERIOD_S)
    server = VtnServer(
        vtn=vtn,
        codec=codec(pki, seed),
        clock=clock,
        tls=server_tls(ca_file=str(pki.ca), cert_file=str(pki.vtn_cert), key_file=str(pki.vtn_key)),
    )
    available: dict[str, float] = {}
    poster = Poster(vtn, codec(pki, seed + 1), pki, clock) if push else None
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
            if poster is not None:
                await poster.post()
        await asyncio.sleep(3 * PERIOD_S)
        told: dict[str, object] = {"available": available, "refused": server.refused}
        if poster is not None:
            told["reply_s"] = poster.took_s
            await poster.close()
        print(json.dumps(told), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    port, folder, quiet_s, rounds, seed, push = sys.argv[1:]
    asyncio.run(serve(int(port), Path(folder), float(quiet_s), int(rounds), int(seed), push == "1"))
