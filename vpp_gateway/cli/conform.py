"""`conform openadr2` and `conform pics`: the public conformance harness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpp_gateway.cli.common import (
    MISSED,
    OK,
    SCHEMA_VERSION,
    Within,
    json_option,
    lang_option,
    language,
    print_json,
    screen,
)

if TYPE_CHECKING:
    from vpp_gateway.conform.openadr2.procedure import Claim


@click.group
def conform() -> None:
    """Conformance: openadr2, pics."""


@conform.command("openadr2")
@click.option("--case", "cases", multiple=True, metavar="ID", help="Only this procedure; may be repeated.")
@click.option(
    "--procedures",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Play the procedures of this folder instead of the shipped ones.",
)
@click.option("--list", "only_list", is_flag=True, help="List procedures and the coverage of the rules.")
@click.option("--mutants", is_flag=True, help="Play each procedure's mutants too: each must be caught.")
@click.option(
    "--against",
    type=click.Choice(("own", "openleadr", "other")),
    default="own",
    show_default=True,
    help="The VEN under test: ours (virtual time), openleadr's, or one that you point at --listen.",
)
@click.option(
    "--listen",
    default=None,
    metavar="HOST:PORT",
    help="Where the VTN listens for another VEN.  [default: 127.0.0.1:8080]",
)
@click.option(
    "--cert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The VTN's certificate (PEM): HTTPS.",
)
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its private key.")
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CA that the VEN's certificate is checked against.",
)
@click.option("--signed", is_flag=True, help="Sign messages and demand signatures.")
@click.option("--ven-fingerprint", default=None, help="Fingerprint of the VEN's signing certificate.")
@click.option(
    "--claim",
    "claims",
    multiple=True,
    type=click.Choice(("push", "opt", "status-report", "history-report")),
    help="What another VEN can do beside pull and TELEMETRY_USAGE; may be repeated.",
)
@click.option(
    "--prompt-command",
    default=None,
    metavar="COMMAND",
    help="Operates another VEN: {verb} and {give} are filled in.",
)
@click.option(
    "--poll-s",
    type=Within(1.0),
    default=1.0,
    show_default=True,
    help="Poll period asked for, s (not of our own VEN).",
)
@click.option(
    "--longest-s",
    type=Within(1.0),
    default=300.0,
    show_default=True,
    help="In real time, leave out procedures that must take longer, s (not of our own VEN).",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report (docs/schemas/conform.schema.json).",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report as a page.",
)
@lang_option
@click.pass_context
def openadr2(
    ctx: click.Context,
    cases: tuple[str, ...],
    folder: Path | None,
    only_list: bool,
    mutants: bool,
    against: str,
    listen: str | None,
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
    signed: bool,
    ven_fingerprint: str | None,
    claims: tuple[Claim, ...],
    prompt_command: str | None,
    poll_s: float,
    longest_s: float,
    json_file: Path | None,
    html_file: Path | None,
    lang: str | None,
) -> None:
    """Play the procedures of OpenADR 2.0b against a VEN.

    Exits with 5 when a procedure fails, a mutant is not caught, or a rule has no procedure.
    """
    from vpp_gateway.conform.openadr2 import command
    from vpp_gateway.conform.openadr2.options import Options, check, write

    options = Options(
        cases=cases,
        folder=folder,
        mutants=mutants,
        against=against,
        listen=listen,
        cert=cert,
        key=key,
        ca=ca,
        signed=signed,
        ven_fingerprint=ven_fingerprint,
        claims=claims,
        prompt_command=prompt_command,
        poll_s=poll_s,
        longest_s=longest_s,
    )
    check(options, (json_file, html_file))
    chosen = command.chosen(options)
    if only_list:
        command.show_list(screen(), chosen, options.whole, language(ctx))
        return
    outcome = command.play_all(options, chosen, screen(), language(ctx))
    if json_file is not None:
        write(json_file, outcome.report.model_dump_json(indent=2) + "\n")
    if html_file is not None:
        write(html_file, outcome.page(language(ctx)))
    ctx.exit(OK if outcome.held else MISSED)


@conform.command("pics")
@click.option(
    "--program", default="generic-2.0b", show_default=True, help="Program profile that it is told for."
)
@json_option
@lang_option
def pics(program: str, as_json: bool, lang: str | None) -> None:
    """Tell what this VEN implements (PICS), by the code's own tables."""
    from dataclasses import asdict

    from rich.table import Table

    from vpp_gateway.conform.openadr2.pics import statement
    from vpp_gateway.conform.openadr2.procedure import load
    from vpp_gateway.northbound.openadr2.program import ProgramProfile
    from vpp_gateway.profile import load_profile

    items = statement(load_profile("programs", program, ProgramProfile), load())
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "pics": [asdict(item) for item in items]})
        return
    table = Table(box=None, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for item in items:
        table.add_row(item.topic, item.item, item.value)
    screen().print(table)
