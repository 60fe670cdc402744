"""What the host is told about one plug-in, and what it tells about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import PluginName


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSpec:
    """One plug-in of one host."""

    name: PluginName
    entry_point: str
    """Name in the entry-point group `vpp_gateway.site_plugins`, or `module:attribute`."""
    sites: tuple[SiteId, ...]
    """Sites whose workload it may offer; offers for others are refused."""
    config: dict[str, Any] = field(default_factory=dict)
    state_dir: str = ""
    """Folder of the plug-in's own state; its working directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Deadlines and rates of the host, seconds unless said otherwise."""

    hello_s: float = 10.0
    """From the spawn to the answer of `hello`."""
    recover_s: float = 15.0
    call_s: float = 2.0
    """Deadline of `order`, `status` and `estop`; past it the plug-in counts as hung and is killed."""
    heartbeat_s: float = 1.0
    heartbeat_deadline_s: float = 2.0
    respawn_first_s: float = 0.1
    """Back-off after the first fault; doubles up to `respawn_max_s`, with jitter."""
    respawn_max_s: float = 5.0
    settled_s: float = 10.0
    """A life this long resets the back-off."""
    lines_per_s: float = 200.0
    """Sustained rate of lines above which a plug-in counts as flooding."""
    lines_burst: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginStatus:
    """What the operator sees of a plug-in."""

    state: Literal["starting", "ready", "waiting", "stopped"]
    """`waiting` = gone, to be started again after the back-off."""
    reason: str
    """Why it is not ready, in words; empty when it is."""
    pid: int | None
    restarts: int
    """Starts after the first one."""
    offers: int
    """Offers that stand now."""


class Transport(Protocol):
    """A running plug-in as the host reaches it; both transports pass the same contract tests."""

    @property
    def pid(self) -> int | None:
        """Process id; None in memory."""
        ...

    def lines(self) -> AsyncIterator[bytes]:
        """What it says, line by line, until it ends. Raises PeerError on a line over the limit."""
        ...

    def write(self, line: bytes) -> None:
        """Say one line; never blocks. Raises PeerError when it does not read any more."""
        ...

    def epitaph(self) -> str:
        """How it ended and the last it said on standard error, in words."""
        ...


TransportFactory = Callable[[PluginSpec], AbstractAsyncContextManager[Transport]]
"""Starts a plug-in; leaving the context ends it, whatever it does, together with all of its process group."""
