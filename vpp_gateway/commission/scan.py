"""Looking for devices in a network: who answers Modbus, what it says of itself, which profiles fit. Reads only."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from vpp_gateway.commission.probe import Chain, Probe, answers
from vpp_gateway.errors import DeviceError, MisuseError, Unreachable
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.transport import Address

HOSTS_MAX = 4096
AT_ONCE = 64
"""Hosts that are asked at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A device that answers."""

    address: Address
    unit: int
    chain: Chain | None
    """What a SunSpec device says; None of any other."""
    profiles: tuple[str, ...]
    """Profiles that it fits."""


def hosts(target: str) -> tuple[str, ...]:
    """The hosts of a network (`10.0.0.0/24`), or the one host that `target` names.

    Raises:
        MisuseError: a network of more than `HOSTS_MAX` hosts, or not a network.
    """
    if "/" not in target:
        return (target,)
    try:
        network = ipaddress.ip_network(target, strict=False)
    except ValueError as error:
        raise MisuseError(f"{target!r} is not a network: {error}") from None
    if network.num_addresses > HOSTS_MAX + 2:
        raise MisuseError(f"{target}: {network.num_addresses} addresses; at most {HOSTS_MAX} are looked at")
    return tuple(str(host) for host in network.hosts())


async def scan(
    targets: Iterable[Address], units: Sequence[int], profiles: Sequence[DeviceProfile], *, timeout_s: float
) -> AsyncIterator[Found]:
    """All devices, as they are found.

    Args:
        targets: where to look.
        units: Modbus unit ids to ask for at each.
        profiles: known products.
        timeout_s: of one connection and of one request.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(target: Address) -> list[Found]:
        async with gate:
            if not await answers(target, timeout_s):
                return []
            return [found for unit in units if (found := await _unit(target, unit, profiles, timeout_s))]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(look(target)) for target in targets]
        for task in asyncio.as_completed(tasks):
            for found in await task:
                yield found


async def _unit(
    target: Address, unit: int, profiles: Sequence[DeviceProfile], timeout_s: float
) -> Found | None:
    try:
        async with Probe(target, unit=unit, timeout_s=timeout_s) as probe:
            chain = await probe.chain()
            fitting = [p.name for p in sorted(profiles, key=_rank) if await _fits(probe, p, chain)]
    except Unreachable:
        return None
    if chain is None and not fitting:
        return Found(address=target, unit=unit, chain=None, profiles=())
    return Found(address=target, unit=unit, chain=chain, profiles=tuple(fitting))


def _rank(profile: DeviceProfile) -> int:
    """What is said of a found device first: a product of its own, then what chooses by itself, then the rest."""
    return 0 if profile.identity else 1 if profile.generations else 2


async def _fits(probe: Probe, profile: DeviceProfile, chain: Chain | None) -> bool:
    """Whether the device can be met as one of this profile; without an identity a plain profile fits nobody."""
    if profile.sunspec:
        models = {number for number, _, _ in chain.models} if chain is not None else set()
        if not profile.needed <= models:
            return False
    elif chain is not None or not profile.identity:
        return False
    try:
        await probe.meet(profile)
    except Unreachable:
        return False
    except DeviceError:
        return False
    return True
