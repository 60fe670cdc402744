"""A field as a process of its own, steered by JSON lines: one command a line on stdin, one answer a line on stdout.

    -> (start)                                                  {"ready": true, "ports": {"tokyo-b1": 40123, ...}}
    {"cmd": "kill",   "device": "tokyo-b1"}                     {"ok": true}
    {"cmd": "revive", "device": "tokyo-b1"}                     {"ok": true}
    {"cmd": "fault",  "device": "tokyo-b1", "fault": "delay", "value": 30}
    {"cmd": "heal",   "device": "tokyo-b1", "fault": "delay"}   without "fault": all
    {"cmd": "log",    "device": "tokyo-b1"}                     {"ok": true, "log": [{"at", "address", "values", "taken"}]}
    {"cmd": "set_load", "site": "tokyo", "w": 2500000}          {"ok": true}
    {"cmd": "load_module", "site": "tokyo", "path": "package.module:factory", "config": {}}
    {"cmd": "truth"}                                            {"ok": true, "truth": {...}}
    {"cmd": "stop"}                                             {"ok": true}, then the process ends

A wrong command is answered {"ok": false, "error": "..."} and changes nothing. The end of stdin ends the process.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from vpp_gateway.clock import SystemClock
from vpp_gateway.errors import ConfigError
from vpp_gateway.sim.battery import SimBattery
from vpp_gateway.sim.field import FieldSpec, SimField, load_factory

LINE_MAX_BYTES = 1024 * 1024


def main(arguments: Sequence[str]) -> None:
    """Serve the world of SPEC.json until told to stop."""
    if len(arguments) != 1:
        raise SystemExit("usage: python -m vpp_gateway.sim.field SPEC.json")
    try:
        spec = FieldSpec.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise SystemExit(f"{arguments[0]}: {error}") from error
    try:
        asyncio.run(serve(spec))
    except (ConfigError, RuntimeError) as error:
        raise SystemExit(f"{arguments[0]}: {error}") from error


async def serve(spec: FieldSpec) -> None:
    """Serve `spec` and obey stdin."""
    async with SimField(spec, clock=SystemClock()) as field:
        names = [*field.batteries, *field.meters]
        _say({"ready": True, "ports": {name: field.address(name)[1] for name in names}})
        reader = asyncio.StreamReader(limit=LINE_MAX_BYTES)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            answer = await obey(field, line)
            _say(answer)
            if answer.get("stopping"):
                return


def _say(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def obey(field: SimField, line: bytes) -> dict[str, object]:
    """Carry one command out; the answer."""
    try:
        command = json.loads(line)
        if not isinstance(command, dict):
            raise ValueError("a command is a JSON object")
        return {"ok": True, **await _carry_out(field, command)}
    except KeyError as error:
        return {"ok": False, "error": f"missing or unknown: {error}"}
    except (ValueError, TypeError, ConfigError, RuntimeError) as error:
        return {"ok": False, "error": str(error)}


async def _carry_out(field: SimField, command: Mapping[str, object]) -> dict[str, object]:
    match command["cmd"]:
        case "kill":
            await field.kill(_device(field, command))
        case "revive":
            await field.revive(_device(field, command))
        case "fault":
            value = command.get("value")
            number = float(str(value)) if value is not None else None
            field.device(_device(field, command)).fault(str(command["fault"]), number)
        case "heal":
            fault = command.get("fault")
            field.device(_device(field, command)).heal(None if fault is None else str(fault))
        case "log":
            return {"log": _log(field, _device(field, command))}
        case "set_load":
            field.set_load(str(command["site"]), float(str(command["w"])))
        case "load_module":
            site, config = str(command["site"]), command.get("config", {})
            if not isinstance(config, dict):
                raise ValueError("config is a JSON object")
            field.sites[site].extra.append(load_factory(str(command["path"]))(site, config))
        case "truth":
            return {"truth": field.truth()}
        case "stop":
            return {"stopping": True}
        case other:
            raise ValueError(f"no command {other!r}")
    return {}


def _device(field: SimField, command: Mapping[str, object]) -> str:
    name = str(command["device"])
    field.device(name)
    return name


def _log(field: SimField, name: str) -> list[dict[str, object]]:
    device = field.device(name)
    if not isinstance(device, SimBattery):
        raise ValueError(f"{name} is a meter: nothing is ever written to it")
    return [
        {"at": entry.at, "address": entry.address, "values": list(entry.values), "taken": entry.taken}
        for entry in device.log
    ]
