"""Could this gateway deliver if an event started now? The answer of `/readyz`, read from the status alone.

reasons     each one alone makes it not ready: no utility to hear, nothing to deliver with, no journal
warnings    it would deliver, but less or less surely than the settings promise
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from vpp_gateway.console.status import SCHEMA_VERSION, LinkView, Status, View
from vpp_gateway.domain.reading import Health


class Readiness(View):
    """Answer of `/readyz`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    """Version of the published shape."""
    ready: bool
    """True when an event that starts now could be delivered."""
    reasons: tuple[str, ...]
    """Why not, in words; empty when ready."""
    warnings: tuple[str, ...]
    """What is wrong but does not prevent delivery."""


def readiness(status: Status) -> Readiness:
    """Judge `status`."""
    reasons = tuple(_reasons(status))
    return Readiness(ready=not reasons, reasons=reasons, warnings=tuple(_warnings(status)))


def _reasons(status: Status) -> Iterator[str]:
    northbound = [link for link in status.links if link.kind == "openadr2"]
    if not any(link.health != "bad" for link in northbound):
        yield "no northbound connection is in service" + _named(northbound)
    if not any(_can_deliver(status)):
        yield "no linked site has a battery in service or a plug-in with an offer"
    for link in status.links:
        if link.kind == "journal" and link.health == "bad":
            yield f"journal: {link.detail or link.state}"


def _can_deliver(status: Status) -> Iterator[bool]:
    linked = {site.id for site in status.sites if site.linked}
    for site in status.sites:
        yield site.linked and any(battery.health is Health.GOOD for battery in site.batteries)
    for plugin in status.plugins:
        yield plugin.site in linked and bool(plugin.offers)


def _warnings(status: Status) -> Iterator[str]:
    for site in status.sites:
        if site.health is not Health.GOOD:
            yield f"site {site.id}: {site.health}, {site.reason}"
    for link in status.links:
        if link.kind != "site" and link.health != "good":
            yield f"{link.kind} {link.name}: {link.detail or link.state}"


def _named(links: list[LinkView]) -> str:
    return "".join(f"; {link.name}: {link.detail or link.state}" for link in links)
