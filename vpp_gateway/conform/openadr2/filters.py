"""Filters between VEN and VTN: with them a sound VEN looks like a defective one, so that a procedure can be seen to fail."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from lxml import etree

from vpp_gateway.conform.openadr2.procedure import Filter, Mutant
from vpp_gateway.conform.openadr2.xml import alter, evaluate, name_of, nodes, values
from vpp_gateway.northbound.openadr2.xml_names import tag

Way = TypeVar("Way")
Carried = Mapping[str, str]
"""How a message came: `service`, the headers of simple HTTP, `tls` (its version) and `suite`; what is missing is absent."""
NOT_TOLD: Carried = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One message of the VEN as the VTN gets it."""

    tree: etree._Element
    carried: Carried


class Wire:
    """Both directions of one procedure's exchanges.

    `heard` gives what arrives of a message of the VEN, so often as it arrives; `overdue` what was held back until now;
    `said` gives what arrives of the VTN's answer, or None when it is lost on the way.
    """

    def __init__(self, mutant: Mutant | None) -> None:
        rules: Sequence[Filter] = () if mutant is None else mutant.from_ven
        self._from_ven = [rule for rule in rules if not rule.signed]
        self._signed = [rule for rule in rules if rule.signed]
        self._to_ven: Sequence[Filter] = () if mutant is None else mutant.to_ven
        self._passed: Counter[int] = Counter()
        self._events: dict[str, etree._Element] = {}
        self._late: list[Arrival] = []
        self._holding = False
        """Something was held back just now."""
        self.touched = 0
        """How often a filter did something: a mutant that never acts proves nothing."""
        self._trusting = mutant is not None and mutant.trusting

    def shown(self, way: Way, good: Way) -> Way:
        """How the VTN shows itself, when it means to do so `way`."""
        if not self._trusting or way == good:
            return way
        self.touched += 1
        return good

    def signed(self, tree: etree._Element) -> list[etree._Element]:
        """What arrives of a message of the VEN, its signature not looked at yet."""
        return [one.tree for one in self._through(self._signed, Arrival(tree=tree, carried=NOT_TOLD))]

    def heard(self, tree: etree._Element, carried: Carried = NOT_TOLD) -> list[Arrival]:
        """What the VTN hears."""
        return self._through(self._from_ven, Arrival(tree=tree, carried=carried))

    def overdue(self) -> list[Arrival]:
        """What was held back, to be heard after the message that came now."""
        if self._holding:
            self._holding = False
            return []
        late, self._late = self._late, []
        return late

    def _through(self, rules: Sequence[Filter], came: Arrival) -> list[Arrival]:
        arriving = [came]
        for rule in self._chosen(rules, came.tree):
            if rule.drop:
                return []
            carried = {key: value for key, value in came.carried.items() if key not in rule.carried}
            carried |= {key: value for key, value in rule.carried.items() if value is not None}
            arriving = [Arrival(tree=copy.deepcopy(came.tree), carried=carried) for _ in range(rule.times)]
            for one in arriving:
                alter(one.tree, rule.alter)
            if rule.late:
                self._late += arriving
                self._holding = True
                return []
        return arriving

    def said(self, tree: etree._Element) -> etree._Element | None:
        """What the VEN hears."""
        for rule in self._chosen(self._to_ven, tree):
            if rule.drop:
                return None
            tree = copy.deepcopy(tree)
            alter(tree, rule.alter)
            if rule.hold_events:
                self._hold(tree)
        return tree

    def _chosen(self, rules: Sequence[Filter], tree: etree._Element) -> list[Filter]:
        found = []
        for rule in rules:
            if rule.on not in ("any", name_of(tree)) or (rule.where and not evaluate(tree, rule.where)):
                continue
            self._passed[id(rule)] += 1
            if self._passed[id(rule)] > rule.after:
                self.touched += 1
                found.append(rule)
        return found

    def _hold(self, tree: etree._Element) -> None:
        """Put back what is not listed any more."""
        listed = set(values(tree, "//ei:eventID"))
        for parent in nodes(tree, "//oadr:oadrDistributeEvent"):
            for event_id, event in self._events.items():
                if event_id not in listed:
                    parent.append(copy.deepcopy(event))
            for event in parent.findall(tag("oadr:oadrEvent")):
                self._events[values(event, ".//ei:eventID")[0]] = copy.deepcopy(event)
