"""Acts over the control socket, and waiting until the utility has answered them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import click

from vpp_gateway.catalogue import Told
from vpp_gateway.cli.common import Absent, remember_language
from vpp_gateway.cli.whereabouts import find
from vpp_gateway.console.ask import Declined, Json, NotAllowed, NotRunning, ask
from vpp_gateway.errors import PeerError

LOOK_S = 0.05
"""Between two looks at the gateway while waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The running gateway, and which of its connections is meant."""

    socket: Path
    timeout_s: float
    room: str

    def do(self, verb: str, /, **values: Json) -> dict[str, Json]:
        """Carry out an act or a look.

        Raises:
            Absent: no gateway answers.
            Told: it says no, and why.
        """
        try:
            return ask(self.socket, {"do": verb, "room": self.room, **values}, self.timeout_s)
        except NotRunning:
            raise Absent("cli.not_running", socket=self.socket) from None
        except NotAllowed:
            raise Told("cli.not_allowed", socket=self.socket) from None
        except Declined as refusal:
            if refusal.code:
                raise Told(refusal.code, **refusal.values) from None
            raise
        except PeerError as error:
            raise Absent("cli.broken_answer", socket=self.socket, reason=error) from None


def gateway(
    ctx: click.Context, config: Path | None, state_dir: Path | None, timeout_s: float, room: str
) -> Gateway:
    """Where the gateway answers; keeps its configured language for what is told."""
    where = find(config, state_dir)
    remember_language(ctx, where.language)
    return Gateway(socket=where.socket, timeout_s=timeout_s, room=room)


def wait(running: Gateway, reply: dict[str, Json], wait_s: float) -> None:
    """Until the utility has answered what `reply` told of.

    Raises:
        Absent: it has not within `wait_s` seconds.
        Told: it refused.
    """
    from vpp_gateway.clock import SystemClock

    clock, pause = SystemClock(), threading.Event()
    until = clock.monotonic() + wait_s
    while not _answered(running, reply):
        if clock.monotonic() >= until:
            why = running.do("status")["detail"] or "-"
            raise Absent("ven.unanswered", room=reply["room"], seconds=f"{wait_s:g}", detail=why)
        pause.wait(LOOK_S)


def _answered(running: Gateway, reply: dict[str, Json]) -> bool:
    match reply["verb"]:
        case "register" | "reregister":
            return running.do("status")["state"] == "registered"
        case "cancel":
            return running.do("status")["state"] == "cancelled"
        case "reset":
            return running.do("status")["state"] == ("cancelled" if reply.get("stay") else "registered")
        case "opt":
            rows = _rows(running, "events")
            return all(row["told"] is True for row in rows if row["event"] == reply["event"])
        case "create-opt" if "opt_id" in reply:
            return _taken(running, str(reply["opt_id"]))
        case "cancel-opt":
            waiting = [row for row in _rows(running, "opts") if row["opt_id"] == reply["opt_id"]]
            return all(row["standing"] == "cancelled" for row in waiting)
        case _:
            return True


def _taken(running: Gateway, opt_id: str) -> bool:
    for row in _rows(running, "opts"):
        if row["opt_id"] == opt_id and row["standing"] == "refused":
            raise Told("ven.opt_refused", opt_id=opt_id, detail=row["detail"])
        if row["opt_id"] == opt_id:
            return row["standing"] == "taken"
    return True


def _rows(running: Gateway, verb: str) -> list[dict[str, Json]]:
    rows = running.do(verb)[verb]
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
