"""The shell of a session with push: posts go out by the client, replies to the VTN's posts by the listener."""

from __future__ import annotations

import asyncio

from vpp_gateway.northbound.openadr2.client import VenClient
from vpp_gateway.northbound.openadr2.listener import PushListener
from vpp_gateway.northbound.openadr2.messages import Post, Reply
from vpp_gateway.northbound.openadr2.wallet import Wallet


class BothWays:
    """Client and listener of one session; implements `northbound.turn.Client`."""

    def __init__(self, client: VenClient, listener: PushListener) -> None:
        self._client = client
        self._listener = listener

    @property
    def wallet(self) -> Wallet | None:
        """The certificates that we show as client."""
        return self._client.wallet

    @property
    def listening(self) -> Wallet | None:
        """The certificates of our own address."""
        return self._listener.wallet

    def send(self, request: Post | Reply) -> None:
        """To whom it belongs."""
        if isinstance(request, Reply):
            self._listener.send(request)
        else:
            self._client.send(request)

    async def run(self) -> None:
        """Both, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._client.run())
            group.create_task(self._listener.run())
