"""Composition of the centre: settings and profiles -> gateway, journal, rooms, engine."""

from __future__ import annotations

from collections.abc import Iterable

from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import PluginName
from vpp_gateway.engine import DOMAIN_FACTS
from vpp_gateway.northbound.turn import Session
from vpp_gateway.settings import Settings


def policy_of(settings: Settings) -> Policy:
    """Dispatch policy of the operator's settings."""
    return Policy(
        baseline_window_s=settings.dispatch.baseline_window_s, reversion_s=settings.timing.reversion_s
    )


def host_of(settings: Settings) -> dict[PluginName, SiteId]:
    """The site whose agent hosts each plug-in."""
    return {PluginName(row.name): SiteId(row.host_site) for row in settings.plugins}


def journal_types(sessions: Iterable[Session]) -> tuple[type, ...]:
    """Every fact that the journal may hold: the domain's and those of the sessions."""
    own = {kind for session in sessions for kind in session.fact_types}
    return (*DOMAIN_FACTS, *sorted(own, key=lambda kind: kind.__qualname__))
