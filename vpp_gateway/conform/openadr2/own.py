"""Our own VEN as the subject: the real session and client in a house of their own, each procedure in virtual time."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lxml import etree
from pydantic import ValidationError

from vpp_gateway import __version__
from vpp_gateway.clock import Clock, Rng
from vpp_gateway.conform.openadr2.own_house import LOAD_W, SITES, house
from vpp_gateway.conform.openadr2.procedure import Procedure
from vpp_gateway.conform.openadr2.xml import ProcedureError
from vpp_gateway.console.operator import Do, Operator
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.engine import Engine
from vpp_gateway.errors import GatewayError
from vpp_gateway.northbound.openadr2.client import VenClient
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.record import Recorder
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.profile import read_profile
from vpp_gateway.shells import Room

ROOM = RoomName("vtn")
PROGRAM = "generic-2.0b"
VEN_NAME = "centre"


class OwnVen:
    """Our VEN, composed as `compose_centre` does it."""

    claims = frozenset({"pull", "operator", "program", "reports", "opt", "status-report", "history-report"})

    def __init__(
        self, *, clock: Clock, rng: Rng, schema: etree.XMLSchema, recorder: Recorder | None = None
    ) -> None:
        self.name = f"vpp-gateway {__version__}"
        self._clock = clock
        self._rng = rng
        self._schema = schema
        self._recorder = recorder

    @asynccontextmanager
    async def running(self, procedure: Procedure, vtn_url: str) -> AsyncIterator[OwnOperator]:
        """A VEN in factory state."""
        program = program_of(procedure.program)

        def rooms(deliver: Callable[..., Any]) -> Mapping[RoomName, Room]:
            session = VenSession(
                room=ROOM,
                ven_name=VEN_NAME,
                ven_id=procedure.ven.get("ven_id"),
                program=program,
                sites=SITES,
                rng=self._rng,
                signing=False,
                level_base_w=dict.fromkeys(SITES, LOAD_W),
                poll_s=procedure.ven.get("poll_s"),
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
            )
            return {ROOM: Room(session, client)}

        with tempfile.TemporaryDirectory(prefix="vppgw-conform-") as folder:
            async with house(Path(folder), self._clock, rooms) as engine:
                yield OwnOperator(engine)


class OwnOperator:
    """What `vpp-gateway ven ...` does, without the socket between."""

    def __init__(self, engine: Engine) -> None:
        self._operator = Operator(engine)

    async def prompt(self, verb: str, give: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do it."""
        try:
            act = Do.model_validate({"do": verb, **give})
        except ValidationError as error:
            raise ProcedureError(f"prompt {verb}: {error}") from None
        try:
            return self._operator.do(act)
        except GatewayError as error:
            return {"refused": str(error)}


def program_of(changes: Mapping[str, Any]) -> ProgramProfile:
    """The generic program with a procedure's changes; keys of sections are merged.

    Raises:
        GatewayError: the profile cannot be read.
    """
    plain = read_profile("programs", PROGRAM).plain
    if not isinstance(plain, dict):
        raise GatewayError(f"profile {PROGRAM}: expected a mapping")
    merged: dict[str, Any] = dict(plain)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return ProgramProfile.model_validate(merged)
