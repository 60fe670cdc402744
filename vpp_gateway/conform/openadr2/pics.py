"""PICS: what this VEN implements, told by the code's own tables and a program profile, never by a list kept beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from vpp_gateway.conform.openadr2.coverage import coverage
from vpp_gateway.conform.openadr2.procedure import Procedure
from vpp_gateway.northbound.openadr2 import messages, report_words, wire
from vpp_gateway.northbound.openadr2.opt_words import Opt
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.signature import ECDSA_SHA256, RSA_SHA256


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the statement."""

    topic: str
    item: str
    value: str


def statement(program: ProgramProfile, procedures: tuple[Procedure, ...]) -> tuple[Item, ...]:
    """The whole statement for one program."""
    return (
        *_profile(program),
        *_services(),
        *_messages(),
        *_signals(program),
        *_reports(program),
        *_security(program),
        *_rules(procedures),
    )


def _profile(program: ProgramProfile) -> list[Item]:
    polling = program.polling
    return [
        Item(topic="profile", item="standard", value=f"OpenADR {program.version}, VEN, full function"),
        Item(topic="profile", item="program", value=f"{program.name} ({program.verified})"),
        Item(topic="transport", item="simple HTTP", value=f"pull, push; {program.transport} in this program"),
        Item(topic="transport", item="XMPP", value="not supported"),
        Item(
            topic="transport", item="poll period", value=f"as the VTN asks, else {polling.poll_s:g} s; >= 1 s"
        ),
        Item(topic="transport", item="market contexts", value=", ".join(program.market_contexts) or "any"),
    ]


def _services() -> list[Item]:
    return [
        Item(topic="service", item=name, value="supported")
        for name in get_args(messages.Service)
        if name != "OadrPoll"
    ] + [Item(topic="service", item="OadrPoll", value="supported")]


def _messages() -> list[Item]:
    """Every message of the VEN's own union, and whether its reader knows it."""
    known = {f"oadr{kind.__name__}" for kind in get_args(messages.Message)}
    return [
        Item(topic="message", item=name, value="read and written" if name in wire.READABLE else "written")
        for name in sorted(known)
    ]


def _signals(program: ProgramProfile) -> list[Item]:
    rows = [
        Item(
            topic="signal",
            item=f"{rule.name} / {rule.type}",
            value=f"{rule.meaning} ({', '.join(rule.units)})",
        )
        for rule in program.signals
        if rule.meaning != "ignore"
    ]
    return [*rows, Item(topic="opt", item="optType", value=", ".join(get_args(Opt)))]


def _reports(program: ProgramProfile) -> list[Item]:
    rule = program.reports
    if rule is None:
        return [Item(topic="report", item="reports", value="none in this program")]
    span = f"{rule.min_period_s:g} to {rule.max_period_s:g} s"
    offered = {
        "TELEMETRY_USAGE": rule.specifier_id,
        "TELEMETRY_STATUS": rule.status_specifier_id,
        "HISTORY_USAGE": rule.history_specifier_id,
        "HISTORY_GREENBUTTON": rule.green_button_specifier_id,
    }
    return [
        *(
            Item(topic="report", item=name, value=f"{id}, period {span}" if id else "not in this program")
            for name, id in offered.items()
        ),
        Item(topic="report", item="further data points", value=", ".join(rule.quantities) or "none"),
        Item(topic="report", item="scale codes read", value=", ".join(report_words.SI_SCALE)),
    ]


def _security(program: ProgramProfile) -> list[Item]:
    algorithms = ", ".join(name.rpartition("#")[2] for name in (RSA_SHA256, ECDSA_SHA256))
    required = "required" if program.signature.required else "by connection"
    return [
        Item(topic="security", item="TLS", value="1.2 or newer, client certificate"),
        Item(topic="security", item="suites", value=program.tls.ciphers or "the platform's default"),
        Item(topic="security", item="XML signature", value=f"{algorithms}; {required}"),
        Item(
            topic="security",
            item="replay window",
            value=f"{program.signature.replay_window_s:g} s either way, nonces kept over a restart",
        ),
    ]


def _rules(procedures: tuple[Procedure, ...]) -> list[Item]:
    return [
        Item(
            topic="rule",
            item=f"{row.rule.id}: {row.rule.text}",
            value=f"{len(row.procedures)} procedures, {row.mutants} mutants"
            if row.procedures
            else "no procedure",
        )
        for row in coverage(procedures)
    ]
