"""`device steptest`, `failsafe-test`, `commission` and `verify`: moving a real battery, on purpose and with a report."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpp_gateway import __version__
from vpp_gateway.catalogue import Lang, text
from vpp_gateway.cli.common import (
    FAILED,
    MISSED,
    SCHEMA_VERSION,
    json_option,
    lang_option,
    language,
    print_json,
    say,
)
from vpp_gateway.cli.device_options import address, folder_option, point_at, the_profile, unit_option

if TYPE_CHECKING:
    from vpp_gateway.commission.bench import BenchSetup
    from vpp_gateway.commission.failsafe import FailsafeResult
    from vpp_gateway.commission.report import Commissioned
    from vpp_gateway.commission.steptest import Step

SHARE = 0.1
"""Of the smaller rating: the usual size of a step."""
Command = Callable[..., Any]


def _options(command: Command) -> Command:
    """What all tests of a battery take."""
    decorators = (
        click.argument("host", callback=address),
        click.option("--profile", "name", required=True, help="Profile of the battery."),
        unit_option,
        click.option("--watts", "w", type=click.FloatRange(min=1.0), help="Size of the steps, W (default: 10 % of the rating)."),
        click.option("--kw", type=click.FloatRange(min=0.001), help="Power both ways, kW, where the device does not tell it."),
        click.option("--kwh", type=click.FloatRange(min=0.001), help="Energy, kWh, where the device does not tell it."),
        click.option("--reversion", "reversion_s", type=click.FloatRange(2, 3600), default=30.0, show_default=True,
                     help="Seconds after which it shall fall back, where that can be set."),
        click.option("--yes", is_flag=True, help="Do not ask before the battery is moved."),
        folder_option,
        json_option,
        lang_option,
    )  # fmt: skip
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


hold_option = click.option(
    "--hold", "hold_s", type=click.FloatRange(3, 600), default=12.0, show_default=True,
    help="Seconds that each step is held.",
)  # fmt: skip
meter_option = click.option("--meter", callback=lambda c, p, v: None if v is None else address(c, p, v),
                            help="HOST or HOST:PORT of a meter that sees the battery.")  # fmt: skip
meter_profile_option = click.option("--meter-profile", help="Profile of that meter.")


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What the command line says."""

    setup: BenchSetup
    w: float
    lang: Lang


def _choose(
    ctx: click.Context,
    given: dict[str, Any],
    meter: str | None = None,
    meter_profile: str | None = None,
) -> _Chosen:
    """Meet the device and ask before it is moved. Raises GatewayError."""
    from vpp_gateway.commission.bench import BenchSetup, nameplate
    from vpp_gateway.southbound.modbus.client import Timing

    if (meter is None) != (meter_profile is None):
        raise click.UsageError("--meter and --meter-profile belong together")
    profile = the_profile(given["name"], given["folders"], given["unit"])
    if profile.kind != "battery":
        raise click.BadParameter(
            f"{profile.name} is a {profile.kind}; only batteries can be moved", param_hint="--profile"
        )
    target = point_at(given["host"], profile.port)
    plate = asyncio.run(nameplate(target, profile, kw=given["kw"], kwh=given["kwh"]))
    most_w = min(plate.discharge_max_w, plate.charge_max_w)
    w = given["w"] if given["w"] is not None else SHARE * most_w
    if w > most_w:
        raise click.BadParameter(
            f"{w:g} W is more than the nameplate allows ({most_w:g} W)", param_hint="--watts"
        )
    seen = None
    if meter is not None and meter_profile is not None:
        of_meter = the_profile(meter_profile, given["folders"], None)
        seen = (point_at(meter, of_meter.port), of_meter)
    reversion_s: float = given["reversion_s"]
    setup = BenchSetup(
        address=target,
        profile=profile,
        plate=plate,
        timing=Timing(refresh_s=min(5.0, reversion_s / 3), reversion_s=reversion_s),
        meter=seen,
    )
    lang = language(ctx)
    if not given["yes"]:
        click.confirm(text("device.ask", lang, device=target, w=f"{w:g}"), abort=True, err=True)
    return _Chosen(setup, w, lang)


def _steps(chosen: _Chosen, hold_s: float) -> tuple[Step, ...]:
    from vpp_gateway.clock import SystemClock, SystemRng
    from vpp_gateway.commission.bench import step_test

    wanted = (chosen.w, -chosen.w, 0.0)
    return asyncio.run(step_test(chosen.setup, wanted, hold_s=hold_s, clock=SystemClock(), rng=SystemRng()))


def _left_alone(chosen: _Chosen) -> FailsafeResult:
    from vpp_gateway.clock import SystemClock, SystemRng
    from vpp_gateway.commission.bench import failsafe_test

    return asyncio.run(failsafe_test(chosen.setup, chosen.w, clock=SystemClock(), rng=SystemRng()))


def _tell_steps(steps: tuple[Step, ...], lang: Lang) -> None:
    for step in steps:
        verdict = ", ".join(text(f"device.report.fault.{one}", lang) for one in step.faults)
        say(
            text(
                "device.step", lang, asked=f"{step.to_w:g}", verdict=verdict or text("device.report.step.obeyed", lang),
                moved=_s(step.moved_s), arrived=_s(step.arrived_s), held=_s(step.held_w, 0),
            )
        )  # fmt: skip
        if step.refusal:
            say(f"  {step.refusal}")


def _tell_failsafe(found: FailsafeResult, lang: Lang) -> None:
    promised = (
        text("device.report.failsafe.nothing", lang)
        if found.promised_s is None
        else f"{found.promised_s:g} s"
    )
    back = text("device.report.failsafe.not", lang) if found.back_s is None else f"{found.back_s:.1f} s"
    verdict = text(f"device.report.verdict.{found.verdict}", lang)
    say(
        text(
            "device.failsafe", lang, w=f"{found.setpoint_w:g}", verdict=verdict, promised=promised, back=back
        )
    )


def _s(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


@click.command
@_options
@hold_option
@meter_option
@meter_profile_option
@click.pass_context
def steptest(
    ctx: click.Context,
    /,
    hold_s: float,
    meter: str | None,
    meter_profile: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Does the battery at HOST obey? A small step each way, then released."""
    chosen = _choose(ctx, given, meter, meter_profile)
    steps = _steps(chosen, hold_s)
    if as_json:
        from vpp_gateway.commission.report import steps_plain

        print_json({"schema_version": SCHEMA_VERSION, "steps": steps_plain(steps)})
    else:
        _tell_steps(steps, chosen.lang)
    if any(step.faults for step in steps):
        ctx.exit(MISSED)


@click.command("failsafe-test")
@_options
@click.pass_context
def failsafe(ctx: click.Context, /, as_json: bool, **given: Any) -> None:
    """Does the battery at HOST fall back by itself when the gateway dies? It is given a setpoint and left alone."""
    chosen = _choose(ctx, given)
    found = _left_alone(chosen)
    if as_json:
        from vpp_gateway.commission.report import failsafe_plain

        print_json({"schema_version": SCHEMA_VERSION, "failsafe": failsafe_plain(found)})
    else:
        _tell_failsafe(found, chosen.lang)
    if not found.passed:
        ctx.exit(MISSED)


@click.command
@_options
@hold_option
@meter_option
@meter_profile_option
@click.option("--device", "device_id", required=True, help="Your name for the battery, as in gateway.yaml.")
@click.option("--by", default="", help="Who is there, for the report.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("commissioning"), show_default=True,
              help="Folder for the report and for the key that signs it.")  # fmt: skip
@click.option("--modelled", is_flag=True, help="The device is a simulated one; the report says so.")
@click.pass_context
def commission(
    ctx: click.Context,
    /,
    hold_s: float,
    meter: str | None,
    meter_profile: str | None,
    device_id: str,
    by: str,
    out: Path,
    modelled: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Step test and failsafe test of the battery at HOST, with a signed report of one page."""
    from vpp_gateway.commission.probe import Probe
    from vpp_gateway.commission.report import Commissioned

    chosen = _choose(ctx, given, meter, meter_profile)
    setup = chosen.setup

    async def introduce() -> dict[str, str]:
        async with Probe(setup.address, unit=setup.profile.unit, timeout_s=setup.profile.timeout_s) as probe:
            return await probe.identity(setup.profile)

    identity = asyncio.run(introduce())
    steps = _steps(chosen, hold_s)
    left = _left_alone(chosen) if steps and steps[-1].confirmed_w is not None else None
    from vpp_gateway.clock import SystemClock

    found = Commissioned(
        device=device_id,
        address=str(setup.address),
        unit=setup.profile.unit,
        identity=identity,
        profile=setup.profile,
        plate=setup.plate,
        modelled=modelled or identity.get("maker") == "Simulated",
        steps=steps,
        failsafe=left,
        by=by,
        at=SystemClock().utc(),
        version=__version__,
    )
    _file_report(found, out, chosen.lang, as_json)
    if not as_json:
        _tell_steps(steps, chosen.lang)
        if left is not None:
            _tell_failsafe(left, chosen.lang)
    if not found.passed:
        ctx.exit(MISSED)


def _file_report(found: Commissioned, out: Path, lang: Lang, as_json: bool) -> None:
    from vpp_gateway.commission.page import page
    from vpp_gateway.commission.report import document, sign, signing_key

    out.mkdir(parents=True, exist_ok=True)
    report = sign(document(found), signing_key(out / "commissioning.key"))
    said = json.dumps(report, ensure_ascii=False, indent=1, allow_nan=False)
    stem = f"{found.device}-{int(found.at)}"
    (out / f"{stem}.json").write_text(said + "\n", encoding="utf-8")
    html = out / f"{stem}.html"
    html.write_text(page(report, lang), encoding="utf-8")
    if as_json:
        print_json(report)
        return
    signature = report["signature"]
    assert isinstance(signature, dict)
    say(text("device.report.written", lang, file=html, fingerprint=signature["fingerprint"]))


@click.command
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@lang_option
@click.pass_context
def verify(ctx: click.Context, file: Path, lang: str | None) -> None:
    """Tell whether a commissioning report (the JSON FILE) is as it was signed, and by which key."""
    from vpp_gateway.commission.report import verify as check
    from vpp_gateway.errors import MisuseError

    said = language(ctx)
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        key = check(report if isinstance(report, dict) else {})
    except (ValueError, MisuseError) as error:
        say(text("device.verify.wrong", said, file=file, why=str(error)), err=True)
        ctx.exit(FAILED)
    say(text("device.verify.ok", said, file=file, fingerprint=key))
