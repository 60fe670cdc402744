"""One number of a signal -> one demand, as the program's rule for that signal says.

delta, setpoint     W with the basis in the name            multiplier      factor on undisturbed use
level               SIMPLE 0-3 by `levels`                  percent-offset  1 + share, the same
price, level-offset a level by `bands`                      capacity        share of the contracted import
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import assert_never

from vpp_gateway.domain.instruction import Delta, Demand, Level, Multiplier, Setpoint, SiteId
from vpp_gateway.domain.quantity import regulation_of
from vpp_gateway.northbound.openadr2.messages import Signal
from vpp_gateway.northbound.openadr2.party import Party, Refused
from vpp_gateway.northbound.openadr2.program import ProgramProfile, SignalRule
from vpp_gateway.northbound.openadr2.report_words import SI_SCALE
from vpp_gateway.northbound.openadr2.targets import Scope
from vpp_gateway.northbound.openadr2.xml_text import shown


def demand_of(
    value: float, signal: Signal, rule: SignalRule, scope: Scope, party: Party, program: ProgramProfile
) -> Demand:
    """What one number asks of the scope. Raises Refused with 454."""
    if not math.isfinite(value):
        raise Refused("454", f"payload: expected a finite number, found {value}")
    if rule.meaning == "level":
        return _level(value, scope, party, program)
    number = value * _factor(signal, rule)
    if not math.isfinite(number):
        raise Refused("454", f"payload: expected a finite number, found {value} with its scale")
    match rule.meaning:
        case "delta":
            return Delta(regulation_w=number if rule.positive == "regulation" else regulation_of(number))
        case "setpoint":
            return Setpoint(import_w=number if rule.positive == "import" else regulation_of(number))
        case "multiplier":
            return _multiplier(number / rule.whole)
        case "percent-offset":
            return _multiplier(1.0 + (number if rule.positive == "import" else -number) / rule.whole)
        case "capacity":
            return _capacity(number / rule.whole, scope, party)
        case "price" | "level-offset":
            reached = [band for band in rule.bands if band.at_least <= number]
            level = max(reached, key=lambda band: band.at_least).level if reached else 0
            if level == 0 and all(one.level != 0 for one in program.levels):
                return Level(level=0, regulation_w=0.0)
            return _level(float(level), scope, party, program)
        case "ignore":
            raise Refused("460", f"signal: {shown(signal.name)} is without effect in this program")
        case _:
            assert_never(rule.meaning)


def _factor(signal: Signal, rule: SignalRule) -> float:
    """Multiplier from the signal's number to the plain unit."""
    units = rule.understood
    allowed = ", ".join(units) or "none"
    if signal.unit is None:
        if rule.when_absent is not None:
            return SI_SCALE[rule.when_absent.scale]
        if rule.unitless:
            return 1.0
        raise Refused("454", f"unit: expected {allowed} with a siScaleCode, found none")
    if signal.unit.units not in units or signal.unit.scale not in SI_SCALE:
        raise Refused("454", f"unit: expected {allowed}, found {shown(signal.unit.units)}")
    if rule.items and signal.unit.name not in rule.items:
        raise Refused("454", f"unit: expected {', '.join(rule.items)}, found {shown(signal.unit.name)}")
    return signal.unit.factor


def _multiplier(factor: float) -> Multiplier:
    if factor < 0:
        raise Refused("454", f"multiplier: expected 0 or more of the undisturbed use, found {factor:g}")
    return Multiplier(factor=factor)


def _capacity(share: float, scope: Scope, party: Party) -> Setpoint:
    if not 0.0 <= share <= 1.0:
        raise Refused("454", f"capacity: expected 0 to 100 %, found {share * 100:g} %")
    return Setpoint(import_w=share * _sum_w(party.capacity_w, scope))


def _level(value: float, scope: Scope, party: Party, program: ProgramProfile) -> Level:
    rule = next((rule for rule in program.levels if rule.level == value), None)
    if rule is None:
        allowed = ", ".join(str(rule.level) for rule in program.levels)
        raise Refused("454", f"SIMPLE level: expected {allowed}, found {value:g}")
    if rule.regulation_w is not None:
        return Level(level=int(value), regulation_w=rule.regulation_w)
    return Level(level=int(value), regulation_w=(rule.share or 0.0) * _base_w(scope, party))


def _sum_w(base_w: Mapping[SiteId, float], scope: Scope) -> float:
    return sum(base_w.get(site, 0.0) for site in (scope.sites if scope else base_w))


def _base_w(scope: Scope, party: Party) -> float:
    return _sum_w(party.level_base_w, scope) + sum(one.level_base_w for one in scope.devices)
