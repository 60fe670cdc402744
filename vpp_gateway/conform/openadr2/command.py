"""What `vpp-gateway conform openadr2` does: choose, play, show, report."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from vpp_gateway.catalogue import Lang, Told, text
from vpp_gateway.clock import SystemClock, SystemRng
from vpp_gateway.conform.openadr2 import laws
from vpp_gateway.conform.openadr2.coverage import Row, coverage, unknown
from vpp_gateway.conform.openadr2.guise import Security
from vpp_gateway.conform.openadr2.options import LISTEN, Options
from vpp_gateway.conform.openadr2.others import AnyVen, Command, NobodyThere, OpenLeadrVen
from vpp_gateway.conform.openadr2.page import page
from vpp_gateway.conform.openadr2.procedure import Claim, Procedure, load
from vpp_gateway.conform.openadr2.run import Result, all_own, play
from vpp_gateway.conform.openadr2.server import CannotListen
from vpp_gateway.conform.openadr2.subject import Subject
from vpp_gateway.conform.openadr2.xml import ProcedureError
from vpp_gateway.conform.report import ConformReport
from vpp_gateway.conform.report import Procedure as Judged
from vpp_gateway.errors import ConfigError, leaves
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier

if TYPE_CHECKING:
    from rich.console import Console

STANDARD = "OpenADR 2.0b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of a whole run."""

    report: ConformReport
    rows: tuple[Row, ...]
    missed: tuple[Result, ...]
    """Mutants that were not caught."""
    whole: bool
    """All procedures were played, so rules without one count."""

    @property
    def uncovered(self) -> tuple[str, ...]:
        """Rules without a procedure."""
        return tuple(row.rule.id for row in self.rows if not row.procedures) if self.whole else ()

    @property
    def held(self) -> bool:
        """Nothing failed, nothing was missed."""
        return self.report.passed and not self.missed and not self.uncovered

    def page(self, lang: Lang) -> str:
        """The report as HTML."""
        return page(self.report, self.rows, lang)


def chosen(options: Options) -> tuple[Procedure, ...]:
    """The procedures to play.

    Raises:
        Told: there is no such procedure, there are none, or two have one name.
        InvalidFile: a file of procedures is wrong.
    """
    files = None if options.folder is None else sorted(options.folder.glob("*.yaml"))
    procedures = load(files)
    if not procedures:
        raise Told("conform.no_procedures", folder=options.folder)
    ids = Counter(one.id for one in procedures)
    if twice := [id for id, count in ids.items() if count > 1]:
        raise Told("conform.twice", ids=", ".join(twice))
    known = {one.id: one for one in procedures}
    for case in options.cases:
        if case not in known:
            near = ", ".join(get_close_matches(case, known, n=3)) or "-"
            raise Told("conform.unknown_case", found=case, near=near)
    return tuple(known[case] for case in dict.fromkeys(options.cases)) or procedures


def show_list(console: Console, procedures: Sequence[Procedure], lang: Lang) -> None:
    """Procedures, and the coverage of the rules."""
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for key in ("id", "rules", "title", "mutants"):
        table.add_column(text(f"conform.column.{key}", lang), overflow="fold", no_wrap=key == "id")
    for one in procedures:
        table.add_row(one.id, ", ".join(one.rules), one.title, str(len(one.mutants)))
    console.print(table)
    _show_coverage(console, coverage(procedures), lang)
    if strange := unknown(procedures):
        console.print(text("conform.unknown_rules", lang, rules=", ".join(strange)), style="bold red")


def _show_coverage(console: Console, rows: Sequence[Row], lang: Lang) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", title=text("conform.coverage", lang), title_justify="left")
    for key in ("rule", "text", "procedures", "mutants"):
        table.add_column(text(f"conform.column.{key}", lang), overflow="fold")
    for row in rows:
        style = "" if row.procedures else "red"
        table.add_row(row.rule.id, row.rule.text, str(len(row.procedures)), str(row.mutants), style=style)
    console.print(table)


def play_all(options: Options, procedures: Sequence[Procedure], console: Console, lang: Lang) -> Outcome:
    """Play, telling each verdict as it falls.

    Raises:
        Told: a procedure asks for something that cannot be done, or the VTN cannot listen.
        ConfigError: certificates that cannot be used.
    """
    at = _now()
    clock = SystemClock()
    began = clock.monotonic()

    def tell(result: Result) -> None:
        if result.mutant is None:
            mark = text(f"conform.verdict.{result.verdict}", lang)
            style = {"pass": "green", "fail": "bold red"}.get(result.verdict, "dim")
            reason = f"  {result.reason}" if result.reason else ""
            console.print(
                f"{mark:>4}  {result.procedure.id}{reason}", style=style, markup=False, soft_wrap=True
            )
        elif not result.caught and result.verdict != "not_applicable":
            missed = text("conform.missed", lang, procedure=result.procedure.id, mutant=result.mutant.name)
            console.print(missed, style="bold red", markup=False, soft_wrap=True)

    try:
        results = tuple(_results(options, procedures, tell))
    except* ProcedureError as errors:
        raise Told("conform.bad_procedure", why=str(next(leaves(errors)))) from None
    except* CannotListen as errors:
        where, why = next(leaves(errors)).args
        raise Told("conform.cannot_listen", where=where, why=why) from None
    outcome = _outcome(options, procedures, results, at)
    _show_sum(console, outcome, results, clock.monotonic() - began, lang)
    return outcome


def _now() -> str:
    return datetime.fromtimestamp(SystemClock().utc(), UTC).isoformat(timespec="seconds")


def _outcome(
    options: Options, procedures: Sequence[Procedure], results: Sequence[Result], at: str
) -> Outcome:
    plain = [one for one in results if one.mutant is None]
    report = ConformReport(
        standard=STANDARD,
        subject=_name(options),
        at=at,
        virtual_time=options.against == "own",
        procedures=(*(one.judged() for one in plain), *_lawful(plain)),
    )
    missed = [one for one in results if one.mutant and not one.caught and one.verdict != "not_applicable"]
    whole = not options.cases and options.folder is None
    return Outcome(report=report, rows=coverage(procedures), missed=tuple(missed), whole=whole)


def _lawful(results: Sequence[Result]) -> Iterator[Judged]:
    """One verdict for each law, over all messages of the run; none without a message."""
    silent = not any(one.heard for one in results)
    for rule, words in laws.LAWS.items():
        broken = [(one, breach) for one in results for breach in one.breaches if breach.rule == rule]
        first = f"{broken[0][0].procedure.id}: {broken[0][1].what}" if broken else ""
        count = f" ({len(broken)} messages)" if broken else ""
        yield Judged(
            id=f"Always-{rule if rule == 'schema' or rule.startswith('V') else f'R{rule}'}",
            title=f"In every message of the run: {words}",
            rules=(rule,),
            verdict="fail" if broken else "not_applicable" if silent else "pass",
            reason="no message was heard" if silent and not broken else f"{first}{count}",
            seconds=0.0,
        )


def _show_sum(
    console: Console, outcome: Outcome, results: Sequence[Result], seconds: float, lang: Lang
) -> None:
    verdicts = [one.verdict for one in outcome.report.procedures]
    for one in outcome.report.procedures:
        if one.id.startswith("Always-") and one.verdict == "fail":
            console.print(
                f"{text('conform.verdict.fail', lang)}  {one.id}  {one.reason}",
                style="bold red",
                markup=False,
            )
    _show_coverage(console, outcome.rows, lang)
    passed, failed = verdicts.count("pass"), verdicts.count("fail")
    skipped = verdicts.count("not_applicable")
    said = text("conform.sum", lang, passed=passed, failed=failed, skipped=skipped, seconds=f"{seconds:.1f}")
    console.print(said, markup=False)
    mutants = [one for one in results if one.mutant is not None and one.verdict != "not_applicable"]
    if mutants:
        caught = sum(one.caught for one in mutants)
        console.print(text("conform.mutants", lang, caught=caught, count=len(mutants)), markup=False)
    if outcome.uncovered:
        console.print(text("conform.uncovered", lang, rules=", ".join(outcome.uncovered)), style="bold red")


def _results(
    options: Options, procedures: Sequence[Procedure], tell: Callable[[Result], None]
) -> Iterator[Result]:
    if options.against == "own":
        yield from all_own(procedures, mutants=options.mutants, told=tell)
        return
    subject = _subject(options)
    security = _security(options)
    xsd, clock, rng = schema.load(), SystemClock(), SystemRng()
    host, port = options.address if isinstance(subject, AnyVen) else ("127.0.0.1", 0)
    for procedure in procedures:
        for mutant in (None, *(procedure.mutants if options.mutants else ())):
            result = asyncio.run(
                play(
                    procedure,
                    mutant,
                    subject,
                    clock=clock,
                    rng=rng,
                    xsd=xsd,
                    security=security,
                    host=host,
                    port=port,
                    poll_s=options.poll_s,
                    longest_s=options.longest_s,
                )
            )
            tell(result)
            yield result


def _subject(options: Options) -> Subject:
    if options.against == "openleadr":
        return OpenLeadrVen()
    operator = NobodyThere() if options.prompt_command is None else Command(options.prompt_command)
    claims: set[Claim] = {"reports", *options.claims}
    claims |= set() if "push" in claims else {"pull"}
    if options.cert is not None and options.key is not None and options.ca is not None:
        claims |= {"tls", "signed"} if options.signed else {"tls"}
    return AnyVen(_name(options), frozenset(claims), operator)


def _name(options: Options) -> str:
    from vpp_gateway import __version__

    match options.against:
        case "own":
            return f"vpp-gateway {__version__}"
        case "openleadr":
            return OpenLeadrVen().name
        case _:
            return f"a VEN at {options.listen or LISTEN}"


def _security(options: Options) -> Security:
    if options.cert is None or options.key is None or options.ca is None:
        return Security()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        for context in (server, client):
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(options.ca)
            context.load_cert_chain(options.cert, options.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"TLS: {options.ca}, {options.cert}, {options.key}: {error}") from None
    if not options.signed:
        return Security(tls=server, client=client)
    pins = () if options.ven_fingerprint is None else (options.ven_fingerprint,)
    return Security(
        tls=server,
        client=client,
        signer=Signer(key_pem=options.key.read_bytes(), cert_pem=options.cert.read_bytes(), rng=SystemRng()),
        verifier=Verifier(pins=pins, roots_pem=options.ca.read_bytes()),
    )
