"""Questions and answers over a transport: matches replies to requests, hands notices on, polices the line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vpp_gateway.clock import Clock
from vpp_gateway.errors import PeerError
from vpp_gateway.southbound.workload import contract
from vpp_gateway.southbound.workload.spec import Timing, Transport

_BREATH = 16
"""Lines handled in one go before the event loop gets its turn."""


class Channel:
    """One life of a plug-in as the host talks to it. Every fault is a PeerError, after which it is over."""

    def __init__(
        self, transport: Transport, clock: Clock, timing: Timing, notice: Callable[[contract.Notice], None]
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._timing = timing
        self._notice = notice
        self._pending: dict[int, asyncio.Future[contract.Reply]] = {}
        self._last_id = 0

    def next_id(self) -> int:
        """A fresh request id."""
        self._last_id += 1
        return self._last_id

    async def call(self, request: contract.Request, deadline_s: float) -> contract.Reply:
        """Ask and wait. Raises PeerError when the plug-in is gone or does not answer within the deadline."""
        future: asyncio.Future[contract.Reply] = asyncio.get_running_loop().create_future()
        self._pending[request.id] = future
        try:
            self._transport.write(contract.encode(request))
            async with asyncio.timeout(deadline_s):
                return await future
        except TimeoutError as error:
            raise PeerError(f"no answer to {request.type} within {deadline_s:g} s") from error
        finally:
            self._pending.pop(request.id, None)

    async def listen(self) -> None:
        """Read until the plug-in ends or breaks the contract; always ends by PeerError."""
        fault = PeerError("ended")
        try:
            await self._read()
        except PeerError as error:
            fault = error
        for future in self._pending.values():
            if not future.done():
                future.set_exception(PeerError(str(fault)))
        raise fault

    async def _read(self) -> None:
        tokens = float(self._timing.lines_burst)
        last = self._clock.monotonic()
        breath = 0
        async for line in self._transport.lines():
            now = self._clock.monotonic()
            refill = (now - last) * self._timing.lines_per_s
            tokens, last = min(self._timing.lines_burst, tokens + refill) - 1, now
            if tokens < 0:
                raise PeerError(f"floods: more than {self._timing.lines_per_s:g} lines a second")
            self._take(contract.decode_from_plugin(line))
            breath += 1
            if breath % _BREATH == 0:
                await asyncio.sleep(0)

    def _take(self, message: contract.FromPlugin) -> None:
        if isinstance(message, contract.Notice):
            self._notice(message)
            return
        future = self._pending.get(message.id)
        if future is None:
            # An answer may cross the caller's cancellation, so only ids never given are a breach.
            if message.id > self._last_id or message.id <= 0:
                raise PeerError(f"{message.type}: answers request {message.id}, which was never made")
            return
        if not future.done():
            future.set_result(message)
