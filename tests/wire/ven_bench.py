"""Our VEN on real sockets: session, client and TLS as the gateway runs them, with a stand-in for the engine; and
openleadr's VTN in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from tests.outgoing import Tap
from tests.playbook.ven_stage import ROOM, SITES, program, xsd
from vpp_gateway.clock import Clock, SeededRng, SystemClock
from vpp_gateway.demo.world import free_port
from vpp_gateway.domain.command import Answer
from vpp_gateway.domain.fact import Instructed, Withdrawn
from vpp_gateway.domain.instruction import Instruction, RoomName, SiteId
from vpp_gateway.identity.dev_ca import DevCa
from vpp_gateway.northbound.openadr2.both_ways import BothWays
from vpp_gateway.northbound.openadr2.client import VenClient
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.listener import PATH, PushListener
from vpp_gateway.northbound.openadr2.messages import Failed
from vpp_gateway.northbound.openadr2.revocation import Revocations
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.northbound.openadr2.tls import PeerCheck, listening_context, tls_context
from vpp_gateway.northbound.turn import Telemetry, Turn, UsageSample

__all__ = ["Bench", "OpenLeadr", "Security", "free_port", "openleadr"]
PATIENCE_S = 30.0


class Ramp:
    """Telemetry whose value tells its second: import_w = seconds since the epoch modulo 1000."""

    def usage(self, site: SiteId | None, since: float, until: float) -> Sequence[UsageSample]:
        return [
            UsageSample(at=at, import_w=float(at % 1000))
            for at in range(int(-(-since // 1)), int(-(-until // 1)))
        ]


Security = Literal["plain", "tls", "signed"]


class Bench:
    """One VEN at work. `facts`: those of an earlier life, which it starts from."""

    def __init__(
        self,
        pki: DevCa,
        port: int,
        *,
        ven: str = "ven",
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
        security: Security = "signed",
        facts: Sequence[Any] = (),
        push_port: int | None = None,
        standby_ports: Sequence[int] = (),
        **changes: Any,
    ) -> None:
        self.again = lambda: Bench(
            pki,
            port,
            ven=ven,
            clock=clock,
            telemetry=telemetry,
            security=security,
            facts=self.facts,
            push_port=push_port,
            standby_ports=standby_ports,
            **changes,
        )
        """The next life of the same VEN: a new process that knows the facts."""
        self.clock = clock or SystemClock()
        self._telemetry = telemetry or Ramp()
        self.facts: list[Any] = list(facts)
        chance = f"{port}-{len(self.facts)}"  # a second life must not repeat the nonces of the first
        self.failures: list[Failed] = []
        self.opt: Callable[[Instruction], str] = lambda instruction: "in"
        given = {
            "signature": {"required": security == "signed"},
            "polling": {"poll_s": 1.0, "jitter_share": 0.0, "backoff_min_s": 0.2, "backoff_max_s": 1.0},
        }
        self.program = program(**{**given, **changes})
        scheme = "http" if security == "plain" else "https"
        urls = [f"{scheme}://127.0.0.1:{one}{PATH}" for one in (port, *standby_ports)]
        self.session = VenSession(
            room=ROOM,
            ven_name="centre",
            ven_id=None,
            program=self.program,
            sites=SITES,
            rng=SeededRng(chance),
            signing=security == "signed",
            level_base_w=dict.fromkeys(SITES, 100_000.0),
            push_url=None if push_port is None else f"{scheme}://127.0.0.1:{push_port}{PATH}",
            addresses=urls,
        )
        for fact in self.facts:
            if isinstance(fact, self.session.fact_types):
                self.session.apply(fact)
        codec = _signing_codec(pki, ven, chance) if security == "signed" else Codec(schema=xsd())
        client = VenClient(
            room=ROOM,
            base_url=urls[0],
            standby_urls=urls[1:],
            codec=codec,
            tls=None
            if security == "plain"
            else tls_context(
                ca_file=str(pki.ca),
                cert_file=str(pki.ven_cert(ven)),
                key_file=str(pki.ven_key(ven)),
                ciphers=self.program.tls.ciphers,
                check_hostname=True,
            ),
            clock=self.clock,
            deliver=self._deliver,
            deadline_s=5.0,
            recorder=Tap(),
        )
        self.client: VenClient | BothWays = client
        if push_port is not None:
            self.client = BothWays(client, self._listener(pki, ven, push_port, chance, security))
        self._changed = asyncio.Event()
        self._stirred = asyncio.Event()

    def _listener(self, pki: DevCa, ven: str, port: int, chance: str, security: Security) -> PushListener:
        check = PeerCheck(
            clock=self.clock,
            revocations=Revocations([], authorities=[], when_stale="refuse"),
            names=("127.0.0.1",),
        )
        tls = None
        if security != "plain":
            tls = listening_context(
                ca_file=str(pki.ca),
                cert_file=str(pki.ven_cert(f"{ven}-push")),
                key_file=str(pki.ven_key(f"{ven}-push")),
                ciphers=None,
                check=check,
            )
        return PushListener(
            room=ROOM,
            codec=_signing_codec(pki, ven, f"{chance}-push") if security == "signed" else Codec(schema=xsd()),
            clock=self.clock,
            deliver=self._deliver,
            deadline_s=1.0,
            answer_s=self.program.push.answer_s,
            port=port,
            tls=tls,
            recorder=Tap(),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bench]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.client.run()), group.create_task(self._wake())]
            yield self
            for task in tasks:
                task.cancel()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{what}: {self.session.status()} {self.failures[-3:]}") from None

    def notice(self) -> None:
        """Something changed outside; look again."""
        self._changed.set()

    def state(self) -> str:
        return self.session.status().state

    @property
    def instructions(self) -> list[Instruction]:
        return [fact.instruction for fact in self.facts if isinstance(fact, Instructed)]

    @property
    def withdrawn(self) -> list[tuple[str, str]]:
        return [(fact.instruction, fact.cause) for fact in self.facts if isinstance(fact, Withdrawn)]

    async def _deliver(self, room: RoomName, message: Any) -> None:
        if isinstance(message, Failed):
            self.failures.append(message)
        self._take(self.session.receive(message, self.clock.utc()))

    def _take(self, turn: Turn) -> None:
        answers = []
        for fact in turn.facts:
            self.facts.append(fact)
            if isinstance(fact, self.session.fact_types):
                self.session.apply(fact)  # type: ignore[arg-type]
            if isinstance(fact, Instructed):
                one = fact.instruction
                opt = "in" if self.opt(one) == "in" else "out"
                answers.append(
                    Answer(
                        room=ROOM,
                        instruction=one.id,
                        modification=one.modification,
                        opt=opt,
                        reason="by test",
                    )  # type: ignore[arg-type]
                )
        if answers:
            self._take(self.session.answer(answers, self.clock.utc()))
        for post in turn.requests:
            self.client.send(post)
        self._stirred.set()
        self._changed.set()

    async def _wake(self) -> None:
        while True:
            self._stirred.clear()
            now, due = self.clock.utc(), self.session.next_wake()
            if due is not None and due <= now:
                self._take(self.session.wake(now, self._telemetry))
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(None if due is None else due - now):
                    await self._stirred.wait()
            except TimeoutError:
                continue


def _signing_codec(pki: DevCa, ven: str, seed: str) -> Codec:
    return Codec(
        schema=xsd(),
        signer=Signer(
            key_pem=pki.ven_key(ven).read_bytes(),
            cert_pem=pki.ven_cert(ven).read_bytes(),
            rng=SeededRng(seed),
        ),
        verifier=Verifier(pins=[fingerprint(pki.vtn_cert.read_bytes())], roots_pem=pki.ca.read_bytes()),
    )


class OpenLeadr:
    """openleadr's VTN process: `do` one control line, read what it `saw`."""

    def __init__(self, process: asyncio.subprocess.Process, notice: Callable[[], None]) -> None:
        self._process = process
        self._notice = notice
        self.saw: list[dict[str, Any]] = []

    def do(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    def seen(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.saw if line["saw"] == kind]

    def opts(self, event_id: str) -> list[str]:
        """What it heard about one event; the VTN lists all events anew with each change, so answers repeat."""
        return [line["opt"] for line in self.seen("opt") if line["event_id"] == event_id]

    async def read(self, until: str | None = None) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.saw.append(json.loads(line))
            self._notice()
            if until is not None and self.saw[-1]["saw"] == until:
                return


@asynccontextmanager
async def openleadr(
    pki: DevCa, port: int, notice: Callable[[], None], log: Path, *options: str, ven: str = "ven"
) -> AsyncIterator[OpenLeadr]:
    """Start the process, wait until it listens; stop it in the end."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "vpp_gateway.sim.vtn_openleadr",
            "--port", str(port), "--cert", str(pki.vtn_cert), "--key", str(pki.vtn_key), "--ca", str(pki.ca),
            "--ven-name", "centre", "--ven-fingerprint", fingerprint(pki.ven_cert(ven).read_bytes()),
            "--poll-s", "1", *options,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    peer = OpenLeadr(process, notice)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await peer.read(until="ready")
        assert peer.saw, f"the process ended before it listened, see {log}"
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(peer.read())
            yield peer
            peer.do(do="stop")
            async with asyncio.timeout(PATIENCE_S):
                await reader
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
