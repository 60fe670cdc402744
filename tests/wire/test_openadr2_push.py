"""Push over real sockets: our own TLS address, what is let in and what is not."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.playbook.ven_stage import ROOM, xsd
from tests.unit.test_message_record import Kept
from tests.wire.ven_bench import Bench, Security, free_port
from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.errors import JournalError
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.northbound.openadr2.client import tls_context
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.door import HANDSHAKES_MAX
from vpp_gateway.northbound.openadr2.listener import PATH, PushListener
from vpp_gateway.northbound.openadr2.messages import (
    CreatePartyRegistration,
    DistributeEvent,
    Listening,
    Message,
    Poll,
    Pushed,
    Reply,
    RequestEvent,
    RequestReregistration,
    Response,
)
from vpp_gateway.northbound.openadr2.report_words import CreatedReport, CreateReport, ReportRequest, Wanted
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.sim.vtn import Vtn, dispatch
from vpp_gateway.sim.vtn_http import VtnServer, server_tls


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    return make_dev_ca(
        tmp_path_factory.mktemp("pki") / "ca", now=time.time(), vens=("ven", "other"), servers=("ven-push",)
    )


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    return make_dev_ca(tmp_path_factory.mktemp("stranger") / "ca", now=time.time())


def vtn_codec(pki: DevCa, security: Security, seed: int = 1) -> Codec:
    if security != "signed":
        return Codec(schema=xsd())
    return Codec(
        schema=xsd(),
        signer=Signer(
            key_pem=pki.vtn_key.read_bytes(), cert_pem=pki.vtn_cert.read_bytes(), rng=SeededRng(seed)
        ),
        verifier=Verifier(pins=[fingerprint(pki.ven_cert("ven").read_bytes())]),
    )


def vtn_client(pki: DevCa, ca: DevCa | None = None) -> ssl.SSLContext:
    """The VTN as a client: its certificate, the VEN's checked against the common CA."""
    return tls_context(
        ca_file=str(pki.ca),
        cert_file=str((ca or pki).vtn_cert),
        key_file=str((ca or pki).vtn_key),
        ciphers=None,
        check_hostname=False,
    )


class House:
    """A VEN with push, its VTN, and the VTN's way to post."""

    def __init__(self, pki: DevCa, security: Security, bench: Bench, server: VtnServer, port: int) -> None:
        self.bench, self.server, self.vtn = bench, server, server.vtn
        self.codec = vtn_codec(pki, security, seed=7)
        self.base = f"{'http' if security == 'plain' else 'https'}://127.0.0.1:{port}"
        self.tls: ssl.SSLContext | bool = True if security == "plain" else vtn_client(pki)

    async def send(
        self, body: bytes, path: str = f"{PATH}/EiEvent", method: str = "POST", **headers: str
    ) -> tuple[int, bytes]:
        given = {"Content-Type": "application/xml", **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with (
            aiohttp.ClientSession() as http,
            http.request(
                method, self.base + path, data=io.BytesIO(body), headers=given, ssl=self.tls
            ) as reply,
        ):
            return reply.status, await reply.read()

    async def post(self, service: str, message: Message) -> Message:
        status, body = await self.send(self.codec.encode(message, time.time()), f"{PATH}/{service}")
        assert status == 200, body
        return self.codec.decode(body, time.time()).message

    def listed(self) -> DistributeEvent:
        """The VTN's list now."""
        said = self.vtn.answer("EiEvent", RequestEvent(request_id="look", ven_id="VEN-1"), time.time())
        assert isinstance(said, DistributeEvent)
        return said


@asynccontextmanager
async def house(pki: DevCa, security: Security = "signed") -> AsyncIterator[House]:
    port, push_port = free_port(), free_port()
    tls = (
        None
        if security == "plain"
        else server_tls(ca_file=str(pki.ca), cert_file=str(pki.vtn_cert), key_file=str(pki.vtn_key))
    )
    server = VtnServer(
        vtn=Vtn(rng=SeededRng(1)), codec=vtn_codec(pki, security), clock=SystemClock(), tls=tls
    )
    bench = Bench(pki, port, security=security, push_port=push_port, transport="push")
    async with server.serve(port), bench.running():
        await bench.until(lambda: bench.state() == "registered", "no registration")
        yield House(pki, security, bench, server, push_port)


METADATA = ReportRequest(
    request_id="R1",
    specifier_id="METADATA",
    granularity_s=0.0,
    back_duration_s=0.0,
    wanted=(Wanted(r_id="any"),),
)
Scene = Callable[[House], Awaitable[None]]


def play(pki: DevCa, scene: Scene, security: Security = "signed") -> None:
    async def main() -> None:
        async with house(pki, security) as one:
            await scene(one)

    asyncio.run(main())


@pytest.mark.parametrize("security", ["plain", "tls", "signed"])
def test_a_pushed_event_is_answered_at_once_and_opted_by_a_post_of_ours(
    pki: DevCa, security: Security
) -> None:
    async def scene(one: House) -> None:
        one.vtn.add_event(dispatch("E1", start_at=time.time() + 3600, duration_s=900, value=-50_000.0))
        reply = await one.post("EiEvent", one.listed())
        assert isinstance(reply, Response) and reply.response.ok and reply.ven_id
        assert [instruction.event_id for instruction in one.bench.instructions] == ["E1"]
        await one.bench.until(lambda: one.vtn.opts.get("E1"), "no oadrCreatedEvent")
        assert one.vtn.opts["E1"][-1].response.opt == "optIn"
        heard = [heard.message for heard in one.vtn.heard]
        assert not any(isinstance(message, Poll) for message in heard)
        asked = next(message for message in heard if isinstance(message, CreatePartyRegistration))
        assert not asked.http_pull and asked.transport_address == one.base + PATH

    play(pki, scene, security)


BAD = [
    ("no XML", b"not xml <", {}, 400),
    ("DOCTYPE", b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', {}, 400),
    ("of no schema", b"<oadrPayload/>", {}, 400),
    ("empty", b"", {}, 400),
    ("another type", b"{}", {"Content_Type": "application/json"}, 415),
    ("too long", b"<a>" + b" " * (4 * 1024 * 1024) + b"</a>", {}, 413),
    ("a host that is none", b"<a/>", {"Host": "x:99999999"}, 400),
    ("a host of raw bytes", b"<a/>", {"Host": "\u00ff\u00fe[]"}, 400),
    ("an unknown service", b"<a/>", {"path": f"{PATH}/OadrPoll"}, 404),
    ("elsewhere", b"<a/>", {"path": "/admin"}, 404),
    ("another method", b"<a/>", {"method": "PUT"}, 405),
]


@pytest.mark.parametrize(("body", "options", "status"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_request_is_refused_and_costs_nothing_else(
    pki: DevCa, body: bytes, options: dict[str, str], status: int
) -> None:
    async def scene(one: House) -> None:
        found, _ = await one.send(body, **options)
        assert found == status
        one.vtn.add_event(dispatch("E1", start_at=time.time() + 3600, duration_s=900, value=-50_000.0))
        assert isinstance(await one.post("EiEvent", one.listed()), Response)
        if status not in (404, 405):
            assert one.bench.session.refused() == {"malformed": 1}

    play(pki, scene, "tls")


def test_a_body_that_drips_is_given_up_while_others_are_served(pki: DevCa) -> None:
    async def scene(one: House) -> None:
        begun = asyncio.Event()

        async def drip() -> AsyncIterator[bytes]:
            yield b"<oadrPayload"
            begun.set()
            await asyncio.Event().wait()

        async def slow() -> int:
            async with (
                aiohttp.ClientSession() as http,
                http.post(
                    f"{one.base}{PATH}/EiEvent",
                    data=drip(),
                    headers={"Content-Type": "application/xml"},
                    ssl=one.tls,
                ) as reply,
            ):
                return reply.status

        task = asyncio.create_task(slow())
        await begun.wait()
        assert isinstance(await one.post("EiEvent", one.listed()), Response)
        assert not task.done()
        assert await task == 408

    play(pki, scene, "tls")


def test_a_replayed_an_unsigned_and_an_altered_message_are_refused(pki: DevCa) -> None:
    async def scene(one: House) -> None:
        one.vtn.add_event(dispatch("E1", start_at=time.time() + 3600, duration_s=900, value=-50_000.0))
        body = one.codec.encode(one.listed(), time.time())
        assert (await one.send(body))[0] == 200
        assert (await one.send(body))[0] == 403
        plain = Codec(schema=xsd()).encode(one.listed(), time.time())
        assert (await one.send(plain))[0] == 403
        fresh = one.codec.encode(one.listed(), time.time())
        assert (await one.send(fresh.replace(b"E1", b"E2")))[0] == 403
        assert [instruction.event_id for instruction in one.bench.instructions] == ["E1"]
        assert one.bench.session.refused() == {"replay": 1, "malformed": 2}

    play(pki, scene)


def test_who_shows_no_certificate_of_the_utilitys_ca_is_not_let_in(pki: DevCa, stranger: DevCa) -> None:
    async def scene(one: House) -> None:
        bare = ssl.create_default_context(cafile=str(pki.ca))
        bare.check_hostname = False
        other = tls_context(  # another VEN of the same utility
            ca_file=str(pki.ca),
            cert_file=str(pki.ven_cert("other")),
            key_file=str(pki.ven_key("other")),
            ciphers=None,
            check_hostname=False,
        )
        for context in (bare, vtn_client(pki, stranger), other):
            one.tls = context
            with pytest.raises((aiohttp.ClientError, ConnectionError)):
                await one.send(b"<a/>")
        assert one.bench.session.refused() == {}

    play(pki, scene, "tls")


def test_many_at_once_are_all_answered(pki: DevCa) -> None:
    async def scene(one: House) -> None:
        one.vtn.add_event(dispatch("E1", start_at=time.time() + 3600, duration_s=900, value=-50_000.0))
        said = one.listed()
        replies = await asyncio.gather(*(one.post("EiEvent", said) for _ in range(20)))
        assert all(isinstance(reply, Response) and reply.response.ok for reply in replies)
        assert len(one.bench.instructions) == 1

    play(pki, scene, "tls")


def test_orders_and_a_new_registration_come_by_push(pki: DevCa) -> None:
    async def scene(one: House) -> None:
        order = CreateReport(request_id="Q1", ven_id="VEN-1", requests=(METADATA,))
        reply = await one.post("EiReport", order)
        assert isinstance(reply, CreatedReport) and reply.response.request_id == "Q1"
        before = len(one.vtn.said(CreatePartyRegistration))
        assert isinstance(await one.post("EiRegisterParty", RequestReregistration(ven_id="VEN-1")), Response)
        await one.bench.until(
            lambda: len(one.vtn.said(CreatePartyRegistration)) > before and one.bench.state() == "registered",
            "no new registration",
        )

    play(pki, scene, "tls")


def test_an_engine_that_does_not_answer_costs_503_and_no_more() -> None:
    async def main() -> None:
        port, ready = free_port(), asyncio.Event()
        taken: list[object] = []
        kept = Kept()

        async def deliver(room: RoomName, message: object) -> None:
            taken.append(message)
            if isinstance(message, Listening):
                ready.set()

        listener = PushListener(
            room=ROOM,
            codec=Codec(schema=xsd()),
            clock=SystemClock(),
            deliver=deliver,
            deadline_s=1.0,
            answer_s=0.2,
            port=port,
            recorder=kept,
        )
        body = Codec(schema=xsd()).encode(RequestReregistration(ven_id="VEN-1"), time.time())
        url, headers = f"http://127.0.0.1:{port}{PATH}/EiRegisterParty", {"Content-Type": "application/xml"}
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as http:
            serving = group.create_task(listener.run())
            await ready.wait()
            for _ in range(2):
                async with http.post(url, data=body, headers=headers) as reply:
                    assert (reply.status, await reply.text()) == (503, "no answer in time\n")
            serving.cancel()
        assert [message.number for message in taken if isinstance(message, Pushed)] == [1, 2]
        assert [(one.name, one.failure) for one in kept.entries] == [
            ("oadrRequestReregistration", "judged: no answer in time")
        ] * 2

    asyncio.run(main())


def test_who_holds_connections_and_says_nothing_is_shut_out() -> None:
    """Heads that drip, connections that say nothing: they cost neither memory nor the VTN its way in."""

    async def main() -> None:
        port, ready = free_port(), asyncio.Event()

        async def deliver(room: RoomName, message: object) -> None:
            if isinstance(message, Listening):
                ready.set()
            if isinstance(message, Pushed):
                listener.send(Reply(number=message.number, message=None, status=200, detail="taken"))

        listener = PushListener(
            room=ROOM,
            codec=Codec(schema=xsd()),
            clock=SystemClock(),
            deliver=deliver,
            deadline_s=5.0,
            answer_s=1.0,
            port=port,
            most=20,
            quiet_s=2.5,
        )

        async def drip() -> float:
            """One letter of a head every 0.2 s; how long it was let."""
            began = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            ended = asyncio.ensure_future(reader.read())
            writer.write(b"POST / HTTP/1.1\r\nX-Drip: ")
            while not ended.done():
                writer.write(b"x")
                await asyncio.wait([ended], timeout=0.2)
            ended.exception()  # cut off or ended, either is well
            writer.close()
            return time.monotonic() - began

        body = Codec(schema=xsd()).encode(RequestReregistration(ven_id="VEN-1"), time.time())
        url, headers = f"http://127.0.0.1:{port}{PATH}/EiRegisterParty", {"Content-Type": "application/xml"}
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as http:
            serving = group.create_task(listener.run())
            await ready.wait()
            dripping = [group.create_task(drip()) for _ in range(100)]
            spans = []
            for _ in range(10):
                began = time.monotonic()
                async with http.post(url, data=body, headers=headers) as reply:
                    assert (reply.status, await reply.text()) == (200, "taken\n")
                spans.append(time.monotonic() - began)
                await asyncio.sleep(0.3)
            held = sorted([await one for one in dripping])
            serving.cancel()
        assert max(spans) < 1.0, spans
        assert held[79] < 2.0, "80 of the 100 are more than there may be"
        assert held[-1] < 5.0, "the others said nothing whole for too long"

    asyncio.run(main())


def _stands(one: socket.socket) -> bool:
    """Whether the other side still holds it."""
    one.setblocking(False)
    try:
        return one.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_connections_that_never_shake_hands_cost_few_descriptors_and_not_the_vtn(pki: DevCa) -> None:
    async def scene(house: House) -> None:
        port = int(house.base.rpartition(":")[2])
        holding = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        await asyncio.sleep(0.2)
        mine = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            holding += [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
            await asyncio.sleep(0.01)
        began = time.monotonic()
        said = await house.post("EiRegisterParty", RequestReregistration(ven_id="VEN-1"))
        assert isinstance(said, Response) and time.monotonic() - began < 2.0
        # Both ends are in this process; what the listener holds does not grow.
        assert len(os.listdir("/proc/self/fd")) - mine < 200 + 20
        assert sum(_stands(one) for one in holding) <= HANDSHAKES_MAX + 1
        for one in holding:
            one.close()

    play(pki, scene, "tls")


def test_what_the_engine_raises_ends_the_listener() -> None:
    """A journal that cannot be written stops the gateway; an HTTP handler would have swallowed it."""

    async def deliver(room: RoomName, message: object) -> None:
        raise JournalError("the disk is gone")

    async def main() -> None:
        await PushListener(
            room=ROOM,
            codec=Codec(schema=xsd()),
            clock=SystemClock(),
            deliver=deliver,
            deadline_s=1.0,
            answer_s=0.2,
        ).run()

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(main())
    assert isinstance(raised.value.exceptions[0], JournalError)


def test_an_address_in_use_is_told_and_taken_when_it_is_free(pki: DevCa) -> None:
    async def main() -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            bench = Bench(
                pki, free_port(), security="plain", push_port=other.getsockname()[1], transport="push"
            )
            async with bench.running():
                await bench.until(
                    lambda: "push: cannot listen" in bench.session.status().detail, "nothing is said"
                )

    asyncio.run(main())


def test_a_lost_main_site_is_followed_to_the_standby(pki: DevCa) -> None:
    async def main() -> None:
        ports = free_port(), free_port()
        tls = server_tls(ca_file=str(pki.ca), cert_file=str(pki.vtn_cert), key_file=str(pki.vtn_key))
        vtn = Vtn(rng=SeededRng(1))  # both sites of the utility know the same
        sites = [
            VtnServer(vtn=vtn, codec=vtn_codec(pki, "signed", seed), clock=SystemClock(), tls=tls)
            for seed in (1, 2)
        ]
        bench = Bench(pki, ports[0], standby_ports=ports[1:])
        async with bench.running(), sites[1].serve(ports[1]):
            async with sites[0].serve(ports[0]):
                await bench.until(lambda: bench.state() == "registered", "no registration")
            await bench.until(lambda: "standby 1 of 1 in use" in bench.session.status().detail, "no standby")
            vtn.add_event(dispatch("E1", start_at=time.time() + 3600, duration_s=900, value=-50_000.0))
            await bench.until(lambda: bench.instructions, "no event by the standby")
            assert len(vtn.said(CreatePartyRegistration)) == 1

    asyncio.run(main())
