"""Whom an event speaks of, and which of its signals is ours (rules 22, 48).

    eiTarget of the event    empty = us; criteria are OR-ed: venID, groupID, partyID, device class -> every site,
                             resourceID -> its site, the sites of its area, or its device; none of them ours -> 462
    eiTarget of a signal     narrows that signal to what it names; none of it ours -> the signal is for others
    several signals          the first in the profile's order; one instruction has one scope, so a usable signal that
                             speaks of sites which the chosen one leaves out -> 460, never half an event

The 2.0b schema means a signal's eiTarget for device classes alone; where a VTN names more, more is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.northbound.openadr2.addressing import naming
from vpp_gateway.northbound.openadr2.messages import Event, Signal, Targets
from vpp_gateway.northbound.openadr2.party import NamedDevice, Party, Refused
from vpp_gateway.northbound.openadr2.program import ProgramProfile, SignalRule
from vpp_gateway.northbound.openadr2.xml_text import shown


@dataclass(frozen=True, slots=True)
class Scope:
    """What is spoken of; with nothing in it, the whole portfolio."""

    sites: tuple[SiteId, ...] = ()
    devices: tuple[NamedDevice, ...] = ()
    """Single devices, at other sites than these."""

    def __bool__(self) -> bool:
        return bool(self.sites or self.devices)

    def within(self, other: Scope) -> Scope:
        """What both speak of; neither is the whole portfolio."""
        sites = tuple(site for site in self.sites if site in other.sites)
        devices = [one for one in self.devices if one in other.devices or one.site in other.sites]
        devices += [one for one in other.devices if one.site in self.sites]
        return Scope(sites, tuple(dict.fromkeys(devices)))


EVERYONE = Scope()


def scope_of(targets: Targets, party: Party, program: ProgramProfile) -> Scope | None:
    """The sites that `targets` names, or None when none of it is ours."""
    targets = naming(targets, program)
    if targets.empty:
        return EVERYONE
    scope = _resources(targets.resource_ids, party)
    named = (
        party.ven_id in targets.ven_ids
        or not party.groups.isdisjoint(targets.group_ids)
        or not party.parties.isdisjoint(targets.party_ids)
        or not set(program.device_classes).isdisjoint(targets.device_classes)
    )
    if named and not (scope and program.ven_target_narrows):
        return EVERYONE
    if scope and (named or not targets.ven_ids or not program.ven_target_narrows):
        return scope
    return None


def _resources(ids: tuple[str, ...], party: Party) -> Scope:
    """Everything that these names stand for; a device whose site is named too is in it already."""
    sites = [party.resources[id] for id in ids if id in party.resources]
    sites += [site for id in ids for site in party.areas.get(id, ())]
    devices = [party.devices[id] for id in ids if id in party.devices and party.devices[id].site not in sites]
    return Scope(tuple(dict.fromkeys(sites)), tuple(dict.fromkeys(devices)))


def event_scope(event: Event, party: Party, program: ProgramProfile) -> Scope:
    """Sites that the event addresses. Raises Refused with 453 or 462."""
    if program.market_contexts and event.market_context not in program.market_contexts:
        allowed = ", ".join(program.market_contexts)
        raise Refused("453", f"market context: expected {allowed}, found {shown(event.market_context)}")
    scope = scope_of(event.targets, party, program)
    if scope is None:
        found = event.targets
        ours = ", ".join(
            (
                party.ven_id,
                *party.resources,
                *party.areas,
                *party.devices,
                *sorted(party.groups),
                *sorted(party.parties),
                *program.device_classes,
            )
        )
        ids = (
            *found.ven_ids,
            *found.resource_ids,
            *found.group_ids,
            *found.party_ids,
            *found.device_classes,
        )
        listed = ", ".join(shown(id) for id in ids[:5])
        raise Refused("462", f"eiTarget: expected one of {ours}; found {listed or 'criteria of other kinds'}")
    return scope


def choose(
    event: Event, scope: Scope, party: Party, program: ProgramProfile
) -> tuple[SignalRule, Signal, Scope]:
    """The signal to be acted on, its rule, and what it speaks of. Raises Refused with 460."""
    usable = [
        (rule, signal, narrowed)
        for rule in program.signals
        for signal in event.signals
        if _fits(rule, signal) and (narrowed := _narrowed(signal, scope, party, program)) is not None
    ]
    if not usable:
        taken = ", ".join(f"{rule.name}/{rule.type}" for rule in program.signals if rule.meaning != "ignore")
        found = ", ".join(f"{shown(signal.name)}/{shown(signal.type)}" for signal in event.signals[:5])
        raise Refused("460", f"signal: expected {taken}; found {found}")
    rule, signal, chosen = usable[0]
    for _, other, spoken in usable[1:]:
        if not _covers(chosen, spoken, party):
            raise Refused(
                "460",
                f"signals: expected them to speak of the same targets, found {shown(signal.id)} for "
                f"{_words(chosen)} and {shown(other.id)} for {_words(spoken)}; send one event for each",
            )
    return rule, signal, chosen


def _fits(rule: SignalRule, signal: Signal) -> bool:
    names = {rule.name, rule.name.lower()} if rule.name == "SIMPLE" else {rule.name}
    return signal.name in names and signal.type == rule.type and rule.meaning != "ignore"


def _narrowed(signal: Signal, scope: Scope, party: Party, program: ProgramProfile) -> Scope | None:
    """What of the event's scope the signal speaks of; None = it is for others."""
    own = scope_of(signal.targets, party, program)
    if own is None or not own:
        return None if own is None else scope
    if not scope:
        return own
    return scope.within(own) or None


def _covers(chosen: Scope, other: Scope, party: Party) -> bool:
    everyone = Scope(tuple(dict.fromkeys(party.resources.values())))
    most, least = chosen or everyone, other or everyone
    return set(least.sites) <= set(most.sites) and all(
        one in most.devices or one.site in most.sites for one in least.devices
    )


def _words(scope: Scope) -> str:
    return ", ".join((*scope.sites, *(one.id for one in scope.devices))) or "the whole portfolio"
