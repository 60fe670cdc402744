"""Our own VEN as the subject: the real session and client in a house of their own, each procedure in virtual time."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

from lxml import etree
from pydantic import ValidationError

from vpp_gateway import __version__
from vpp_gateway.clock import Clock, Rng
from vpp_gateway.conform.openadr2.own_house import LOAD_W, SITES, house
from vpp_gateway.conform.openadr2.papers import VEN, Papers
from vpp_gateway.conform.openadr2.procedure import Procedure
from vpp_gateway.conform.openadr2.xml import ProcedureError
from vpp_gateway.console.operator import Do, Operator
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.engine import Engine
from vpp_gateway.errors import GatewayError
from vpp_gateway.northbound.openadr2.both_ways import BothWays
from vpp_gateway.northbound.openadr2.client import VenClient
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.listener import PATH, PushListener
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.record import Recorder
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.northbound.openadr2.signature import fingerprint
from vpp_gateway.northbound.openadr2.wallet import Papers as VenPapers
from vpp_gateway.northbound.openadr2.wallet import Wallet
from vpp_gateway.profile import read_profile
from vpp_gateway.shells import Room

ROOM = RoomName("vtn")
PROGRAM = "generic-2.0b"
VEN_NAME = VEN


class OwnVen:
    """Our VEN, composed as `compose_centre` does it."""

    claims = frozenset(
        {
            *("pull", "push", "operator", "program", "reports", "opt"),
            *("status-report", "history-report", "tls", "signed"),
        }
    )

    def __init__(
        self, *, clock: Clock, rng: Rng, schema: etree.XMLSchema, recorder: Recorder | None = None
    ) -> None:
        self.name = f"vpp-gateway {__version__}"
        self._clock = clock
        self._rng = rng
        self._schema = schema
        self._recorder = recorder
        self.papers: Papers | None = None
        """Certificates for the next procedure; None = HTTP."""

    @asynccontextmanager
    async def running(self, procedure: Procedure, vtn_url: str) -> AsyncIterator[OwnOperator]:
        """A VEN in factory state."""
        pushed = "push" in procedure.needs
        program = program_of({**({"transport": "push"} if pushed else {}), **procedure.program})
        own = _own_address() if pushed else None
        wallet = None if self.papers is None else self._wallet(self.papers, procedure, program)

        def rooms(deliver: Callable[..., Any]) -> Mapping[RoomName, Room]:
            session = VenSession(
                room=ROOM,
                ven_name=VEN_NAME,
                ven_id=procedure.ven.ven_id,
                program=program,
                sites=SITES,
                rng=self._rng,
                signing=wallet is not None and wallet.credentials.signer is not None,
                level_base_w=dict.fromkeys(SITES, LOAD_W),
                poll_s=procedure.ven.poll_s,
                push_url=None if own is None else f"http://127.0.0.1:{own.getsockname()[1]}{PATH}",
            )
            client = VenClient(
                room=ROOM,
                base_url=vtn_url,
                codec=Codec(schema=self._schema),
                tls=None,
                clock=self._clock,
                deliver=deliver,
                deadline_s=program.polling.deadline_s,
                recorder=self._recorder,
                wallet=wallet,
            )
            if own is None:
                return {ROOM: Room(session, client)}
            listener = PushListener(
                room=ROOM,
                codec=Codec(schema=self._schema),
                clock=self._clock,
                deliver=deliver,
                deadline_s=program.polling.deadline_s,
                answer_s=program.push.answer_s,
                recorder=self._recorder,
                sock=own,
            )
            return {ROOM: Room(session, BothWays(client, listener))}

        with tempfile.TemporaryDirectory(prefix="vppgw-conform-") as folder:
            async with OwnOperator(lambda: house(Path(folder), self._clock, rooms)) as operator:
                yield operator

    def _wallet(self, papers: Papers, procedure: Procedure, program: ProgramProfile) -> Wallet:
        known = papers.known
        pin = fingerprint(known.vtn_cert.read_bytes()) if procedure.ven.pinned else None
        files = VenPapers(
            ca=known.ca,
            cert=known.ven_cert(VEN),
            key=known.ven_key(VEN),
            crl=(papers.crl,) if procedure.ven.crl else (),
            sign="signed" in procedure.needs,
            pin=pin,
            tls_pin=pin,
            ciphers=program.tls.ciphers,
            check_hostname=program.tls.check_hostname,
        )
        return Wallet(files, clock=self._clock, rng=self._rng)


class OwnOperator:
    """What `vpp-gateway ven ...` does, without the socket between; `restart` is the gateway's own, journal and all.

    Args:
        house: The VEN's house, from what it left on disk.
    """

    def __init__(self, house: Callable[[], AbstractAsyncContextManager[Engine]]) -> None:
        self._house = house
        self._stack = AsyncExitStack()
        self._operator: Operator | None = None

    async def __aenter__(self) -> Self:
        self._operator = Operator(await self._stack.enter_async_context(self._house()))
        return self

    async def __aexit__(self, *what: object) -> None:
        await self._stack.aclose()

    async def prompt(self, verb: str, give: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do it."""
        if verb == "restart":
            await self._stack.aclose()
            await self.__aenter__()
            return {}
        assert self._operator is not None
        try:
            act = Do.model_validate({"do": verb, **give})
        except ValidationError as error:
            raise ProcedureError(f"prompt {verb}: {_first(error)}") from None
        try:
            return self._operator.do(act)
        except GatewayError as error:
            return {"refused": str(error)}


def _own_address() -> socket.socket:
    """A free address of ours for a VEN with push."""
    own = socket.socket()
    own.bind(("127.0.0.1", 0))
    return own


def program_of(changes: Mapping[str, Any]) -> ProgramProfile:
    """The generic program with a procedure's changes; keys of sections are merged.

    Raises:
        GatewayError: the profile cannot be read.
        ProcedureError: there is no such profile.
    """
    plain = read_profile("programs", PROGRAM).plain
    if not isinstance(plain, dict):
        raise GatewayError(f"profile {PROGRAM}: expected a mapping")
    merged: dict[str, Any] = dict(plain)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    try:
        return ProgramProfile.model_validate(merged)
    except ValidationError as error:
        raise ProcedureError(f"program: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first mistake: where, and what."""
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
