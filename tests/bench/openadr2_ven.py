"""Program: the VEN alone at 1 s polling. `python -m tests.bench.openadr2_ven SETTLE_S CPU_S ROUNDS pull|push`

    VTN (own process) <--mutual TLS, P-256 signatures--> client -> session -> engine -> journal on disk

Begins the VTN, registers, waits SETTLE_S, takes the process time of CPU_S of polls that bring nothing, then notes
when each of ROUNDS events is durable as an instruction. Answers with one line of JSON, times in s.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.children import command, environment
from tests.bench.openadr2_vtn import dev_ca
from tests.playbook.ven_stage import program
from tests.unit.fleets import SITES, fleet
from tests.wire.ven_bench import free_port
from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.compose_centre import journal_types
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fact import Fact, Instructed
from vpp_gateway.domain.instruction import RoomName, SiteId
from vpp_gateway.domain.plan import Problem
from vpp_gateway.engine import Engine
from vpp_gateway.gateway import Gateway
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.link.messages import Down
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.both_ways import BothWays
from vpp_gateway.northbound.openadr2.client import VenClient
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.listener import PATH, PushListener
from vpp_gateway.northbound.openadr2.messages import Failed
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.northbound.openadr2.tls import listening_context, tls_context
from vpp_gateway.northbound.turn import SessionFact
from vpp_gateway.shells import Room

ROOM = RoomName("tso")
REGISTER_S = 30.0


class Unlinked:
    """No site is there: what is measured is the way to the journal."""

    def send(self, site: SiteId, message: Down) -> bool:
        return False

    async def run(self) -> None:
        await asyncio.Event().wait()


class NoSolver:
    """Nothing is in force, so nobody asks."""

    def submit(self, problem: Problem) -> None:
        raise AssertionError(f"problem {problem.id} was asked")

    async def run(self) -> None:
        await asyncio.Event().wait()


def codec(pki: DevCa, seed: str) -> Codec:
    """Of the VEN, with nonces of its own."""
    return Codec(
        schema=schema.load(),
        signer=Signer(
            key_pem=pki.ven_key("ven").read_bytes(),
            cert_pem=pki.ven_cert("ven").read_bytes(),
            rng=SeededRng(seed),
        ),
        verifier=Verifier(pins=[fingerprint(pki.vtn_cert.read_bytes())], roots_pem=pki.ca.read_bytes()),
    )


class Ven:
    """Engine, journal, session and client, as the gateway composes them."""

    def __init__(
        self, folder: Path, port: int, journal: Journal, session: VenSession, push_port: int | None
    ) -> None:
        pki = dev_ca(folder)
        self.clock, self.session = SystemClock(), session
        self.durable: dict[str, float] = {}
        """event id -> UTC when its instruction was on disk."""
        self.failures: list[str] = []
        self.exchanges = 0
        self.engine = Engine(
            gateway=Gateway(fleet(), Policy(), {}),
            journal=journal,
            telemetry=None,
            clock=self.clock,
            version="bench",
            on_fact=self._heard,
        )
        client = VenClient(
            room=ROOM,
            base_url=f"https://127.0.0.1:{port}/OpenADR2/Simple/2.0b",
            codec=codec(pki, f"ven-{port}"),
            tls=tls_context(
                ca_file=str(pki.ca),
                cert_file=str(pki.ven_cert("ven")),
                key_file=str(pki.ven_key("ven")),
                ciphers=program().tls.ciphers,
                check_hostname=True,
            ),
            clock=self.clock,
            deliver=self._deliver,
            deadline_s=10.0,
        )
        room = Room(session, client)
        if push_port is not None:
            room = Room(session, BothWays(client, self._listener(pki, push_port)))
        self.engine.connect(rooms={ROOM: room}, link=Unlinked(), solver=NoSolver())

    def _listener(self, pki: DevCa, port: int) -> PushListener:
        return PushListener(
            room=ROOM,
            codec=codec(pki, f"push-{port}"),
            clock=self.clock,
            deliver=self._deliver,
            deadline_s=10.0,
            answer_s=5.0,
            port=port,
            tls=listening_context(
                ca_file=str(pki.ca),
                cert_file=str(pki.ven_cert("ven-push")),
                key_file=str(pki.ven_key("ven-push")),
                ciphers=program().tls.ciphers,
            ),
        )

    async def _deliver(self, room: RoomName, message: Any) -> None:
        self.exchanges += 1
        if isinstance(message, Failed):
            self.failures.append(message.detail)
        self.engine.receive(room, message)

    def _heard(self, fact: Fact | SessionFact) -> None:
        if isinstance(fact, Instructed):  # told after the journal has it
            self.durable[fact.instruction.event_id] = self.clock.utc()

    async def registered(self) -> None:
        """Wait for it."""
        async with asyncio.timeout(REGISTER_S):
            while self.session.status().state != "registered":  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def play(ven: Ven, settle_s: float, cpu_s: float, rounds: int) -> dict[str, object]:
    """Quiet polls, then events."""
    ven.engine.start()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(ven.engine.run())
        await ven.registered()
        await asyncio.sleep(settle_s)
        began, spent, polls = time.monotonic(), time.process_time(), ven.exchanges
        await asyncio.sleep(cpu_s)
        cpu, wall, polls = time.process_time() - spent, time.monotonic() - began, ven.exchanges - polls
        async with asyncio.timeout(30.0 + 3.0 * rounds):
            while len(ven.durable) < rounds:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        running.cancel()
    return {
        "cpu_s": cpu,
        "wall_s": wall,
        "polls": polls,
        "durable": ven.durable,
        "failures": ven.failures,
        "trouble": "; ".join(ven.engine.trouble.values()),
    }


def main(arguments: list[str]) -> None:
    """Command line."""
    settle_s, cpu_s, rounds = float(arguments[0]), float(arguments[1]), int(arguments[2])
    push_port = free_port() if arguments[3] == "push" else None
    port = free_port()
    with TemporaryDirectory() as name:
        folder = Path(name)
        make_dev_ca(folder / "ca", now=time.time(), vens=("ven",), servers=("ven-push",))
        session = VenSession(
            room=ROOM,
            ven_name="centre",
            ven_id=None,
            program=program(
                transport="pull" if push_port is None else "push",
                signature={"required": True},
                polling={"poll_s": 1.0, "jitter_share": 0.0},
                reports=None,
            ),
            sites=SITES,
            rng=SeededRng(port),
            signing=True,
            level_base_w=dict.fromkeys(SITES, 100_000.0),
            push_url=None if push_port is None else f"https://127.0.0.1:{push_port}{PATH}",
        )
        quiet_s = settle_s + cpu_s + 5.0
        with (
            Journal.open(folder / "journal.db", FactCodec(journal_types((session,)))) as journal,
            subprocess.Popen(
                command("openadr2_vtn", port, folder / "ca", quiet_s, rounds, 7, int(push_port is not None)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(),
            ) as vtn,
        ):
            assert vtn.stdin is not None and vtn.stdout is not None
            assert vtn.stdout.readline().strip() == b"ready"
            answer = asyncio.run(
                play(Ven(folder / "ca", port, journal, session, push_port), settle_s, cpu_s, rounds)
            )
            told = json.loads(vtn.stdout.readline())
            vtn.stdin.close()
        print(json.dumps({**answer, **told}))


if __name__ == "__main__":
    main(sys.argv[1:])
