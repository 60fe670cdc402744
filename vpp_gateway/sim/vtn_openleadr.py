"""A VTN that is not ours: openleadr's server in a process of its own, for the demonstration and the wire tests.

    python -m vpp_gateway.sim.vtn_openleadr --port 8443 --cert vtn.pem --key vtn-key.pem --ca ca.pem \\
        --ven-name centre --ven-fingerprint AA:BB:...

It speaks TLS with client certificates and signed messages (`--security`: or TLS alone, or plain HTTP), registers the
one VEN it knows, and orders TELEMETRY_USAGE at the given granularity. It is driven by JSON lines on stdin (or on a Unix socket, `--control-socket`):

    {"do": "event", "event_id": "E1", "type": "setpoint", "value": 300, "scale": "k", "start_at": 1767225600,
     "duration_s": 900, "resource": "tokyo", "priority": 1}
    {"do": "modify", "event_id": "E1", "value": 250}      {"do": "cancel", "event_id": "E1"}      {"do": "stop"}

and tells what it saw, one JSON line each, with `at` (UTC, Unix s): ready, registration, registration_cancelled,
event_listed, opt, reports_offered, report, refused (a line it could not follow). Times are UTC in Unix seconds.

Traps of openleadr 0.5.36 that this file respects: state lives in its classes, so one VTN per process; it prints to
stdout, which is our channel; adding an event recomputes the active period from the intervals, so startafter,
ramp-up and notification are lost; a callback is forgotten after its first answer; it fails on the
answer to a completed event, so those are taken off its list; with RSA keys one signed message costs about 0.1 s, so
give it P-256 keys. There is no call to modify an event: the listed object is changed and its
modification number raised, as its own cancellation does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from vpp_gateway.clock import Clock, SystemClock, SystemRng, uuid

MARKET_CONTEXT = "http://utility.example/program"
Tell = Callable[..., None]


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="vpp_gateway.sim.vtn_openleadr", description="openleadr's VTN as a peer"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--security", choices=("plain", "tls", "signed"), default="signed")
    parser.add_argument("--cert", required=True, help="PEM certificate, for TLS and for signing")
    parser.add_argument("--key", required=True, help="PEM private key of --cert")
    parser.add_argument("--ca", required=True, help="PEM file that client certificates are checked against")
    parser.add_argument("--vtn-id", default="VTN-1")
    parser.add_argument("--ven-id", default="VEN-1", help="venID given at registration")
    parser.add_argument("--ven-name", required=True, help="the one oadrVenName that is registered")
    parser.add_argument(
        "--ven-fingerprint", required=True, help="OpenADR fingerprint of the VEN's certificate"
    )
    parser.add_argument("--poll-s", type=float, default=10.0, help="requested poll period, s")
    parser.add_argument("--granularity-s", type=float, default=0.0, help="of the report it orders; 0 = none")
    parser.add_argument("--back-duration-s", type=float, default=0.0, help="0 = as the granularity")
    parser.add_argument(
        "--control-socket", help="Unix socket for the control lines instead of stdin and stdout"
    )
    return parser.parse_args(argv)


class Utility:
    """The openleadr server with its callbacks; `do` follows one control line."""

    def __init__(self, options: argparse.Namespace, tell: Tell, clock: Clock) -> None:
        import openleadr  # here and not above: importing it costs a second and patches nothing of ours

        self._options = options
        self._tell = tell
        self._clock = clock
        self._rng = SystemRng()
        self._registration_id: str | None = None
        self._ends: dict[str, float] = {}
        self._objects = openleadr.objects
        self._measurements = openleadr.enums.MEASUREMENTS
        signed, tls = options.security == "signed", options.security != "plain"
        self.server: Any = openleadr.OpenADRServer(
            vtn_id=options.vtn_id,
            cert=options.cert if signed else None,
            key=options.key if signed else None,
            http_host=options.host,
            http_port=options.port,
            http_cert=options.cert if tls else None,
            http_key=options.key if tls else None,
            http_ca_file=options.ca if tls else None,
            verify_message_signatures=signed,
            requested_poll_freq=timedelta(seconds=options.poll_s),
            show_fingerprint=False,
            ven_lookup=self._lookup,
        )
        self.server.add_handler("on_create_party_registration", self._register)
        self.server.add_handler("on_cancel_party_registration", self._unregister)
        self.server.add_handler("on_register_report", self._order_report)

    def do(self, order: dict[str, Any]) -> None:
        """Carry out one control line. Raises KeyError or ValueError when it lacks something."""
        self._rearm()
        match order["do"]:
            case "event":
                self._add(order)
            case "modify":
                self._modify(order)
            case "cancel":
                self._answer_to(order["event_id"])
                self.server.cancel_event(self._options.ven_id, order["event_id"])
                self._tell("event_listed", event_id=order["event_id"], status="cancelled")
            case other:
                raise ValueError(f"expected event, modify, cancel or stop, found {other!r}")

    def _rearm(self) -> None:
        """Listing one event lists them all, and each is answered again: expect an answer to each."""
        self._forget_completed()
        for event in self.server.events.get(self._options.ven_id, []):
            self.server.event_callbacks[event.event_descriptor.event_id] = (event, self._opt)

    def _forget_completed(self) -> None:
        """openleadr lists a completed event once more, asks for an answer, and fails on it (HTTP 500)."""
        events, now = self.server.events.get(self._options.ven_id, []), self._clock.utc()
        for event in list(events):
            if self._ends.get(event.event_descriptor.event_id, math.inf) <= now:
                events.remove(event)

    def _lookup(self, ven_id: str) -> dict[str, Any] | None:
        if ven_id != self._options.ven_id:
            return None
        self._forget_completed()
        return {
            "ven_id": ven_id,
            "ven_name": self._options.ven_name,
            "fingerprint": self._options.ven_fingerprint,
            "registration_id": self._registration_id,
        }

    async def _register(self, message: dict[str, Any]) -> tuple[str, str] | bool:
        known = message.get("ven_name") == self._options.ven_name
        plain = self._options.security == "plain"  # nobody shows a certificate
        fits = plain or message.get("fingerprint") == self._options.ven_fingerprint
        self._tell("registration", ven_name=message.get("ven_name"), accepted=known and fits)
        if not (known and fits):
            return False
        self._registration_id = uuid(self._rng)
        return self._options.ven_id, self._registration_id

    async def _unregister(self, _message: dict[str, Any]) -> None:
        self._registration_id = None
        self._tell("registration_cancelled")

    async def _order_report(self, report: dict[str, Any]) -> list[tuple[Any, ...]] | None:
        r_ids = [description["r_id"] for description in report["report_descriptions"]]
        self._tell("reports_offered", name=report["report_name"], r_ids=r_ids)
        if not self._options.granularity_s or report["report_name"] != "METADATA_TELEMETRY_USAGE":
            return None
        granularity = timedelta(seconds=self._options.granularity_s)
        back = timedelta(seconds=self._options.back_duration_s or self._options.granularity_s)
        return [(r_id, self._report(r_id), granularity, back) for r_id in r_ids]

    def _report(self, r_id: str) -> Callable[[list[tuple[datetime, float]]], None]:
        def took(values: list[tuple[datetime, float]]) -> None:
            points = [[start.timestamp(), float(value)] for start, value in values]
            self._tell("report", r_id=r_id, points=points)

        return took

    def _add(self, order: dict[str, Any]) -> None:
        objects, event_id = self._objects, str(order["event_id"])
        if order["duration_s"]:
            self._ends[event_id] = order["start_at"] + order["duration_s"]
        start = datetime.fromtimestamp(order["start_at"], UTC)
        interval = objects.Interval(
            dtstart=start, duration=timedelta(seconds=order["duration_s"]), signal_payload=order["value"]
        )
        signal = objects.EventSignal(
            intervals=[interval],
            signal_name=order.get("signal", "LOAD_DISPATCH"),
            signal_type=order.get("type", "delta"),
            signal_id=f"{event_id}-signal",
            measurement=self._measurement(order),
        )
        target = (
            {"resource_id": order["resource"]} if order.get("resource") else {"ven_id": self._options.ven_id}
        )
        event = objects.Event(
            event_descriptor=objects.EventDescriptor(
                event_id=event_id,
                modification_number=0,
                market_context=order.get("market_context", MARKET_CONTEXT),
                event_status="far",
                priority=order.get("priority", 0),
            ),
            event_signals=[signal],
            targets=[objects.Target(**target)],
            response_required="always",
        )
        self.server.add_raw_event(ven_id=self._options.ven_id, event=event, callback=self._opt)
        self._tell("event_listed", event_id=event_id, status="far")

    def _measurement(self, order: dict[str, Any]) -> Any:
        """A fresh object each time: openleadr's own are shared by all events."""
        if order.get("signal", "LOAD_DISPATCH") != "LOAD_DISPATCH":
            return None
        template = self._measurements.REAL_POWER
        return self._objects.Measurement(
            name=template.name,
            description=template.description,
            unit=template.unit,
            scale=order.get("scale", "none"),
            power_attributes=template.power_attributes,
        )

    def _modify(self, order: dict[str, Any]) -> None:
        event = self._listed(order["event_id"])
        interval = event.event_signals[0].intervals[0]
        if "value" in order:
            interval.signal_payload = order["value"]
        if "start_at" in order:
            interval.dtstart = event.active_period.dtstart = datetime.fromtimestamp(order["start_at"], UTC)
        if "duration_s" in order:
            interval.duration = event.active_period.duration = timedelta(seconds=order["duration_s"])
        if "start_at" in order or "duration_s" in order:
            self._ends[order["event_id"]] = (interval.dtstart + interval.duration).timestamp()
        event.event_descriptor.modification_number += 1
        self._answer_to(order["event_id"])
        self.server.events_updated[self._options.ven_id] = True
        number = event.event_descriptor.modification_number
        self._tell("event_listed", event_id=order["event_id"], status="modified", modification=number)

    def _listed(self, event_id: str) -> Any:
        for event in self.server.events.get(self._options.ven_id, []):
            if event.event_descriptor.event_id == event_id:
                return event
        raise ValueError(f"expected a listed event, found {event_id!r}")

    def _answer_to(self, event_id: str) -> None:
        self.server.event_callbacks[event_id] = (self._listed(event_id), self._opt)

    async def _opt(self, ven_id: str, event_id: str, opt_type: str) -> None:
        self._tell("opt", ven_id=ven_id, event_id=event_id, opt=opt_type)


class Channel:
    """JSON lines out; thrown away while nobody listens."""

    def __init__(self, clock: Clock, out: TextIO | None) -> None:
        self._clock = clock
        self._out = out
        self._writers: list[asyncio.StreamWriter] = []

    def tell(self, saw: str, **facts: Any) -> None:
        """Say what was seen."""
        line = json.dumps({"saw": saw, "at": self._clock.utc(), **facts})
        if self._out is not None:
            print(line, file=self._out, flush=True)
        for writer in self._writers:
            writer.write(line.encode() + b"\n")

    @contextlib.asynccontextmanager
    async def lines(self, path: str | None) -> AsyncIterator[AsyncIterator[bytes]]:
        """Control lines, from stdin or from whoever connects to the socket `path`."""
        if path is None:
            reader = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            transport, _ = await loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
            )
            try:
                yield aiter(reader)
            finally:
                transport.close()
            return
        queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=256)
        async with await asyncio.start_unix_server(lambda r, w: self._attend(r, w, queue), path):
            yield _drain(queue)

    async def _attend(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, queue: asyncio.Queue[bytes]
    ) -> None:
        self._writers.append(writer)
        try:
            async for line in reader:
                await queue.put(line)
        finally:
            self._writers.remove(writer)
            writer.close()


async def _drain(queue: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
    while True:
        yield await queue.get()


async def serve(options: argparse.Namespace, channel: Channel, clock: Clock) -> None:
    """Run the VTN until `stop` or the end of stdin."""
    utility = Utility(options, channel.tell, clock)
    async with channel.lines(options.control_socket) as lines:
        await utility.server.run()
        channel.tell("ready", port=options.port)
        try:
            async for line in lines:
                if not follow(utility, channel, line):
                    break
        finally:
            await utility.server.stop()


def follow(utility: Utility, channel: Channel, line: bytes) -> bool:
    """Carry out one control line; False = stop. A line that cannot be followed is told, not raised."""
    try:
        order = json.loads(line)
        if order["do"] == "stop":
            return False
        utility.do(order)
    except (KeyError, TypeError, ValueError) as error:
        channel.tell("refused", line=line.decode("utf-8", "replace").strip(), reason=repr(error))
    return True


def main(argv: list[str] | None = None) -> None:
    """Entry point of the process."""
    options = arguments(argv)
    clock = SystemClock()
    out = None if options.control_socket else os.fdopen(os.dup(sys.stdout.fileno()), "w")
    with contextlib.redirect_stdout(sys.stderr):  # openleadr prints banners; stdout is the control channel
        asyncio.run(serve(options, Channel(clock, out), clock))


if __name__ == "__main__":
    main()
