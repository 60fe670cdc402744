"""What the engine needs of the shells around it: the link to the sites, the workers, the northbound rooms."""

from __future__ import annotations

import asyncio
from typing import Protocol

from vpp_gateway.domain.horizon import HorizonProblem
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.plan import Problem
from vpp_gateway.link.messages import Down
from vpp_gateway.northbound.turn import Client, Session


class Solver(Protocol):
    """The worker that solves what the closed form cannot."""

    def submit(self, problem: Problem) -> None:
        """Begin; the answer comes back as a `Solved` fact."""
        ...

    async def run(self) -> None:
        """Serve until cancelled."""
        ...


class Planner(Protocol):
    """The worker that looks ahead."""

    def submit(self, problem: HorizonProblem) -> None:
        """Begin; the answer comes back as a `Planned` fact."""
        ...

    async def run(self) -> None:
        """Serve until cancelled."""
        ...


class Link(Protocol):
    """The centre's end of the links to all sites."""

    def send(self, site: SiteId, message: Down) -> bool:
        """Queue a message; False when the site is not linked (the schedule is sent again on its return)."""
        ...

    async def run(self) -> None:
        """Serve until cancelled."""
        ...


class Room:
    """One northbound connection: its pure session and its shell."""

    def __init__(self, session: Session, client: Client) -> None:
        self.session = session
        self.client = client
        self.stirred = asyncio.Event()
        """Set when the session's next wake may have changed."""
