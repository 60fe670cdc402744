"""What a hostile or broken peer may send: answers of a VTN, and programs that stand for a plug-in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from tests.house.day import ORIGIN
from tests.house.house import House
from tests.house.world import SITES
from vpp_gateway.northbound.openadr2.messages import (
    CancelPartyRegistration,
    DistributeEvent,
    Event,
    RequestReregistration,
    Response,
)
from vpp_gateway.northbound.openadr2.report_words import EiResponse

Lines = AsyncIterator[bytes]
Write = Callable[[bytes], None]

BOMB = b"""<?xml version="1.0"?><!DOCTYPE oadrPayload [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;">]><oadrPayload>&d;</oadrPayload>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE oadrPayload [<!ENTITY x SYSTEM "file:///etc/hostname">]>
<oadrPayload>&x;</oadrPayload>"""
DEEP = b"<a>" * 20_000 + b"</a>" * 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Throw:
    """One bad answer of the VTN and what the operator must read about it."""

    name: str
    answer: Callable[[House], bytes | Callable[[bytes], bytes]]
    said: str
    """In the link's detail or in the list of its refusals."""


def _quiet() -> Response:
    return Response(response=EiResponse(code="200", description="OK", request_id=""))


def _empty_list(vtn_id: str) -> DistributeEvent:
    return DistributeEvent(request_id="r", vtn_id=vtn_id)


def _written(house: House, message: object, how: str = "as always") -> bytes:
    assert house.utility is not None
    return house.utility.written(message, how)  # type: ignore[arg-type]  # messages of this file only


THROWS: tuple[Throw, ...] = (
    Throw(
        name="cut off",
        answer=lambda _: lambda right: right[: len(right) // 2],
        said="expected well-formed XML",
    ),
    Throw(name="no XML", answer=lambda _: bytes(range(256)), said="expected"),
    Throw(name="an entity bomb", answer=lambda _: BOMB, said="DOCTYPE"),
    Throw(name="a file from outside", answer=lambda _: OUTSIDE, said="DOCTYPE"),
    Throw(name="too deep", answer=lambda _: DEEP, said="expected"),
    Throw(name="5 MB", answer=lambda _: b"<" + b"x" * 5_000_000, said="expected at most 4194304 bytes"),
    Throw(name="altered", answer=lambda _: lambda right: right.replace(b">200<", b">201<"), said="altered"),
    Throw(
        name="unsigned",
        answer=lambda house: _written(house, _empty_list("VTN-1"), "unsigned"),
        said="unsigned",
    ),
    Throw(
        name="signed by a stranger",
        answer=lambda house: _written(house, _empty_list("VTN-1"), "by a stranger"),
        said="fingerprint",
    ),
    Throw(
        name="the list of another VTN",
        answer=lambda house: _written(house, _empty_list("VTN-2")),
        said="vtnID: expected 'VTN-1', found 'VTN-2'",
    ),
    Throw(
        name="for another VEN",
        answer=lambda house: _written(house, replace(_quiet(), ven_id="VEN-2")),
        said="expected venID 'VEN-1', found 'VEN-2'",
    ),
    Throw(
        name="a cancellation for another VEN",
        answer=lambda house: _written(
            house, CancelPartyRegistration(request_id="r", registration_id="x", ven_id="VEN-2")
        ),
        said="expected venID 'VEN-1', found 'VEN-2'",
    ),
    Throw(
        name="a cancellation of another registration",
        answer=lambda house: _written(
            house, CancelPartyRegistration(request_id="r", registration_id="x", ven_id="VEN-1")
        ),
        said="registrationID",
    ),
    Throw(
        name="a reregistration for another VEN",
        answer=lambda house: _written(house, RequestReregistration(ven_id="VEN-2")),
        said="expected venID 'VEN-1', found 'VEN-2'",
    ),
)


def bad_events(house: House) -> list[tuple[Event, str, str]]:
    """Events that must be refused: (event, response code, words of the refusal)."""
    good = house.event("bad", after_s=60, duration_s=60, regulation_w=10_000)
    signal = good.signals[0]

    def with_signal(id: str, **changes: object) -> Event:
        return replace(good, event_id=id, signals=(replace(signal, **changes),))  # type: ignore[arg-type]

    return [
        (with_signal("signal", name="ELECTRICITY_PRICE", type="price", unit=None), "460", "signal: expected"),
        (with_signal("type", type="multiplier"), "460", "signal: expected"),
        (with_signal("unit", unit=None), "454", "unit: expected"),
        (replace(good, event_id="market", market_context="http://other.example/p"), "453", "market context"),
        (
            replace(good, event_id="target", targets=replace(good.targets, ven_ids=("VEN-2",))),
            "462",
            "eiTarget",
        ),
        (
            replace(good, event_id="nowhere", targets=replace(good.targets, resource_ids=("osaka-9",))),
            "462",
            "eiTarget",
        ),
    ]


# -- plug-ins ---------------------------------------------------------------------------------------------------


def _now() -> float:
    """UTC of the house (`day.ORIGIN`), as the plug-in's own clock would tell it."""
    return ORIGIN + asyncio.get_running_loop().time()


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _offers(name: str, **changes: object) -> bytes:
    leg = {"site": SITES[0], "import_delta_w": -200_000.0, "latency_s": 0.1}
    offer = {"id": f"{name}/1", "plugin": name, "kind": "pause", "legs": [leg], "steps": [1.0]}
    offer |= {"sustain_s": 3600.0, "valid_until": _now() + 3600.0, "cost": 0.001, **changes}
    return _line({"type": "offers", "offers": [offer]})


def _answer(request: dict[str, object]) -> bytes:
    id = request["id"]
    match request["type"]:
        case "hello":
            said = {
                "api_version": 1,
                "name": request["name"],
                "sites": request["sites"],
                "fail_state": "hold",
            }
            return _line({"type": "capabilities", "id": id, **said})
        case "recover":
            return _line({"type": "states", "id": id, "states": []})
        case "heartbeat":
            return _line({"type": "beat", "id": id})
        case _:
            return _line({"type": "ack", "id": id, "accepted": True})


async def hangs(lines: Lines, write: Write) -> None:
    """Says hello, offers, and never speaks again."""
    async for raw in lines:
        request = json.loads(raw)
        write(_answer(request))
        if request["type"] == "recover":
            write(_offers("bad"))
            await asyncio.Event().wait()


def saying(rubbish: Callable[[], bytes]) -> Callable[[Lines, Write], object]:
    """Behaves, but says `rubbish` after its introduction."""

    async def program(lines: Lines, write: Write) -> None:
        async for raw in lines:
            request = json.loads(raw)
            write(_answer(request))
            if request["type"] == "recover":
                write(rubbish())

    return program


async def half_true(lines: Lines, write: Write) -> None:
    """Offers twice the same, once with a number that is none; whatever is ordered it calls active."""
    async for raw in lines:
        request = json.loads(raw)
        write(_answer(request))
        if request["type"] == "recover":
            one, two = (json.loads(_offers("bad", id=f"bad/{n}"))["offers"][0] for n in (1, 2))
            one["legs"][0]["import_delta_w"] = float("nan")
            write(_line({"type": "offers", "offers": [one, two]}))


async def lies(lines: Lines, write: Write) -> None:
    """Promises the cheapest shift of all, says that it is active, and does nothing."""
    async for raw in lines:
        request = json.loads(raw)
        write(_answer(request))
        if request["type"] == "recover":
            write(_offers("bad"))
        if request["type"] == "order":
            order = request["order"]
            state = {"prepare": "prepared", "commit": "active", "rollback": "returned"}[order["verb"]]
            write(_line({"type": "shift", "order": order["id"], "state": state}))


PROGRAMS = {
    "hangs": (hangs, "no answer to"),
    "prints rubbish": (saying(lambda: b"Traceback (most recent call last):\n" * 3), "not a message: "),
    "a line without end": (saying(lambda: b"x" * 600_000), "line longer than"),
    "offers for a site of others": (
        saying(lambda: _offers("bad", legs=[{"site": "osaka-9", "import_delta_w": -1.0, "latency_s": 0.1}])),
        "site 'osaka-9' is not one of this plug-in's",
    ),
    "offers that are no number": (
        saying(lambda: _offers("bad").replace(b"-200000.0", b"NaN")),
        "import_delta_w is nan, allowed are up to",
    ),
}
