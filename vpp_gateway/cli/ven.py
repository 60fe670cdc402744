"""`ven`: the operator's acts on one connection to a utility, carried out by the running gateway."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vpp_gateway.catalogue import Told, text
from vpp_gateway.cli.common import (
    Absent,
    Within,
    config_option,
    json_option,
    lang_option,
    language,
    print_json,
    say,
)
from vpp_gateway.cli.status import state_dir_option, timeout_option
from vpp_gateway.cli.ven_ask import Gateway, gateway, wait
from vpp_gateway.console.ask import Json
from vpp_gateway.errors import GatewayError

Reply = dict[str, Json]

room_option = click.option("--room", default="", help="Name of the connection; not needed for an only one.")
wait_option = click.option(
    "--wait", "wait_s", type=Within(min=0, max=3600), default=0.0,
    help="Wait so many seconds for the utility's answer; exits with 4 when there is none.",
)  # fmt: skip
reason_option = click.option(
    "--reason", default="", help="optReason, for instance economic, mustRun, x-WORD."
)


def looking(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command here."""
    for option in (
        click.pass_context,
        lang_option,
        json_option,
        timeout_option,
        state_dir_option,
        config_option,
    ):
        command = option(command)
    return room_option(command)


def acting(command: Callable[..., None]) -> Callable[..., None]:
    """Those of a command that changes something."""
    return wait_option(looking(command))


class Call:
    """One command at work: asks the gateway, waits if told to, and tells."""

    def __init__(self, ctx: click.Context, options: dict[str, Any]) -> None:
        self.ctx = ctx
        self.as_json: bool = options["as_json"]
        self.wait_s: float = options.get("wait_s", 0.0)
        config: Path | None = options["config"]
        self.gateway: Gateway = gateway(
            ctx, config, options["state_dir"], options["timeout_s"], options["room"]
        )

    def say(self, key: str, /, **values: object) -> None:
        """A text of the catalogue, for people."""
        if not self.as_json:
            say(text(key, language(self.ctx), **values))

    def act(self, verb: str, /, **values: Json) -> Reply:
        """Carry out an act; waits for the utility as told."""
        reply = self.gateway.do(verb, **values)
        if self.wait_s:
            wait(self.gateway, reply, self.wait_s)
        if self.as_json:
            print_json(reply)
        return reply

    def tell(self, reply: Reply) -> None:
        """That an act was taken, and where the connection stands."""
        self.say("ven.done" if reply["acted"] else "ven.already", room=reply["room"], verb=reply["verb"])
        if not self.as_json:
            state = self.gateway.do("status")["state"]
            self.say("ven.state", room=reply["room"], state=f"word.ven.{state}")


@click.group
def ven() -> None:
    """Registration and opts of one connection to a utility (OpenADR 2.0b VEN)."""


@ven.command("register")
@acting
def register(ctx: click.Context, **options: Any) -> None:
    """Register with the utility, after a cancellation or a reset that stayed out."""
    call = Call(ctx, options)
    call.tell(call.act("register"))


@ven.command("cancel")
@acting
def cancel(ctx: click.Context, **options: Any) -> None:
    """Cancel the registration; every event of this utility ends."""
    call = Call(ctx, options)
    call.tell(call.act("cancel"))


@ven.command("reregister")
@acting
def reregister(ctx: click.Context, **options: Any) -> None:
    """Register anew with the same registrationID."""
    call = Call(ctx, options)
    call.tell(call.act("reregister"))


@ven.command("reset")
@click.option("--stay", is_flag=True, help="Stay out until `ven register`.")
@acting
def reset(ctx: click.Context, stay: bool, **options: Any) -> None:
    """Forget registration, events, opts, reports and what is owed, then register afresh."""
    call = Call(ctx, options)
    call.tell(call.act("reset", stay=stay))


@ven.command("opt")
@click.argument("event")
@click.argument("opt", type=click.Choice(["optIn", "optOut"], case_sensitive=False))
@reason_option
@acting
def opt(ctx: click.Context, event: str, opt: str, reason: str, **options: Any) -> None:
    """Override the opt of EVENT: an opt-out releases the sites at once, an opt-in is judged anew."""
    call = Call(ctx, options)
    reply = call.act("opt", event=event, opt=opt, reason=reason)
    call.say("ven.opted", event=event, opt=f"word.ven.{reply['opt']}")


@ven.command("create-opt")
@click.option("--event", default="", help="eventID; without it the opt is a schedule.")
@click.option(
    "--start", multiple=True, help="Start of an interval, with its offset; repeat for more intervals."
)
@click.option("--duration", multiple=True, help="Its length, for instance PT30M; one for each --start.")
@click.option(
    "--opt", type=click.Choice(["optIn", "optOut"], case_sensitive=False), default="optOut", show_default=True
)
@reason_option
@click.option("--market-context", help="Market context that the schedule is for.")
@click.option("--resource", multiple=True, help="resourceID; repeat for more.")
@click.option("--group", multiple=True, help="groupID; repeat for more.")
@click.option("--party", multiple=True, help="partyID; repeat for more.")
@click.option("--device-class", multiple=True, help="mRID of an endDeviceAsset; repeat for more.")
@click.option("--from-capacity", is_flag=True, help="Opt out where the spare capacity is short.")
@click.option("--need-kw", type=Within(min=0, min_open=True), help="What must be held, kW.")
@click.option("--direction", type=click.Choice(["down", "up"]), default="down", show_default=True)
@click.option("--hours", type=Within(min=0, min_open=True, max=744), default=24.0, show_default=True)
@acting
def create_opt(
    ctx: click.Context,
    event: str,
    start: tuple[str, ...],
    duration: tuple[str, ...],
    opt: str,
    reason: str,
    market_context: str | None,
    resource: tuple[str, ...],
    group: tuple[str, ...],
    party: tuple[str, ...],
    device_class: tuple[str, ...],
    from_capacity: bool,
    need_kw: float | None,
    direction: str,
    hours: float,
    **options: Any,
) -> None:
    """Send an oadrCreateOpt: for one event, or for a schedule of availability."""
    if sum((bool(event), bool(start or duration), from_capacity)) != 1 or len(start) != len(duration):
        raise Told("ven.what")
    values: dict[str, Json] = {"opt": opt, "reason": reason, "event": event, "market_context": market_context}
    for name, ids in (
        ("resource_ids", resource),
        ("group_ids", group),
        ("party_ids", party),
        ("device_classes", device_class),
    ):
        values[name] = list(ids)
    if from_capacity:
        if need_kw is None:
            raise Told("ven.need")
        values["from_capacity"] = {"need_kw": need_kw, "direction": direction, "hours": hours}
        values["opt"] = "optOut"
    values["available"] = [_span(at, length) for at, length in zip(start, duration, strict=True)]
    call = Call(ctx, options)
    reply = call.act("create-opt", **values)
    if reply.get("enough"):
        call.say("ven.enough", need_kw=f"{need_kw:g}")
    else:
        call.say("ven.opt_made", opt_id=reply["opt_id"], opt=f"word.ven.{reply['opt']}")


@ven.command("cancel-opt")
@click.argument("opt_id")
@acting
def cancel_opt(ctx: click.Context, opt_id: str, **options: Any) -> None:
    """Send an oadrCancelOpt for OPT_ID; an event's earlier opt counts again."""
    call = Call(ctx, options)
    call.act("cancel-opt", opt_id=opt_id)
    call.say("ven.opt_gone", opt_id=opt_id)


@ven.command("status")
@looking
def status(ctx: click.Context, **options: Any) -> None:
    """Where the registration stands."""
    call = Call(ctx, options)
    reply = call.act("status")
    call.say("ven.state", room=reply["room"], state=f"word.ven.{reply['state']}")


@ven.command("events")
@looking
def events(ctx: click.Context, **options: Any) -> None:
    """Events as this connection knows them."""
    _listed(Call(ctx, options), "events", "ven.event_line")


@ven.command("opts")
@looking
def opts(ctx: click.Context, **options: Any) -> None:
    """Opts made by oadrCreateOpt."""
    _listed(Call(ctx, options), "opts", "ven.opt_line")


@ven.command("reports")
@looking
def reports(ctx: click.Context, **options: Any) -> None:
    """Reports that the utility has ordered."""
    _listed(Call(ctx, options), "reports", "ven.report_line")


@ven.command("prompt")
@click.argument("verb")
@click.argument("give", required=False)
@config_option
@state_dir_option
@timeout_option
@lang_option
@room_option
@click.pass_context
def prompt(
    ctx: click.Context,
    verb: str,
    give: str | None,
    config: Path | None,
    state_dir: Path | None,
    timeout_s: float,
    lang: str | None,
    room: str,
) -> None:
    """Do for a conformance harness what it would ask a person: VERB, with its fields as JSON.

    GIVE is a JSON object; without it standard input is read. Prints JSON; an act that is refused is printed as {"refused":
    why} and exits with 0.
    """
    import json

    from vpp_gateway.northbound.openadr2.operate import VERBS

    if verb not in VERBS:
        raise click.BadParameter(f"expected one of {', '.join(VERBS)}, found '{verb}'", param_hint="VERB")
    said = give if give is not None else "" if sys.stdin.isatty() else sys.stdin.read()
    try:
        values = json.loads(said or "{}")
    except ValueError as error:
        raise click.BadParameter(f"expected JSON, found {said[:80]!r}: {error}", param_hint="GIVE") from None
    if not isinstance(values, dict) or {"do", "room"} & values.keys():
        raise click.BadParameter(f"expected fields, found {said[:80]!r}", param_hint="GIVE")
    try:
        print_json(gateway(ctx, config, state_dir, timeout_s, room).do(verb, **values))
    except Absent:
        raise
    except GatewayError as refusal:
        print_json({"refused": str(refusal)})


def _listed(call: Call, verb: str, line: str) -> None:
    rows = call.act(verb)[verb]
    if not rows:
        call.say(f"ven.no_{verb}")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            call.say(line, **_worded(row))


def _worded(row: Reply) -> dict[str, object]:
    """A row's values as they are shown: times in JST, codes in words."""
    from vpp_gateway.cli.words import NOTHING, moment

    shown: dict[str, object] = {name: NOTHING if value is None else value for name, value in row.items()}
    for name in ("start", "end"):
        at = row.get(f"{name}_at")
        if isinstance(at, int | float):
            shown[name] = f"{moment(at)} JST"
    for name in ("status", "standing", "opt"):
        if isinstance(row.get(name), str):
            shown[name] = f"word.ven.{row[name]}"
    spans = row.get("available")
    if isinstance(spans, list):
        pairs = (f"{span['start']}/{span['end']}" for span in spans if isinstance(span, dict))
        shown["what"] = row.get("event") or " ".join(pairs)
    return shown


def _span(start: str, duration: str) -> Json:
    """One interval. Raises Told or click's own error, with what was found."""
    from datetime import datetime

    from vpp_gateway.northbound.openadr2.xml_text import read_duration

    try:
        at = datetime.fromisoformat(start)
    except ValueError:
        raise Told("ven.start", found=start) from None
    if at.tzinfo is None:
        raise Told("ven.start", found=start)
    try:
        return {"start_at": at.timestamp(), "duration_s": read_duration(duration)}
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--duration") from None
